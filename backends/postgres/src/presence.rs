//! Presence, and who counts as there because of syncing.

use olmstead_domain::position::Position;
use olmstead_storage::{
    changes::ChangeKey,
    ephemeral::{Presence, Syncing},
};
use ruma::{OwnedUserId, UserId};
use sqlx::{PgConnection, postgres::PgRow};

use crate::{
    command::Command,
    error::Done,
    locks::Locks,
    rows::{Columns as _, number, place},
    text::{stored, stored_all},
};

const ONLINE: &str = "online";
const OFFLINE: &str = "offline";

/// How many ends are written at once.
const ENDS: i64 = 128;

/// The lock of a user's presence.
pub(crate) fn lock(user_id: &UserId) -> Locks {
    Locks::new().name("presence", user_id.as_str())
}

fn read(row: &PgRow) -> Done<Presence> {
    Ok(Presence {
        user_id: row.id("user_id")?,
        presence: row.text("presence")?,
        status_msg: row.maybe_text("status_msg")?,
        last_active_at: row.count("last_active_at")?,
        position: row.place("position")?,
    })
}

/// Presence of one user.
pub(crate) async fn presence(sql: &mut PgConnection, user_id: &UserId) -> Done<Option<Presence>> {
    let row =
        sqlx::query("SELECT user_id, presence, status_msg, last_active_at, position FROM presence WHERE user_id = $1")
            .bind(user_id.as_str())
            .fetch_optional(sql)
            .await?;
    row.as_ref().map(read).transpose()
}

/// Presence set in a span, in the order it was set.
pub(crate) async fn between(sql: &mut PgConnection, from: Position, to: Position) -> Done<Vec<Presence>> {
    sqlx::query(
        "SELECT user_id, presence, status_msg, last_active_at, position FROM presence
         WHERE position >= $1 AND position < $2 ORDER BY position, user_id",
    )
    .bind(place(from))
    .bind(place(to))
    .fetch_all(sql)
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Sets presence.
pub(crate) async fn set(command: &mut Command, presence: &Presence) -> Done<()> {
    let position = command.place().await?;
    sqlx::query(
        "INSERT INTO presence (user_id, presence, status_msg, last_active_at, position) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (user_id) DO UPDATE SET presence = EXCLUDED.presence, status_msg = EXCLUDED.status_msg,
             last_active_at = EXCLUDED.last_active_at, position = EXCLUDED.position",
    )
    .bind(presence.user_id.as_str())
    .bind(stored(&presence.presence))
    .bind(presence.status_msg.as_deref().map(stored))
    .bind(number(presence.last_active_at))
    .bind(position)
    .execute(command.sql())
    .await?;
    command.change(ChangeKey::Presence(presence.user_id.clone()));
    Ok(())
}

/// Sets the presence of users who began or ended to sync, where it is another.
async fn turn(command: &mut Command, users: &[OwnedUserId], state: &str, now: u64) -> Done<()> {
    let turned = sqlx::query(
        "SELECT u.user_id FROM unnest($1::text[]) AS u (user_id) LEFT JOIN presence p USING (user_id)
         WHERE p.presence IS DISTINCT FROM $2 ORDER BY u.user_id",
    )
    .bind(stored_all(users))
    .bind(stored(state))
    .fetch_all(command.sql())
    .await?;
    if turned.is_empty() {
        return Ok(());
    }
    let turned = turned.iter().map(|row| row.id("user_id")).collect::<Done<Vec<OwnedUserId>>>()?;
    let position = command.place().await?;
    sqlx::query(
        "INSERT INTO presence AS p (user_id, presence, last_active_at, position)
         SELECT user_id, $2, $3, $4 FROM unnest($1::text[]) AS u (user_id)
         ON CONFLICT (user_id) DO UPDATE SET presence = EXCLUDED.presence, position = EXCLUDED.position,
             last_active_at = CASE WHEN $5 THEN EXCLUDED.last_active_at ELSE p.last_active_at END",
    )
    .bind(stored_all(&turned))
    .bind(stored(state))
    .bind(number(now))
    .bind(position)
    .bind(state == ONLINE)
    .execute(command.sql())
    .await?;
    for user_id in turned {
        command.change(ChangeKey::Presence(user_id));
    }
    Ok(())
}

/// Notes that a user syncs, under the lock of the presence. The row that says so is held before that of the presence is
/// touched: [`end_syncing`] takes them in this order, too.
pub(crate) async fn begin_syncing(command: &mut Command, syncing: &Syncing, state: &str, now: u64) -> Done<()> {
    let row = sqlx::query("SELECT until > $3 AND presence = $2 AS goes_on FROM syncing WHERE user_id = $1 FOR UPDATE")
        .bind(syncing.user_id.as_str())
        .bind(stored(state))
        .bind(number(now))
        .fetch_optional(command.sql())
        .await?;
    let goes_on = row.map(|row| row.flag("goes_on")).transpose()?.unwrap_or(false);
    if !goes_on {
        turn(command, std::slice::from_ref(&syncing.user_id), state, now).await?;
    }
    sqlx::query(
        "INSERT INTO syncing AS s (user_id, presence, until) VALUES ($1, $2, $3)
         ON CONFLICT (user_id) DO UPDATE SET presence = EXCLUDED.presence,
             until = CASE WHEN $4 THEN greatest(s.until, EXCLUDED.until) ELSE EXCLUDED.until END",
    )
    .bind(syncing.user_id.as_str())
    .bind(stored(state))
    .bind(number(syncing.until))
    .bind(goes_on)
    .execute(command.sql())
    .await?;
    Ok(())
}

/// Moves ends, need not be durable. Rows that somebody else is writing are left alone: they get a newer end there.
pub(crate) async fn keep_syncing(sql: &mut PgConnection, users: &[Syncing]) -> Done<()> {
    sqlx::query("SET LOCAL synchronous_commit = off").execute(&mut *sql).await?;
    sqlx::query(
        "WITH kept AS (
             SELECT s.user_id, max(k.until) AS until FROM syncing s
             JOIN unnest($1::text[], $2::bigint[]) AS k (user_id, until) USING (user_id)
             WHERE s.until < k.until GROUP BY s.user_id
         ), locked AS (
             SELECT s.user_id FROM syncing s JOIN kept USING (user_id) ORDER BY s.user_id FOR UPDATE OF s SKIP LOCKED
         )
         UPDATE syncing s SET until = k.until FROM kept k JOIN locked USING (user_id)
         WHERE s.user_id = k.user_id AND s.until < k.until",
    )
    .bind(stored_all(users.iter().map(|syncing| syncing.user_id.as_str())))
    .bind(users.iter().map(|syncing| number(syncing.until)).collect::<Vec<_>>())
    .execute(sql)
    .await?;
    Ok(())
}

/// Whether anybody's end has come.
pub(crate) async fn has_ended(sql: &mut PgConnection, now: u64) -> Done<bool> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT FROM syncing WHERE until <= $1)")
        .bind(number(now))
        .fetch_one(sql)
        .await?)
}

/// Sets users offline whose end has come. Nodes that do so at the same time take different users; one who begins to sync
/// at this moment waits for the row's lock, and is then set online again.
pub(crate) async fn end_syncing(command: &mut Command, now: u64) -> Done<usize> {
    let rows = sqlx::query(
        "DELETE FROM syncing WHERE user_id IN (
             SELECT user_id FROM syncing WHERE until <= $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED
         ) RETURNING user_id",
    )
    .bind(number(now))
    .bind(ENDS)
    .fetch_all(command.sql())
    .await?;
    let users = rows.iter().map(|row| row.id("user_id")).collect::<Done<Vec<_>>>()?;
    turn(command, &users, OFFLINE, now).await?;
    Ok(users.len())
}
