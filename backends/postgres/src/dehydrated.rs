//! Not written yet.
#![allow(unused_variables, unused_imports, clippy::too_many_arguments)]
use async_trait::async_trait;
use olmstead_domain::json::RawJson;
use ruma::{OwnedDeviceId, UserId};
use olmstead_storage::{
    Result,
    devices::DeviceRef,
    keys::{KeysUpload, UploadOutcome},
};
use olmstead_storage::{StorageError, DehydratedDevices, dehydrated::*};
use crate::PostgresStore;

#[async_trait]
impl DehydratedDevices for PostgresStore {
    async fn put_dehydrated_device(
        &self,
        user_id: &UserId,
        device_id: OwnedDeviceId,
        device_data: RawJson,
        display_name: Option<String>,
        keys: KeysUpload,
        now: u64,
    ) -> Result<Option<UploadOutcome>> {
        Err(StorageError::damaged("not written"))
    }
    async fn dehydrated_device(&self, user_id: &UserId) -> Result<Option<DehydratedDevice>> {
        Err(StorageError::damaged("not written"))
    }
    async fn delete_dehydrated_device(&self, user_id: &UserId) -> Result<Option<OwnedDeviceId>> {
        Err(StorageError::damaged("not written"))
    }
}
