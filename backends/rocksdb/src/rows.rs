//! Rows that several aggregates read: devices, device lists, and what goes with a device when it is deleted.

use olmstead_domain::{keys::signatures, position::Position};
use olmstead_storage::{
    Result, StorageError, account_data::Pusher, changes::ChangeKey, cross_signing::CrossSigningKeys, devices::DeviceRef,
};
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    command::Command,
    keys::{Key, Table},
    reads::{Reads, Span, json},
    tokens,
};

/// A device as stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DeviceRow {
    pub(crate) generation: u64,
    pub(crate) display_name: Option<String>,
    pub(crate) created_at: u64,
    /// It has no session and is not among the user's devices, but has keys and an inbox.
    #[serde(default)]
    pub(crate) dehydrated: bool,
}

/// The key of a device's row.
pub(crate) fn device_key(user_id: &UserId, device_id: &DeviceId) -> Key {
    Key::new(Table::Device).text(user_id).text(device_id)
}

/// The key of a device's identity keys.
pub(crate) fn identity_key(user_id: &UserId, device_id: &DeviceId) -> Key {
    Key::new(Table::DeviceKeys).text(user_id).text(device_id)
}

/// The device that has an id now.
pub(crate) fn device(reads: &impl Reads, user_id: &UserId, device_id: &DeviceId) -> Result<Option<DeviceRow>> {
    reads.get_json(&device_key(user_id, device_id))
}

/// A device, if it is still the one that lives under its id.
pub(crate) fn live_device(reads: &impl Reads, id: &DeviceRef) -> Result<Option<DeviceRow>> {
    Ok(device(reads, &id.user_id, &id.device_id)?.filter(|row| row.generation == id.generation))
}

/// All devices of a user, the dehydrated one too, in order of their ids.
pub(crate) fn devices(reads: &impl Reads, user_id: &UserId) -> Result<Vec<(OwnedDeviceId, DeviceRow)>> {
    let prefix = Key::new(Table::Device).text(user_id);
    let mut devices = Vec::new();
    for row in reads.scan(Span::prefix(&prefix))? {
        let (key, value) = row?;
        devices.push((prefix.parts_after(&key)?.text()?.into(), json(Table::Device, &value)?));
    }
    Ok(devices)
}

/// Notes a change of a user's device list, and tells all who may see it.
pub(crate) fn device_list_changed(command: &mut Command<'_>, user_id: &UserId) -> Result<()> {
    let position = command.position()?;
    command.put(&Key::new(Table::DeviceListLog).position(position).text(user_id), [])?;
    command.change(ChangeKey::DeviceList(user_id.to_owned()))
}

/// Notes that `named` is to be told as changed to one user alone (DL-11, DL-12).
pub(crate) fn own_device_list_changed(command: &mut Command<'_>, user_id: &UserId, named: &UserId) -> Result<()> {
    let position = command.position()?;
    command.put(&Key::new(Table::OwnDeviceList).text(user_id).position(position).text(named), [])?;
    command.change(ChangeKey::User(user_id.to_owned()))
}

/// Users whose device list changed at `from` and after, strictly below `to`, each once, in order of their ids.
pub(crate) fn device_list_changes(reads: &impl Reads, from: Position, to: Position) -> Result<Vec<OwnedUserId>> {
    let table = Key::new(Table::DeviceListLog);
    let span = Span::between(&table.clone().position(from), &table.clone().position(to));
    let mut users = Vec::new();
    for row in reads.scan(span)? {
        let (key, _) = row?;
        let mut parts = table.parts_after(&key)?;
        parts.position()?;
        users.push(parts.id()?);
    }
    users.sort_unstable();
    users.dedup();
    Ok(users)
}

/// Users to name to this user alone, noted at `from` and after, strictly below `to`, each once.
pub(crate) fn own_device_list_changes(
    reads: &impl Reads,
    user_id: &UserId,
    from: Position,
    to: Position,
) -> Result<Vec<OwnedUserId>> {
    let prefix = Key::new(Table::OwnDeviceList).text(user_id);
    let span = Span::between(&prefix.clone().position(from), &prefix.clone().position(to));
    let mut users = Vec::new();
    for row in reads.scan(span)? {
        let (key, _) = row?;
        let mut parts = prefix.parts_after(&key)?;
        parts.position()?;
        users.push(parts.id()?);
    }
    users.sort_unstable();
    users.dedup();
    Ok(users)
}

/// The key of a user's cross-signing keys.
pub(crate) fn cross_signing_key(user_id: &UserId) -> Key {
    Key::new(Table::CrossSigning).text(user_id)
}

/// A user's cross-signing keys.
pub(crate) fn cross_signing(reads: &impl Reads, user_id: &UserId) -> Result<CrossSigningKeys> {
    Ok(reads.get_json(&cross_signing_key(user_id))?.unwrap_or_default())
}

/// Deletes devices with all that is theirs (DEV-10). The user's device list changes if one had keys (DEV-11, DEV-23).
pub(crate) fn delete_devices(
    command: &mut Command<'_>,
    user_id: &UserId,
    devices: &[(OwnedDeviceId, DeviceRow)],
) -> Result<()> {
    if devices.is_empty() {
        return Ok(());
    }
    let mut keyed = false;
    for (device_id, row) in devices {
        let id = DeviceRef { user_id: user_id.to_owned(), device_id: device_id.clone(), generation: row.generation };
        tokens::end_all(command, &id)?;
        for table in [Table::Pool, Table::Inbox, Table::InboxStart, Table::Transaction, Table::DeviceSeen] {
            command.delete_prefix(&Key::new(table).device(&id))?;
        }
        if row.dehydrated {
            command.delete(&Key::new(Table::Dehydrated).text(user_id))?;
        }
        let identity = identity_key(user_id, device_id);
        if command.has(&identity)? {
            command.delete(&identity)?;
            remove_master_signature(command, &id)?;
            keyed = true;
        }
        command.delete(&device_key(user_id, device_id))?;
        // Its waiting sync finds out that it is gone.
        command.change(ChangeKey::Device(user_id.to_owned(), device_id.clone()))?;
    }
    delete_pushers(command, user_id, |pusher| {
        devices.iter().any(|(id, row)| *id == pusher.device.device_id && row.generation == pusher.device.generation)
    })?;
    if keyed { device_list_changed(command, user_id) } else { Ok(()) }
}

/// Takes a device's signature off its user's master key.
pub(crate) fn remove_master_signature(command: &mut Command<'_>, device: &DeviceRef) -> Result<()> {
    let mut keys = cross_signing(command, &device.user_id)?;
    let Some(master) = &keys.master else { return Ok(()) };
    let damaged = |error| StorageError::corrupt(format!("the master key of {}", device.user_id), error);
    let without = signatures::without_device(master, &device.user_id, &device.device_id).map_err(damaged)?;
    let Some(without) = without else { return Ok(()) };
    keys.master = Some(without);
    keys.revision += 1;
    command.put_json(&cross_signing_key(&device.user_id), &keys)
}

/// Deletes those of a user's pushers that `which` picks. Needs the lock of the user.
pub(crate) fn delete_pushers(
    command: &mut Command<'_>,
    user_id: &UserId,
    which: impl Fn(&Pusher) -> bool,
) -> Result<()> {
    let prefix = Key::new(Table::Pusher).text(user_id);
    let mut gone = Vec::new();
    for row in command.scan(Span::prefix(&prefix))? {
        let pusher: Pusher = json(Table::Pusher, &row?.1)?;
        if which(&pusher) {
            gone.push(pusher);
        }
    }
    for pusher in gone {
        command.delete(&prefix.clone().text(&pusher.app_id).text(&pusher.pushkey))?;
        command.delete(&Key::new(Table::PusherByKey).text(&pusher.app_id).text(&pusher.pushkey).text(user_id))?;
    }
    Ok(())
}
