//! Not written yet.
#![allow(unused_variables, unused_imports, clippy::too_many_arguments)]
use async_trait::async_trait;
use olmstead_domain::{json::RawJson, position::Position};
use ruma::{OwnedRoomId, RoomId, UserId};
use olmstead_storage::{Result, devices::DeviceRef};
use olmstead_storage::{StorageError, AccountData, account_data::*};
use crate::PostgresStore;

#[async_trait]
impl AccountData for PostgresStore {
    async fn set_account_data(
        &self,
        user_id: &UserId,
        room_id: Option<&RoomId>,
        kind: &str,
        content: RawJson,
    ) -> Result<()> {
        Err(StorageError::damaged("not written"))
    }
    async fn account_data(&self, user_id: &UserId, room_id: Option<&RoomId>, kind: &str) -> Result<Option<RawJson>> {
        Err(StorageError::damaged("not written"))
    }
    async fn replace_account_data(
        &self,
        user_id: &UserId,
        room_id: Option<&RoomId>,
        kind: &str,
        expected: Option<&RawJson>,
        content: RawJson,
    ) -> Result<bool> {
        Err(StorageError::damaged("not written"))
    }
    async fn account_data_between(
        &self,
        user_id: &UserId,
        from: Position,
        to: Position,
    ) -> Result<Vec<AccountDataEntry>> {
        Err(StorageError::damaged("not written"))
    }
    async fn put_filter(&self, user_id: &UserId, filter: RawJson) -> Result<String> {
        Err(StorageError::damaged("not written"))
    }
    async fn filter(&self, user_id: &UserId, filter_id: &str) -> Result<Option<RawJson>> {
        Err(StorageError::damaged("not written"))
    }
    async fn profile(&self, user_id: &UserId) -> Result<Option<Vec<(String, RawJson)>>> {
        Err(StorageError::damaged("not written"))
    }
    async fn set_profile_field(&self, user_id: &UserId, field: &str, value: Option<RawJson>) -> Result<()> {
        Err(StorageError::damaged("not written"))
    }
    async fn set_pusher(&self, pusher: Pusher, append: bool) -> Result<()> {
        Err(StorageError::damaged("not written"))
    }
    async fn delete_pusher(&self, user_id: &UserId, app_id: &str, pushkey: &str) -> Result<()> {
        Err(StorageError::damaged("not written"))
    }
    async fn pushers(&self, user_id: &UserId) -> Result<Vec<Pusher>> {
        Err(StorageError::damaged("not written"))
    }
}
