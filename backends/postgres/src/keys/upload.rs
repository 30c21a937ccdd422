//! Uploads of keys.

use olmstead_domain::{
    json::RawJson,
    keys::device_keys::{DeviceKeysUpload, merge_upload},
};
use olmstead_storage::{
    StorageError,
    devices::DeviceRef,
    keys::{KeysUpload, UploadOutcome},
};

use crate::{
    command::Command,
    device_lists::remove_master_signature,
    error::Done,
    rows::{Columns as _, number},
};

use super::pools::Pools;

/// Stores an upload. Needs the lock of the device's pools, and with identity keys that of the user, unless nobody else
/// knows of the device yet. When a part cannot be stored the command is discarded.
pub(crate) async fn upload(command: &mut Command, device: &DeviceRef, upload: &KeysUpload) -> Done<UploadOutcome> {
    // Holds the device against a deletion, and against claims that come without the lock.
    let row = sqlx::query("SELECT identity_keys FROM device WHERE generation = $1 FOR NO KEY UPDATE")
        .bind(number(device.generation))
        .fetch_optional(command.sql())
        .await?;
    let Some(row) = row else { return Ok(UploadOutcome::DeviceGone) };
    let mut pools = Pools::hold(command.sql(), device).await?;
    let (mut device_list_changed, mut identity_changed) = (false, false);
    if let Some(new) = &upload.device_keys {
        let merged = merge_upload(&device.user_id, &device.device_id, row.maybe_json("identity_keys")?.as_ref(), new)
            .map_err(|error| StorageError::corrupt("identity keys that are stored or were checked", error))?;
        let store = match merged {
            DeviceKeysUpload::Unchanged => None,
            DeviceKeysUpload::SignaturesOnly(keys) | DeviceKeysUpload::Changed(keys) => Some(keys),
            DeviceKeysUpload::NewIdentity(keys) => {
                identity_changed = true;
                pools.clear(command.sql(), device).await?;
                remove_master_signature(command, &device.user_id, &device.device_id).await?;
                Some(keys)
            }
        };
        if let Some(keys) = store {
            put_identity(command, device, &keys).await?;
            device_list_changed = true;
        }
    }
    let (limit, memory) = (upload.pool_limit, upload.claimed_memory);
    if let Some(taker) = pools.add(command.sql(), device, &upload.one_time_keys, limit, memory).await? {
        command.discard();
        return Ok(UploadOutcome::OneTimeKeyExists {
            key_name: taker.key_name,
            existing: taker.existing,
            uploaded: taker.uploaded,
        });
    }
    pools.set_fallbacks(&upload.fallback_keys);
    pools.save(command, device).await?;
    Ok(UploadOutcome::Stored { counts: pools.counts(), device_list_changed, identity_changed })
}

async fn put_identity(command: &mut Command, device: &DeviceRef, keys: &RawJson) -> Done<()> {
    sqlx::query("UPDATE device SET identity_keys = $2 WHERE generation = $1")
        .bind(number(device.generation))
        .bind(keys.get())
        .execute(command.sql())
        .await?;
    command.device_list_changed(&device.user_id).await
}
