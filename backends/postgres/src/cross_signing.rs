//! Not written yet.
#![allow(unused_variables, unused_imports, clippy::too_many_arguments)]
use async_trait::async_trait;
use olmstead_domain::json::RawJson;
use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use olmstead_storage::Result;
use olmstead_storage::{StorageError, CrossSigning, cross_signing::*};
use crate::PostgresStore;

#[async_trait]
impl CrossSigning for PostgresStore {
    async fn cross_signing_keys(&self, user_id: &UserId) -> Result<CrossSigningKeys> {
        Err(StorageError::damaged("not written"))
    }
    async fn put_cross_signing_keys(
        &self,
        user_id: &UserId,
        expected_revision: u64,
        keys: CrossSigningKeys,
        public_keys: Vec<String>,
    ) -> Result<PutCrossSigningOutcome> {
        Err(StorageError::damaged("not written"))
    }
    async fn add_signatures(&self, signatures: Vec<NewSignature>) -> Result<Vec<bool>> {
        Err(StorageError::damaged("not written"))
    }
}
