//! Device keys, one-time keys and fallback keys.

mod claim;
mod pools;
mod query;
mod upload;

use std::sync::Arc;

use async_trait::async_trait;
use olmstead_storage::{
    Keys, Result,
    devices::DeviceRef,
    keys::{ClaimWant, ClaimedKey, KeyCounts, KeyQuery, KeysUpload, UploadOutcome, UserKeys},
};
use ruma::UserId;

use crate::{
    PostgresStore,
    locks::Locks,
    store::{command, read},
};

use self::{claim::Wishes, query::query};

pub(crate) use self::{pools::counts, upload::upload};

#[async_trait]
impl Keys for PostgresStore {
    async fn upload_keys(&self, device: &DeviceRef, keys: KeysUpload) -> Result<UploadOutcome> {
        let locks = Locks::new().pool(&device.user_id, &device.device_id);
        let locks = if keys.device_keys.is_some() { locks.user(&device.user_id) } else { locks };
        command!(self, locks, |command| upload(&mut command, device, &keys).await)
    }

    async fn key_counts(&self, device: &DeviceRef) -> Result<KeyCounts> {
        read!(self, |connection| Ok(counts(connection, device).await?.0))
    }

    async fn claim_keys(&self, wants: &[ClaimWant]) -> Result<Vec<ClaimedKey>> {
        let store = self.handle()?;
        let make = move |claims: Vec<Arc<Vec<ClaimWant>>>| {
            let store = Arc::clone(&store);
            async move {
                let wishes = Wishes::of(&claims);
                let claimed: Result<Vec<Vec<ClaimedKey>>> =
                    command!(&*store, wishes.locks(), |command| wishes.take(&mut command).await);
                Ok(claimed?.into_iter().map(Ok).collect())
            }
        };
        self.batches().claims.command(wants.to_vec(), make).await
    }

    async fn query_keys(&self, queries: &[KeyQuery], asker: Option<&UserId>) -> Result<Vec<UserKeys>> {
        read!(self, |connection| query(connection, queries, asker).await)
    }
}
