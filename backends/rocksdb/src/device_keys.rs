//! Device keys, one-time keys and fallback keys: the commands and reads.

use async_trait::async_trait;
use olmstead_domain::keys::device_keys::{DeviceKeysUpload, merge_upload};
use olmstead_storage::{
    Keys, Result, StorageError,
    devices::DeviceRef,
    keys::{ClaimWant, ClaimedKey, KeyCounts, KeyQuery, KeysUpload, UploadOutcome, UserKeys},
};
use ruma::UserId;

use crate::{
    RocksStore,
    command::Command,
    locks::Locks,
    pools::{self, Pools},
    reads::Reads,
    rows,
};

/// To answer for so many users is long work even when their keys are in memory.
const MANY: usize = 250;

/// Stores an upload of a device that is known to live. Unless it is `Stored`, the command is to be discarded.
pub(crate) fn upload(command: &mut Command<'_>, device: &DeviceRef, upload: &KeysUpload) -> Result<UploadOutcome> {
    let mut pools = Pools::read(command, device)?;
    let (mut device_list_changed, mut identity_changed) = (false, false);
    if let Some(new) = &upload.device_keys {
        let identity = rows::identity_key(&device.user_id, &device.device_id);
        let stored = command.get_raw(&identity)?;
        let merged = merge_upload(&device.user_id, &device.device_id, stored.as_ref(), new)
            .map_err(|error| StorageError::corrupt("identity keys that are stored or were checked", error))?;
        let store = match merged {
            DeviceKeysUpload::Unchanged => None,
            DeviceKeysUpload::SignaturesOnly(keys) | DeviceKeysUpload::Changed(keys) => Some(keys),
            DeviceKeysUpload::NewIdentity(keys) => {
                identity_changed = true;
                pools.clear(command, device)?;
                rows::remove_master_signature(command, device)?;
                Some(keys)
            }
        };
        if let Some(keys) = store {
            command.put_raw(&identity, &keys)?;
            rows::device_list_changed(command, &device.user_id)?;
            device_list_changed = true;
        }
    }
    let (limit, memory) = (upload.pool_limit, upload.claimed_memory);
    if let Some(taker) = pools.add(command, device, &upload.one_time_keys, limit, memory)? {
        return Ok(UploadOutcome::OneTimeKeyExists {
            key_name: taker.key_name,
            existing: taker.existing,
            uploaded: taker.uploaded,
        });
    }
    pools.set_fallbacks(command, device, &upload.fallback_keys)?;
    Ok(UploadOutcome::Stored { counts: pools.counts(), device_list_changed, identity_changed })
}

/// The counts of a device, none for one that is gone.
pub(crate) fn key_counts(reads: &impl Reads, device: &DeviceRef) -> Result<KeyCounts> {
    // The keys of a device that is gone went with it.
    Ok(Pools::read(reads, device)?.counts())
}

#[async_trait]
impl Keys for RocksStore {
    async fn upload_keys(&self, device: &DeviceRef, keys: KeysUpload) -> Result<UploadOutcome> {
        let device = device.clone();
        let locks = Locks::new().pool(&device.user_id, &device.device_id);
        let locks =
            if keys.device_keys.is_some() { locks.user(&device.user_id) } else { locks.user_shared(&device.user_id) };
        self.command(locks, move |command| {
            if rows::live_device(command, &device)?.is_none() {
                return Ok(UploadOutcome::DeviceGone);
            }
            let outcome = upload(command, &device, &keys)?;
            if !matches!(outcome, UploadOutcome::Stored { .. }) {
                command.discard();
            }
            Ok(outcome)
        })
        .await
    }

    async fn key_counts(&self, device: &DeviceRef) -> Result<KeyCounts> {
        let device = device.clone();
        self.read_view(move |view, _| key_counts(view, &device)).await
    }

    async fn claim_keys(&self, wants: &[ClaimWant]) -> Result<Vec<ClaimedKey>> {
        let wants = wants.to_vec();
        let locks = wants
            .iter()
            .fold(Locks::new(), |locks, want| locks.user_shared(&want.user_id).pool(&want.user_id, &want.device_id));
        self.command(locks, move |command| {
            let mut claimed = Vec::with_capacity(wants.len());
            for ClaimWant { user_id, device_id, algorithm, spares } in &wants {
                let Some(row) = rows::device(command, user_id, device_id)? else { continue };
                let device =
                    DeviceRef { user_id: user_id.clone(), device_id: device_id.clone(), generation: row.generation };
                let Some(taken) = pools::take(command, &device, algorithm, *spares)? else { continue };
                claimed.push(ClaimedKey {
                    user_id: device.user_id,
                    device_id: device.device_id,
                    key_name: taken.key_name,
                    key: taken.key,
                    fallback: taken.fallback,
                });
            }
            Ok(claimed)
        })
        .await
    }

    async fn query_keys(&self, queries: &[KeyQuery], asker: Option<&UserId>) -> Result<Vec<UserKeys>> {
        let (queries, asker) = (queries.to_vec(), asker.map(ToOwned::to_owned));
        let cache = self.user_keys();
        self.read_view_of(queries.len() > MANY, move |view, horizon| {
            queries.iter().map(|query| cache.read(view, horizon.position, query, asker.as_deref())).collect()
        })
        .await
    }
}
