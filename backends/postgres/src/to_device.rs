//! Not written yet.
#![allow(unused_variables, unused_imports, clippy::too_many_arguments)]
use async_trait::async_trait;
use olmstead_domain::{
    json::RawJson,
    position::{Cursor, Position},
};
use ruma::{OwnedDeviceId, OwnedUserId};
use olmstead_storage::{Result, devices::DeviceRef};
use olmstead_storage::{StorageError, ToDevice, to_device::*};
use crate::PostgresStore;

#[async_trait]
impl ToDevice for PostgresStore {
    async fn send_to_device(&self, transaction: Option<TransactionKey>, messages: Vec<OutgoingMessage>) -> Result<bool> {
        Err(StorageError::damaged("not written"))
    }
    async fn inbox(&self, device: &DeviceRef, from: Cursor, to: Position, limit: usize) -> Result<InboxPage> {
        Err(StorageError::damaged("not written"))
    }
    async fn acknowledge(&self, device: &DeviceRef, cursor: Cursor) -> Result<()> {
        Err(StorageError::damaged("not written"))
    }
}
