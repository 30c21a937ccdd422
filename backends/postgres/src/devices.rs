//! Devices and sessions.

use std::sync::Arc;

use async_trait::async_trait;
use olmstead_domain::position::Position;
use olmstead_storage::{
    Devices, Result,
    devices::{Device, DeviceRef, DeviceSelection, LoginOutcome, NewSession, Session, TokenHash},
};
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use sqlx::{PgConnection, Row as _, postgres::PgRow};

use crate::{
    PostgresStore,
    accounts::is_active,
    command::Command,
    device_lists::{self, Taken},
    error::Done,
    locks::Locks,
    rows::{At as _, Columns as _, damaged, number, numbered},
    store::{command, read},
    text::stored,
    tokens::{self, NewPair},
};

/// Makes a device. Its generation is a number that no other ever gets.
pub(crate) async fn create_device(
    sql: &mut PgConnection,
    user_id: &UserId,
    device_id: &DeviceId,
    display_name: Option<&str>,
    created_at: u64,
    dehydrated_data: Option<&str>,
) -> Done<DeviceRef> {
    let row = sqlx::query(
        "INSERT INTO device (generation, user_id, device_id, display_name, created_at, dehydrated_data)
         VALUES (nextval('device_generation'), $1, $2, $3, $4, $5) RETURNING generation",
    )
    .bind(user_id.as_str())
    .bind(stored(device_id.as_str()))
    .bind(display_name.map(stored))
    .bind(number(created_at))
    .bind(dehydrated_data)
    .fetch_one(sql)
    .await?;
    Ok(DeviceRef { user_id: user_id.to_owned(), device_id: device_id.to_owned(), generation: row.count("generation")? })
}

/// Whether an id is a public key that is or was in the user's cross-signing set (DEV-13).
pub(crate) async fn is_cross_signing_key(sql: &mut PgConnection, user_id: &UserId, device_id: &DeviceId) -> Done<bool> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT FROM cross_signing_id WHERE user_id = $1 AND public_key = $2)")
        .bind(user_id.as_str())
        .bind(stored(device_id.as_str()))
        .fetch_one(sql)
        .await?)
}

/// Whether the user has so many devices, dehydrated ones aside.
async fn has_devices(sql: &mut PgConnection, user_id: &UserId, many: usize) -> Done<bool> {
    let Ok(many) = i64::try_from(many) else { return Ok(false) };
    Ok(sqlx::query_scalar("SELECT count(*) >= $2 FROM device WHERE user_id = $1 AND dehydrated_data IS NULL")
        .bind(user_id.as_str())
        .bind(many)
        .fetch_one(sql)
        .await?)
}

/// Begins a session of a user whose account is known to be there, under the lock of the user.
pub(crate) async fn begin_session(command: &mut Command, user_id: &UserId, session: &NewSession) -> Done<LoginOutcome> {
    let device_id = &session.device_id;
    if is_cross_signing_key(command.sql(), user_id, device_id).await? {
        return Ok(LoginOutcome::IdIsCrossSigningKey);
    }
    let known = sqlx::query(
        "SELECT generation, dehydrated_data IS NOT NULL AS dehydrated FROM device
         WHERE user_id = $1 AND device_id = $2",
    )
    .bind(user_id.as_str())
    .bind(stored(device_id.as_str()))
    .fetch_optional(command.sql())
    .await?;
    let (known, dehydrated) = match known {
        Some(row) if row.flag("dehydrated")? => (None, true),
        Some(row) => (Some(row.count("generation")?), false),
        None => (None, false),
    };
    let device = match known {
        Some(generation) => {
            let device = DeviceRef { user_id: user_id.to_owned(), device_id: device_id.clone(), generation };
            tokens::replace_all(command.sql(), &device).await?;
            device
        }
        None => {
            if has_devices(command.sql(), user_id, session.most_devices).await? {
                return Ok(LoginOutcome::TooManyDevices);
            }
            if dehydrated {
                device_lists::delete(command, user_id, Taken::Dehydrated).await?;
            }
            let name = session.initial_display_name.as_deref();
            create_device(command.sql(), user_id, device_id, name, session.now, None).await?
        }
    };
    tokens::begin(command.sql(), &device, &session.into(), false).await?;
    Ok(LoginOutcome::LoggedIn { device, existing: known.is_some() })
}

/// The sessions of access tokens, in the order asked.
async fn sessions(sql: &mut PgConnection, tokens: &[Arc<TokenHash>]) -> Done<Vec<Result<Option<Session>>>> {
    let rows = sqlx::query(
        "SELECT w.number, f.* FROM unnest($1::bytea[]) WITH ORDINALITY AS w (hash, number) CROSS JOIN LATERAL (
             SELECT d.user_id, d.device_id, d.generation, t.expires_at, t.retires, a.guest, a.locked, a.suspended,
                 a.admin, s.at
             FROM token t JOIN device d USING (generation) JOIN account a USING (user_id)
                 LEFT JOIN device_seen s USING (generation)
             WHERE t.hash = w.hash AND NOT t.refresh OFFSET 0
         ) f",
    )
    .bind(tokens.iter().map(|token| token.as_slice()).collect::<Vec<_>>())
    .fetch_all(sql)
    .await?;
    let mut found: Vec<Result<Option<Session>>> = tokens.iter().map(|_| Ok(None)).collect();
    for row in &rows {
        let place = numbered(row)?;
        *found.get_mut(place).ok_or_else(|| damaged("number"))? = session(row).map(Some).map_err(Into::into);
    }
    Ok(found)
}

fn session(row: &PgRow) -> Done<Session> {
    Ok(Session {
        device: DeviceRef { user_id: row.id_at(1)?, device_id: row.text_at(2)?.into(), generation: row.count_at(3)? },
        access_expires_at: row.maybe_count_at(4)?,
        retires_previous: row.try_get(5)?,
        guest: row.try_get(6)?,
        locked: row.try_get(7)?,
        suspended: row.try_get(8)?,
        admin: row.try_get(9)?,
        last_seen_at: row.maybe_count_at(10)?,
    })
}

pub(crate) fn device_ref(row: &PgRow) -> Done<DeviceRef> {
    Ok(DeviceRef { user_id: row.id("user_id")?, device_id: row.id("device_id")?, generation: row.count("generation")? })
}

/// Ordinary devices of a user, or one of them.
async fn devices(sql: &mut PgConnection, user_id: &UserId, device_id: Option<&DeviceId>) -> Done<Vec<Device>> {
    sqlx::query(
        "SELECT d.user_id, d.device_id, d.generation, d.display_name, d.created_at, s.at, s.ip
         FROM device d LEFT JOIN device_seen s USING (generation)
         WHERE d.user_id = $1 AND ($2::text IS NULL OR d.device_id = $2) AND d.dehydrated_data IS NULL
         ORDER BY d.device_id",
    )
    .bind(user_id.as_str())
    .bind(device_id.map(|id| stored(id.as_str())))
    .fetch_all(sql)
    .await?
    .iter()
    .map(|row| {
        Ok(Device {
            id: device_ref(row)?,
            display_name: row.maybe_text("display_name")?,
            created_at: row.count("created_at")?,
            last_seen_at: row.maybe_count("at")?,
            last_seen_ip: row.maybe_text("ip")?,
        })
    })
    .collect()
}

async fn refresh(command: &mut Command, old_refresh: &TokenHash, new: &NewPair) -> Done<Option<DeviceRef>> {
    let Some(used) = tokens::live(command.sql(), old_refresh, true).await? else { return Ok(None) };
    if used.retires {
        tokens::first_use(command.sql(), &used).await?;
    } else {
        tokens::bound_pairs(command.sql(), &used).await?;
    }
    tokens::begin(command.sql(), &used.device, new, true).await?;
    Ok(Some(used.device))
}

async fn rename(command: &mut Command, user_id: &UserId, device_id: &DeviceId, name: Option<&str>) -> Done<bool> {
    let row = sqlx::query(
        "SELECT display_name, identity_keys IS NOT NULL AS keyed FROM device
         WHERE user_id = $1 AND device_id = $2 AND dehydrated_data IS NULL",
    )
    .bind(user_id.as_str())
    .bind(stored(device_id.as_str()))
    .fetch_optional(command.sql())
    .await?;
    let Some(row) = row else { return Ok(false) };
    if row.maybe_text("display_name")?.as_deref() == name {
        return Ok(true);
    }
    sqlx::query("UPDATE device SET display_name = $3 WHERE user_id = $1 AND device_id = $2")
        .bind(user_id.as_str())
        .bind(stored(device_id.as_str()))
        .bind(name.map(stored))
        .execute(command.sql())
        .await?;
    if row.flag("keyed")? {
        command.device_list_changed(user_id).await?;
    }
    Ok(true)
}

/// The user whose lock a command on a token needs.
async fn owner(sql: &mut PgConnection, hash: &TokenHash, refresh: bool) -> Done<Option<OwnedUserId>> {
    Ok(tokens::live(sql, hash, refresh).await?.map(|row| row.device.user_id))
}

#[async_trait]
impl Devices for PostgresStore {
    async fn login(&self, user_id: &UserId, session: NewSession) -> Result<LoginOutcome> {
        command!(self, Locks::new().user(user_id), |command| {
            if is_active(command.sql(), user_id).await? {
                begin_session(&mut command, user_id, &session).await
            } else {
                Ok(LoginOutcome::NoAccount)
            }
        })
    }

    async fn session(&self, access: &TokenHash) -> Result<Option<Session>> {
        let make =
            |tokens: Vec<Arc<TokenHash>>| async move { read!(self, |connection| sessions(connection, &tokens).await) };
        self.batches().sessions.ask(*access, make).await
    }

    async fn refresh_session(
        &self,
        old_refresh: &TokenHash,
        new_access: TokenHash,
        new_refresh: TokenHash,
        access_expires_at: Option<u64>,
    ) -> Result<Option<DeviceRef>> {
        let Some(user_id) = read!(self, |connection| owner(connection, old_refresh, true).await)? else {
            return Ok(None);
        };
        let new = NewPair { access: new_access, access_expires_at, refresh: Some(new_refresh) };
        command!(self, Locks::new().user(&user_id), |command| refresh(&mut command, old_refresh, &new).await)
    }

    async fn retire_previous_tokens(&self, access: &TokenHash) -> Result<()> {
        let Some(user_id) = read!(self, |connection| owner(connection, access, false).await)? else {
            return Ok(());
        };
        command!(self, Locks::new().user(&user_id), |command| {
            match tokens::live(command.sql(), access, false).await? {
                Some(used) if used.retires => tokens::first_use(command.sql(), &used).await,
                _ => Ok(()),
            }
        })
    }

    async fn was_replaced(&self, token: &TokenHash) -> Result<bool> {
        read!(self, |connection| tokens::was_replaced(connection, token).await)
    }

    async fn devices(&self, user_id: &UserId) -> Result<Vec<Device>> {
        read!(self, |connection| devices(connection, user_id, None).await)
    }

    async fn device(&self, user_id: &UserId, device_id: &DeviceId) -> Result<Option<Device>> {
        read!(self, |connection| Ok(devices(connection, user_id, Some(device_id)).await?.pop()))
    }

    async fn set_device_name(&self, user_id: &UserId, device_id: &DeviceId, name: Option<String>) -> Result<bool> {
        command!(self, Locks::new().user(user_id), |command| {
            rename(&mut command, user_id, device_id, name.as_deref()).await
        })
    }

    async fn device_seen(&self, device: &DeviceRef, at: u64, ip: Option<String>) -> Result<()> {
        // Not durable at once, and only while the device is there: the lock on its row keeps it there.
        command!(self, Locks::new(), |command| {
            sqlx::query("SET LOCAL synchronous_commit = off").execute(command.sql()).await?;
            sqlx::query(
                "INSERT INTO device_seen (generation, at, ip)
                 SELECT generation, $2, $3 FROM device WHERE generation = $1 FOR KEY SHARE
                 ON CONFLICT (generation) DO UPDATE SET at = EXCLUDED.at, ip = EXCLUDED.ip",
            )
            .bind(number(device.generation))
            .bind(number(at))
            .bind(ip.as_deref().map(stored))
            .execute(command.sql())
            .await?;
            Ok(())
        })
    }

    async fn delete_devices(&self, user_id: &UserId, selection: DeviceSelection) -> Result<Vec<OwnedDeviceId>> {
        command!(self, Locks::new().user(user_id).account_data(user_id), |command| {
            device_lists::delete(&mut command, user_id, Taken::Selected(&selection)).await
        })
    }

    async fn device_list_changes(&self, from: Position, to: Position) -> Result<Vec<OwnedUserId>> {
        read!(self, |connection| device_lists::changes(connection, from, to).await)
    }
}
