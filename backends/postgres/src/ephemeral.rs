//! Not written yet.
#![allow(unused_variables, unused_imports, clippy::too_many_arguments)]
use async_trait::async_trait;
use olmstead_domain::position::Position;
use ruma::{OwnedEventId, OwnedUserId, RoomId, UserId};
use olmstead_storage::Result;
use olmstead_storage::{StorageError, Ephemeral, ephemeral::*};
use crate::PostgresStore;

#[async_trait]
impl Ephemeral for PostgresStore {
    async fn set_receipts(&self, room_id: &RoomId, receipts: Vec<Receipt>) -> Result<()> {
        Err(StorageError::damaged("not written"))
    }
    async fn receipts_between(&self, room_id: &RoomId, from: Position, to: Position) -> Result<Vec<Receipt>> {
        Err(StorageError::damaged("not written"))
    }
    async fn receipts_of(&self, room_id: &RoomId, user_id: &UserId) -> Result<Vec<Receipt>> {
        Err(StorageError::damaged("not written"))
    }
    async fn set_typing(&self, room_id: &RoomId, user_id: &UserId, until: Option<u64>) -> Result<()> {
        Err(StorageError::damaged("not written"))
    }
    async fn typing(&self, room_id: &RoomId, now: u64) -> Result<(Vec<OwnedUserId>, Position)> {
        Err(StorageError::damaged("not written"))
    }
    async fn set_presence(&self, presence: Presence) -> Result<()> {
        Err(StorageError::damaged("not written"))
    }
    async fn presence(&self, user_id: &UserId) -> Result<Option<Presence>> {
        Err(StorageError::damaged("not written"))
    }
    async fn presence_between(&self, from: Position, to: Position) -> Result<Vec<Presence>> {
        Err(StorageError::damaged("not written"))
    }
}
