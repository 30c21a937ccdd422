//! Devices and sessions.

use async_trait::async_trait;
use olmstead_domain::position::Position;
use olmstead_storage::{
    Devices, Result,
    accounts::Account,
    devices::{Device, DeviceRef, DeviceSelection, LoginOutcome, NewSession, Session, TokenHash},
};
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    RocksStore,
    accounts::{account_key, is_active},
    command::Command,
    keys::{Key, Table},
    locks::Locks,
    reads::Reads,
    rows::{self, DeviceRow},
    tokens::{self, Kind, NewPair, TokenRow},
};

/// When and from where a device was seen.
#[derive(Debug, Serialize, Deserialize)]
struct SeenRow {
    at: u64,
    ip: Option<String>,
}

fn seen_key(device: &DeviceRef) -> Key {
    Key::new(Table::DeviceSeen).device(device)
}

pub(crate) fn shown(reads: &impl Reads, user_id: &UserId, device_id: OwnedDeviceId, row: DeviceRow) -> Result<Device> {
    let id = DeviceRef { user_id: user_id.to_owned(), device_id, generation: row.generation };
    let seen: Option<SeenRow> = reads.get_json(&seen_key(&id))?;
    let (last_seen_at, last_seen_ip) = seen.map_or((None, None), |seen| (Some(seen.at), seen.ip));
    Ok(Device { id, display_name: row.display_name, created_at: row.created_at, last_seen_at, last_seen_ip })
}

/// Makes a device. Its generation is the position of the commit, which no other has.
pub(crate) fn create_device(
    command: &mut Command<'_>,
    user_id: &UserId,
    device_id: &DeviceId,
    display_name: Option<String>,
    created_at: u64,
    dehydrated: bool,
) -> Result<DeviceRef> {
    let generation = command.position()?.0;
    let row = DeviceRow { generation, display_name, created_at, dehydrated };
    command.put_json(&rows::device_key(user_id, device_id), &row)?;
    Ok(DeviceRef { user_id: user_id.to_owned(), device_id: device_id.to_owned(), generation })
}

/// Whether an id is a public key that is or was in the user's cross-signing set (DEV-13).
pub(crate) fn is_cross_signing_key(reads: &impl Reads, user_id: &UserId, device_id: &DeviceId) -> Result<bool> {
    reads.has(&Key::new(Table::CrossSigningId).text(user_id).text(device_id))
}

/// Begins a session of a user whose account is known to be there.
pub(crate) fn begin_session(command: &mut Command<'_>, user_id: &UserId, session: &NewSession) -> Result<LoginOutcome> {
    let device_id = &session.device_id;
    if is_cross_signing_key(command, user_id, device_id)? {
        return Ok(LoginOutcome::IdIsCrossSigningKey);
    }
    let (known, dehydrated) = match rows::device(command, user_id, device_id)? {
        Some(row) if row.dehydrated => (None, Some(row)),
        known => (known, None),
    };
    let existing = known.is_some();
    let device = match known {
        Some(row) => {
            let device =
                DeviceRef { user_id: user_id.to_owned(), device_id: device_id.clone(), generation: row.generation };
            tokens::replace_all(command, &device)?;
            device
        }
        None => {
            let others = rows::devices(command, user_id)?.into_iter().filter(|(_, row)| !row.dehydrated).count();
            if others >= session.most_devices {
                return Ok(LoginOutcome::TooManyDevices);
            }
            if let Some(row) = dehydrated {
                rows::delete_devices(command, user_id, &[(device_id.clone(), row)])?;
            }
            let name = session.initial_display_name.clone();
            create_device(command, user_id, device_id, name, session.now, false)?
        }
    };
    tokens::begin(command, &device, &session.into(), false)?;
    Ok(LoginOutcome::LoggedIn { device, existing })
}

/// The devices that a selection takes, a dehydrated one, too.
pub(crate) fn select(
    reads: &impl Reads,
    user_id: &UserId,
    selection: &DeviceSelection,
) -> Result<Vec<(OwnedDeviceId, DeviceRow)>> {
    let mut devices = rows::devices(reads, user_id)?;
    devices.retain(|(id, _)| match selection {
        DeviceSelection::These(ids) => ids.contains(id),
        DeviceSelection::AllBut(kept) => id != kept,
        DeviceSelection::All => true,
    });
    Ok(devices)
}

/// A token of a kind whose device lives.
fn live_token(reads: &impl Reads, hash: &TokenHash, kind: Kind) -> Result<Option<(TokenRow, DeviceRow)>> {
    let Some(row) = tokens::token(reads, hash)?.filter(|row| row.kind == kind) else { return Ok(None) };
    Ok(rows::live_device(reads, &row.device)?.map(|device| (row, device)))
}

#[async_trait]
impl Devices for RocksStore {
    async fn login(&self, user_id: &UserId, session: NewSession) -> Result<LoginOutcome> {
        let user_id = user_id.to_owned();
        self.command(Locks::new().user(&user_id), move |command| {
            if is_active(command, &user_id)? {
                begin_session(command, &user_id, &session)
            } else {
                Ok(LoginOutcome::NoAccount)
            }
        })
        .await
    }

    async fn session(&self, access: &TokenHash) -> Result<Option<Session>> {
        let access = *access;
        self.read(move |view| {
            let Some((token, _)) = live_token(view, &access, Kind::Access)? else { return Ok(None) };
            let Some(account) = view.get_json::<Account>(&account_key(&token.device.user_id))? else {
                return Ok(None);
            };
            let seen: Option<SeenRow> = view.get_json(&seen_key(&token.device))?;
            Ok(Some(Session {
                device: token.device,
                access_expires_at: token.expires_at,
                retires_previous: token.retires,
                guest: account.guest,
                locked: account.locked,
                suspended: account.suspended,
                admin: account.admin,
                last_seen_at: seen.map(|seen| seen.at),
            }))
        })
        .await
    }

    async fn refresh_session(
        &self,
        old_refresh: &TokenHash,
        new_access: TokenHash,
        new_refresh: TokenHash,
        access_expires_at: Option<u64>,
    ) -> Result<Option<DeviceRef>> {
        let old_refresh = *old_refresh;
        let Some(known) = self.read(move |view| tokens::token(view, &old_refresh)).await? else { return Ok(None) };
        self.command(Locks::new().user(&known.device.user_id), move |command| {
            let Some((used, _)) = live_token(command, &old_refresh, Kind::Refresh)? else { return Ok(None) };
            if used.retires {
                tokens::first_use(command, &used)?;
            } else {
                tokens::bound_pairs(command, &used)?;
            }
            let pair = NewPair { access: new_access, access_expires_at, refresh: Some(new_refresh) };
            tokens::begin(command, &used.device, &pair, true)?;
            Ok(Some(used.device))
        })
        .await
    }

    async fn retire_previous_tokens(&self, access: &TokenHash) -> Result<()> {
        let access = *access;
        let Some(known) = self.read(move |view| tokens::token(view, &access)).await? else { return Ok(()) };
        self.command(Locks::new().user(&known.device.user_id), move |command| {
            match live_token(command, &access, Kind::Access)? {
                Some((used, _)) if used.retires => tokens::first_use(command, &used),
                _ => Ok(()),
            }
        })
        .await
    }

    async fn was_replaced(&self, token: &TokenHash) -> Result<bool> {
        let token = *token;
        self.read(move |view| match tokens::replaced(view, &token)? {
            Some(device) => Ok(rows::live_device(view, &device)?.is_some()),
            None => Ok(false),
        })
        .await
    }

    async fn devices(&self, user_id: &UserId) -> Result<Vec<Device>> {
        let user_id = user_id.to_owned();
        self.read_view(move |view, _| {
            let devices = rows::devices(view, &user_id)?.into_iter().filter(|(_, row)| !row.dehydrated);
            devices.map(|(id, row)| shown(view, &user_id, id, row)).collect()
        })
        .await
    }

    async fn device(&self, user_id: &UserId, device_id: &DeviceId) -> Result<Option<Device>> {
        let (user_id, device_id) = (user_id.to_owned(), device_id.to_owned());
        self.read(move |view| {
            let row = rows::device(view, &user_id, &device_id)?.filter(|row| !row.dehydrated);
            row.map(|row| shown(view, &user_id, device_id.clone(), row)).transpose()
        })
        .await
    }

    async fn set_device_name(&self, user_id: &UserId, device_id: &DeviceId, name: Option<String>) -> Result<bool> {
        let (user_id, device_id) = (user_id.to_owned(), device_id.to_owned());
        self.command(Locks::new().user(&user_id), move |command| {
            let row = rows::device(command, &user_id, &device_id)?.filter(|row| !row.dehydrated);
            let Some(mut row) = row else { return Ok(false) };
            if row.display_name == name {
                return Ok(true);
            }
            row.display_name.clone_from(&name);
            command.put_json(&rows::device_key(&user_id, &device_id), &row)?;
            if command.has(&rows::identity_key(&user_id, &device_id))? {
                rows::device_list_changed(command, &user_id)?;
            }
            Ok(true)
        })
        .await
    }

    async fn device_seen(&self, device: &DeviceRef, at: u64, ip: Option<String>) -> Result<()> {
        let device = device.clone();
        self.relaxed_command(Locks::new().user_shared(&device.user_id), move |command| {
            if rows::live_device(command, &device)?.is_none() {
                return Ok(());
            }
            command.put_json(&seen_key(&device), &SeenRow { at, ip: ip.clone() })
        })
        .await
    }

    async fn delete_devices(&self, user_id: &UserId, selection: DeviceSelection) -> Result<Vec<OwnedDeviceId>> {
        let user_id = user_id.to_owned();
        self.command(Locks::new().user(&user_id).account_data(&user_id), move |command| {
            let devices = select(command, &user_id, &selection)?;
            rows::delete_devices(command, &user_id, &devices)?;
            Ok(devices.into_iter().map(|(id, _)| id).collect())
        })
        .await
    }

    async fn device_list_changes(&self, from: Position, to: Position) -> Result<Vec<OwnedUserId>> {
        self.read(move |view| rows::device_list_changes(view, from, to)).await
    }
}
