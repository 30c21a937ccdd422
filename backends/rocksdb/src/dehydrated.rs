//! Dehydrated devices.

use async_trait::async_trait;
use olmstead_domain::json::RawJson;
use olmstead_storage::{
    DehydratedDevices, Result,
    dehydrated::DehydratedDevice,
    devices::DeviceRef,
    keys::{KeysUpload, UploadOutcome},
};
use ruma::{OwnedDeviceId, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    RocksStore,
    accounts::is_active,
    device_keys::upload,
    devices::{create_device, is_cross_signing_key},
    keys::{Key, Table},
    locks::Locks,
    reads::Reads,
    rows,
};

/// A dehydrated device as stored, beside its row as a device.
#[derive(Debug, Serialize, Deserialize)]
struct DehydratedRow {
    device_id: OwnedDeviceId,
    generation: u64,
    device_data: RawJson,
}

fn dehydrated_key(user_id: &UserId) -> Key {
    Key::new(Table::Dehydrated).text(user_id)
}

#[async_trait]
impl DehydratedDevices for RocksStore {
    async fn put_dehydrated_device(
        &self,
        user_id: &UserId,
        device_id: OwnedDeviceId,
        device_data: RawJson,
        display_name: Option<String>,
        keys: KeysUpload,
        now: u64,
    ) -> Result<Option<UploadOutcome>> {
        let user_id = user_id.to_owned();
        let locks = Locks::new().user(&user_id).account_data(&user_id);
        self.command(locks, move |command| {
            if !is_active(command, &user_id)? {
                return Ok(Some(UploadOutcome::DeviceGone));
            }
            let devices = rows::devices(command, &user_id)?;
            let ordinary = devices.iter().any(|(id, row)| *id == device_id && !row.dehydrated);
            if ordinary || is_cross_signing_key(command, &user_id, &device_id)? {
                return Ok(None);
            }
            let before: Vec<_> = devices.into_iter().filter(|(_, row)| row.dehydrated).collect();
            rows::delete_devices(command, &user_id, &before)?;
            let device = create_device(command, &user_id, &device_id, display_name.clone(), now, true)?;
            let row = DehydratedRow {
                device_id: device_id.clone(),
                generation: device.generation,
                device_data: device_data.clone(),
            };
            command.put_json(&dehydrated_key(&user_id), &row)?;
            let outcome = upload(command, &device, &keys)?;
            if !matches!(outcome, UploadOutcome::Stored { .. }) {
                command.discard();
            }
            Ok(Some(outcome))
        })
        .await
    }

    async fn dehydrated_device(&self, user_id: &UserId) -> Result<Option<DehydratedDevice>> {
        let user_id = user_id.to_owned();
        self.read(move |view| {
            let row: Option<DehydratedRow> = view.get_json(&dehydrated_key(&user_id))?;
            Ok(row.map(|DehydratedRow { device_id, generation, device_data }| DehydratedDevice {
                device: DeviceRef { user_id: user_id.clone(), device_id, generation },
                device_data,
            }))
        })
        .await
    }

    async fn delete_dehydrated_device(&self, user_id: &UserId) -> Result<Option<OwnedDeviceId>> {
        let user_id = user_id.to_owned();
        self.command(Locks::new().user(&user_id).account_data(&user_id), move |command| {
            let mut devices = rows::devices(command, &user_id)?;
            devices.retain(|(_, row)| row.dehydrated);
            rows::delete_devices(command, &user_id, &devices)?;
            Ok(devices.into_iter().next().map(|(id, _)| id))
        })
        .await
    }
}
