//! Not written yet.
#![allow(unused_variables, unused_imports, clippy::too_many_arguments)]
use std::collections::{BTreeMap, BTreeSet};
use async_trait::async_trait;
use olmstead_domain::json::RawJson;
use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use olmstead_storage::{Result, cross_signing::CrossSigningKeys, devices::DeviceRef};
use olmstead_storage::{StorageError, Keys, keys::*};
use crate::PostgresStore;

#[async_trait]
impl Keys for PostgresStore {
    async fn upload_keys(&self, device: &DeviceRef, upload: KeysUpload) -> Result<UploadOutcome> {
        Err(StorageError::damaged("not written"))
    }
    async fn key_counts(&self, device: &DeviceRef) -> Result<KeyCounts> {
        Err(StorageError::damaged("not written"))
    }
    async fn claim_keys(&self, wants: &[ClaimWant]) -> Result<Vec<ClaimedKey>> {
        Err(StorageError::damaged("not written"))
    }
    async fn query_keys(&self, queries: &[KeyQuery], asker: Option<&UserId>) -> Result<Vec<UserKeys>> {
        Err(StorageError::damaged("not written"))
    }
}
