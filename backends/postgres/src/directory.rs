//! Not written yet.
#![allow(unused_variables, unused_imports, clippy::too_many_arguments)]
use async_trait::async_trait;
use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomAliasId, RoomId};
use olmstead_storage::Result;
use olmstead_storage::{StorageError, Directory, directory::*};
use crate::PostgresStore;

#[async_trait]
impl Directory for PostgresStore {
    async fn create_alias(&self, alias: &RoomAliasId, room_id: &RoomId, creator: &ruma::UserId) -> Result<bool> {
        Err(StorageError::damaged("not written"))
    }
    async fn alias(&self, alias: &RoomAliasId) -> Result<Option<(OwnedRoomId, OwnedUserId)>> {
        Err(StorageError::damaged("not written"))
    }
    async fn delete_alias(&self, alias: &RoomAliasId) -> Result<bool> {
        Err(StorageError::damaged("not written"))
    }
    async fn room_aliases(&self, room_id: &RoomId) -> Result<Vec<OwnedRoomAliasId>> {
        Err(StorageError::damaged("not written"))
    }
    async fn set_published(&self, room_id: &RoomId, published: bool) -> Result<()> {
        Err(StorageError::damaged("not written"))
    }
    async fn published(&self, room_id: &RoomId) -> Result<bool> {
        Err(StorageError::damaged("not written"))
    }
    async fn published_rooms(&self) -> Result<Vec<(OwnedRoomId, u64)>> {
        Err(StorageError::damaged("not written"))
    }
}
