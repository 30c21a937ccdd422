//! The stream of changes, see [`crate::stream`].

use async_trait::async_trait;
use olmstead_domain::position::{Epoch, Position};
use olmstead_storage::{
    Changes, Result,
    changes::{ChangeKey, Changed, Horizon},
};
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use tokio::sync::watch;

use crate::{
    PostgresStore,
    error::{Done, Failure},
    rows::{Columns as _, damaged, place},
    store::read,
    text::stored_all,
};

/// A span with more changes than this is answered with "everything".
const MANY: i64 = 65_536;

/// The kind of [`ChangeKey::Device`] in a row, for statements that write the log themselves.
pub(crate) const DEVICE: i16 = 2;

/// A key as a row: kind, subject, detail.
fn row(key: &ChangeKey) -> (i16, &str, &str) {
    match key {
        ChangeKey::User(user_id) => (1, user_id.as_str(), ""),
        ChangeKey::Device(user_id, device_id) => (DEVICE, user_id.as_str(), device_id.as_str()),
        ChangeKey::DeviceList(user_id) => (3, user_id.as_str(), ""),
        ChangeKey::Room(room_id) => (4, room_id.as_str(), ""),
        ChangeKey::Membership(room_id, user_id) => (5, room_id.as_str(), user_id.as_str()),
        ChangeKey::Presence(user_id) => (6, user_id.as_str(), ""),
    }
}

fn key(row: &PgRow) -> Done<ChangeKey> {
    Ok(match row.small("kind")? {
        1 => ChangeKey::User(row.id("subject")?),
        DEVICE => ChangeKey::Device(row.id("subject")?, row.id("detail")?),
        3 => ChangeKey::DeviceList(row.id("subject")?),
        4 => ChangeKey::Room(row.id("subject")?),
        5 => ChangeKey::Membership(row.id("subject")?, row.id("detail")?),
        6 => ChangeKey::Presence(row.id("subject")?),
        _ => return Err(damaged("kind")),
    })
}

/// Keys as columns of the log: kinds, subjects, details.
pub(crate) fn columns(keys: &[ChangeKey]) -> (Vec<i16>, Vec<String>, Vec<String>) {
    let rows = keys.iter().map(row);
    let kinds = rows.clone().map(|(kind, ..)| kind).collect();
    let subjects = stored_all(rows.clone().map(|(_, subject, _)| subject));
    (kinds, subjects, stored_all(rows.map(|(.., detail)| detail)))
}

/// Writes whom a command's changes touch.
pub(crate) async fn write(connection: &mut PgConnection, position: i64, keys: &[ChangeKey]) -> Done<()> {
    let (kinds, subjects, details) = columns(keys);
    sqlx::query(
        "INSERT INTO change_log (position, kind, subject, detail)
         SELECT $1, * FROM unnest($2::smallint[], $3::text[], $4::text[])",
    )
    .bind(position)
    .bind(kinds)
    .bind(subjects)
    .bind(details)
    .execute(connection)
    .await?;
    Ok(())
}

/// The horizon of the view of a statement or transaction, and the base of its positions.
pub(crate) async fn horizon(connection: &mut PgConnection) -> Done<(Horizon, i64)> {
    // The text of `horizon_now()`: a function would be planned anew at every call.
    let row = sqlx::query(
        "SELECT epoch, base, base + pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon FROM running",
    )
    .fetch_optional(connection)
    .await?
    .ok_or(Failure::NotRunning)?;
    let horizon = Horizon { epoch: Epoch(row.count("epoch")?), position: row.place("horizon")? };
    Ok((horizon, row.try_get("base")?))
}

async fn changed(connection: &mut PgConnection, from: Position, to: Position) -> Done<Changed> {
    // One statement, so one view: what is pruned meanwhile cannot be missed.
    let rows = sqlx::query(
        "SELECT f.position <= $1 AS known, c.kind, c.subject, c.detail
         FROM change_floor f LEFT JOIN LATERAL (
             SELECT kind, subject, detail FROM change_log WHERE position >= $1 AND position < $2 LIMIT $3
         ) c ON f.position <= $1",
    )
    .bind(place(from))
    .bind(place(to))
    .bind(MANY)
    .fetch_all(connection)
    .await?;
    if rows.len() >= usize::try_from(MANY).unwrap_or(usize::MAX) {
        return Ok(Changed::Everything);
    }
    let mut keys = Vec::with_capacity(rows.len());
    for row in &rows {
        if !row.flag("known")? {
            return Ok(Changed::Everything);
        }
        if row.try_get::<Option<i16>, _>("kind")?.is_some() {
            keys.push(key(row)?);
        }
    }
    Ok(Changed::Keys(keys))
}

#[async_trait]
impl Changes for PostgresStore {
    async fn horizon(&self) -> Result<Horizon> {
        let (horizon, base) = read!(self, |connection| horizon(connection).await)?;
        self.stream().saw(horizon.position, base);
        Ok(horizon)
    }

    async fn changed(&self, from: Position, to: Position) -> Result<Changed> {
        if to <= from {
            return Ok(Changed::Keys(Vec::new()));
        }
        read!(self, |connection| changed(connection, from, to).await)
    }

    fn hint(&self) -> watch::Receiver<Position> {
        self.stream().hint()
    }
}
