//! The keys of users as they are asked for: read, and kept for the next who asks.

use std::{collections::BTreeSet, sync::Arc};

use olmstead_domain::{json::RawJson, position::Position};
use olmstead_storage::{
    Result,
    cross_signing::CrossSigningKeys,
    keys::{DeviceKeysRow, KeyQuery, UserKeys},
};
use ruma::{OwnedDeviceId, OwnedUserId, UserId};

use crate::{
    accounts::account_key,
    cross_signing::foreign_signatures,
    keys::{Key, Table},
    lately::Lately,
    reads::{Reads, Span, View, raw},
    rows,
};

/// Bytes of keys that are kept.
const KEPT: usize = 32 << 20;
/// What a device takes besides its keys, about.
const DEVICE: usize = 256;
/// What a user takes besides the devices, about.
const USER: usize = 512;

/// What every asker is answered from.
struct Kept {
    is_known: bool,
    /// Those that have identity keys.
    devices: Vec<DeviceKeysRow>,
    device_ids: BTreeSet<OwnedDeviceId>,
    cross_signing: CrossSigningKeys,
    /// Whether others signed the master key.
    is_signed: bool,
}

impl Kept {
    fn read(view: &View<'_>, user_id: &UserId) -> Result<Self> {
        let prefix = Key::new(Table::DeviceKeys).text(user_id);
        let mut devices = Vec::new();
        for row in view.scan(Span::prefix(&prefix))? {
            let (key, value) = row?;
            let device_id: OwnedDeviceId = prefix.parts_after(&key)?.text()?.into();
            devices.push((device_id, raw(Table::DeviceKeys, value)?));
        }
        let device_ids = devices.iter().map(|(device_id, _)| device_id.clone()).collect();
        let named = |(device_id, keys): (OwnedDeviceId, RawJson)| {
            let display_name = rows::device(view, user_id, &device_id)?.and_then(|row| row.display_name);
            Ok(DeviceKeysRow { device_id, keys, display_name })
        };
        let devices = devices.into_iter().map(named).collect::<Result<_>>()?;
        let cross_signing = rows::cross_signing(view, user_id)?;
        let is_signed = match view.scan(Span::prefix(&signatures(user_id)))?.next() {
            Some(row) => row.map(|_| true)?,
            None => false,
        };
        Ok(Self { is_known: view.has(&account_key(user_id))?, devices, device_ids, cross_signing, is_signed })
    }

    fn weight(&self) -> usize {
        let keys = &self.cross_signing;
        let own = [&keys.master, &keys.self_signing, &keys.user_signing];
        let own: usize = own.into_iter().flatten().map(|key| key.get().len()).sum();
        let devices: usize = self.devices.iter().map(|device| device.keys.get().len() + DEVICE).sum();
        own + devices + USER
    }
}

/// Signatures of others on a user's master key.
fn signatures(user_id: &UserId) -> Key {
    Key::new(Table::ForeignSignature).text(user_id)
}

/// Keys of users that were asked for lately, each with the horizon of the view they were read from. They are right as
/// long as [`crate::newest::Newest`] knows of nothing that was written since to any of the tables they come from.
pub(crate) struct UserKeysCache(Lately<OwnedUserId, (Position, Arc<Kept>)>);

impl Default for UserKeysCache {
    fn default() -> Self {
        Self(Lately::new(KEPT))
    }
}

impl UserKeysCache {
    /// A user's keys as they are in a view with this horizon.
    pub(crate) fn read(
        &self,
        view: &View<'_>,
        horizon: Position,
        query: &KeyQuery,
        asker: Option<&UserId>,
    ) -> Result<UserKeys> {
        let user_id = &query.user_id;
        let kept = self.kept(view, horizon, user_id)?;
        // A set: who asks may name very many.
        let asked: BTreeSet<&OwnedDeviceId> = query.device_ids.iter().collect();
        let is_asked = |row: &&DeviceKeysRow| asked.is_empty() || asked.contains(&row.device_id);
        let devices = kept.devices.iter().filter(is_asked).cloned().collect();
        let asker_signatures = match asker {
            Some(asker) if kept.is_signed && asker != user_id => foreign_signatures(view, user_id, asker)?,
            _ => Vec::new(),
        };
        Ok(UserKeys {
            known: kept.is_known,
            keyed_devices: kept.device_ids.clone(),
            devices,
            cross_signing: kept.cross_signing.clone(),
            asker_signatures,
        })
    }

    fn kept(&self, view: &View<'_>, horizon: Position, user_id: &UserId) -> Result<Arc<Kept>> {
        let tables = || {
            let of = |table| Key::new(table).text(user_id);
            [Table::Account, Table::Device, Table::DeviceKeys, Table::CrossSigning, Table::ForeignSignature].map(of)
        };
        if let Some((as_of, kept)) = self.0.get(user_id)
            && tables().iter().all(|table| view.is_unwritten(table, as_of))
        {
            return Ok(kept);
        }
        let kept = Arc::new(Kept::read(view, user_id)?);
        self.0.put(user_id.to_owned(), (horizon, Arc::clone(&kept)), kept.weight());
        Ok(kept)
    }
}
