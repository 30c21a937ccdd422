//! Not written yet.
#![allow(unused_variables, unused_imports, clippy::too_many_arguments)]
use async_trait::async_trait;
use olmstead_domain::position::{Cursor, Position};
use ruma::OwnedUserId;
use olmstead_storage::{
    Result, account_data::AccountDataEntry, changes::Horizon, devices::DeviceRef, ephemeral::Presence, keys::KeyCounts,
    rooms::RoomMembership, to_device::InboxPage,
};
use olmstead_storage::{StorageError, SyncReads, sync::*};
use crate::PostgresStore;

#[async_trait]
impl SyncReads for PostgresStore {
    async fn sync_facts(&self, query: &SyncQuery) -> Result<Option<SyncFacts>> {
        Err(StorageError::damaged("not written"))
    }
}
