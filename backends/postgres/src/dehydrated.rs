//! Dehydrated devices.

use async_trait::async_trait;
use olmstead_domain::json::RawJson;
use olmstead_storage::{
    DehydratedDevices, Result,
    dehydrated::DehydratedDevice,
    devices::DeviceRef,
    keys::{KeysUpload, UploadOutcome},
};
use ruma::{DeviceId, OwnedDeviceId, UserId};
use sqlx::PgConnection;

use crate::{
    PostgresStore,
    accounts::is_active,
    command::Command,
    device_lists::{self, Taken},
    devices::{create_device, is_cross_signing_key},
    error::Done,
    keys::upload,
    locks::Locks,
    rows::Columns as _,
    store::{command, read},
    text::stored,
};

/// A dehydrated device to be.
struct NewDevice<'a> {
    device_id: &'a DeviceId,
    device_data: &'a RawJson,
    display_name: Option<&'a str>,
    now: u64,
}

async fn put(
    command: &mut Command,
    user_id: &UserId,
    new: NewDevice<'_>,
    keys: &KeysUpload,
) -> Done<Option<UploadOutcome>> {
    if !is_active(command.sql(), user_id).await? {
        return Ok(Some(UploadOutcome::DeviceGone));
    }
    let ordinary: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM device WHERE user_id = $1 AND device_id = $2 AND dehydrated_data IS NULL)",
    )
    .bind(user_id.as_str())
    .bind(stored(new.device_id.as_str()))
    .fetch_one(command.sql())
    .await?;
    if ordinary || is_cross_signing_key(command.sql(), user_id, new.device_id).await? {
        return Ok(None);
    }
    device_lists::delete(command, user_id, Taken::Dehydrated).await?;
    let data = Some(new.device_data.get());
    let device = create_device(command.sql(), user_id, new.device_id, new.display_name, new.now, data).await?;
    upload(command, &device, keys).await.map(Some)
}

async fn dehydrated(sql: &mut PgConnection, user_id: &UserId) -> Done<Option<DehydratedDevice>> {
    let row = sqlx::query(
        "SELECT generation, device_id, dehydrated_data FROM device
         WHERE user_id = $1 AND dehydrated_data IS NOT NULL",
    )
    .bind(user_id.as_str())
    .fetch_optional(sql)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let device = DeviceRef {
        user_id: user_id.to_owned(),
        device_id: row.id("device_id")?,
        generation: row.count("generation")?,
    };
    Ok(Some(DehydratedDevice { device, device_data: row.json("dehydrated_data")? }))
}

/// What a command that deletes a device locks.
fn locks(user_id: &UserId) -> Locks {
    Locks::new().user(user_id).account_data(user_id)
}

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
        command!(self, locks(user_id), |command| {
            let (device_id, display_name) = (&*device_id, display_name.as_deref());
            put(&mut command, user_id, NewDevice { device_id, device_data: &device_data, display_name, now }, &keys)
                .await
        })
    }

    async fn dehydrated_device(&self, user_id: &UserId) -> Result<Option<DehydratedDevice>> {
        read!(self, |connection| dehydrated(connection, user_id).await)
    }

    async fn delete_dehydrated_device(&self, user_id: &UserId) -> Result<Option<OwnedDeviceId>> {
        command!(self, locks(user_id), |command| {
            Ok(device_lists::delete(&mut command, user_id, Taken::Dehydrated).await?.pop())
        })
    }
}
