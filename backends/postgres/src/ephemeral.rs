//! Receipts, typing and presence.
//!
//! They take no part in the head of a room and do not lock it, so they never stand in the way of an append. The newest
//! position of a room's receipts and typing is a row of its own, which only grows.

use async_trait::async_trait;
use olmstead_domain::position::Position;
use olmstead_storage::{
    Ephemeral, Result,
    changes::ChangeKey,
    ephemeral::{Presence, Receipt},
};
use ruma::{OwnedUserId, RoomId, UserId};
use sqlx::{PgConnection, postgres::PgRow};

use crate::{
    PostgresStore,
    command::Command,
    error::Done,
    locks::Locks,
    rows::{Columns as _, number, place},
    store::{command, read},
    text::{stored, stored_all},
};

/// The kind of receipts that only their user sees.
const PRIVATE: &str = "m.read.private";

fn lock(room_id: &RoomId) -> Locks {
    Locks::new().name("ephemeral", room_id.as_str())
}

/// A thread as part of a receipt's key.
fn thread_part(thread_id: Option<&str>) -> String {
    thread_id.map_or_else(String::new, |thread_id| format!(":{thread_id}"))
}

fn receipt(row: &PgRow) -> Done<Receipt> {
    Ok(Receipt {
        user_id: row.id("user_id")?,
        kind: row.text("kind")?,
        thread_id: row.text("thread")?.strip_prefix(':').map(str::to_owned),
        event_id: row.id("event_id")?,
        at: row.count("at")?,
        position: row.place("position")?,
    })
}

/// Notes that receipts or typing of a room changed.
async fn note(command: &mut Command, room_id: &RoomId, typing: bool) -> Done<i64> {
    let position = command.place().await?;
    sqlx::query(
        "INSERT INTO room_ephemeral AS e (room_id, newest, typing_changed)
         VALUES ($1, $2, CASE WHEN $3 THEN $2 ELSE 0 END)
         ON CONFLICT (room_id) DO UPDATE SET newest = greatest(e.newest, EXCLUDED.newest),
             typing_changed = greatest(e.typing_changed, EXCLUDED.typing_changed)",
    )
    .bind(room_id.as_str())
    .bind(position)
    .bind(typing)
    .execute(command.sql())
    .await?;
    Ok(position)
}

async fn set_receipts(command: &mut Command, room_id: &RoomId, receipts: &[Receipt]) -> Done<()> {
    let position = note(command, room_id, false).await?;
    // Of two of one kind and thread in one command the last counts.
    sqlx::query(
        "INSERT INTO receipt (room_id, user_id, kind, thread, event_id, at, position)
         SELECT DISTINCT ON (r.user_id, r.kind, r.thread)
             $1, r.user_id, r.kind, r.thread, r.event_id, r.at, $7
         FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[])
             WITH ORDINALITY AS r (user_id, kind, thread, event_id, at, number)
         ORDER BY r.user_id, r.kind, r.thread, r.number DESC
         ON CONFLICT (room_id, user_id, kind, thread) DO UPDATE SET event_id = EXCLUDED.event_id,
             at = EXCLUDED.at, position = EXCLUDED.position",
    )
    .bind(room_id.as_str())
    .bind(stored_all(receipts.iter().map(|receipt| receipt.user_id.as_str())))
    .bind(stored_all(receipts.iter().map(|receipt| receipt.kind.as_str())))
    .bind(stored_all(receipts.iter().map(|receipt| thread_part(receipt.thread_id.as_deref()))))
    .bind(stored_all(receipts.iter().map(|receipt| receipt.event_id.as_str())))
    .bind(receipts.iter().map(|receipt| number(receipt.at)).collect::<Vec<_>>())
    .bind(position)
    .execute(command.sql())
    .await?;
    for receipt in receipts {
        command.change(if receipt.kind == PRIVATE {
            ChangeKey::User(receipt.user_id.clone())
        } else {
            ChangeKey::Room(room_id.to_owned())
        });
    }
    Ok(())
}

async fn set_typing(command: &mut Command, room_id: &RoomId, user_id: &UserId, until: Option<u64>) -> Done<()> {
    let changed = match until {
        Some(until) => sqlx::query(
            "INSERT INTO typing (room_id, user_id, until) VALUES ($1, $2, $3)
             ON CONFLICT (room_id, user_id) DO UPDATE SET until = EXCLUDED.until",
        )
        .bind(room_id.as_str())
        .bind(user_id.as_str())
        .bind(number(until)),
        None => sqlx::query("DELETE FROM typing WHERE room_id = $1 AND user_id = $2")
            .bind(room_id.as_str())
            .bind(user_id.as_str()),
    }
    .execute(command.sql())
    .await?
    .rows_affected();
    if changed > 0 {
        note(command, room_id, true).await?;
        command.change(ChangeKey::Room(room_id.to_owned()));
    }
    Ok(())
}

async fn typing(sql: &mut PgConnection, room_id: &RoomId, now: u64) -> Done<(Vec<OwnedUserId>, Position)> {
    let rows = sqlx::query(
        "SELECT e.typing_changed, t.user_id FROM room_ephemeral e
         LEFT JOIN typing t ON t.room_id = e.room_id AND t.until > $2
         WHERE e.room_id = $1 ORDER BY t.user_id",
    )
    .bind(room_id.as_str())
    .bind(number(now))
    .fetch_all(sql)
    .await?;
    let changed = rows.first().map(|row| row.place("typing_changed")).transpose()?.unwrap_or_default();
    let users = rows.iter().filter_map(|row| row.maybe_id("user_id").transpose()).collect::<Done<_>>()?;
    Ok((users, changed))
}

fn presence(row: &PgRow) -> Done<Presence> {
    Ok(Presence {
        user_id: row.id("user_id")?,
        presence: row.text("presence")?,
        status_msg: row.maybe_text("status_msg")?,
        last_active_at: row.count("last_active_at")?,
        position: row.place("position")?,
    })
}

/// Presence set in a span, in the order it was set.
pub(crate) async fn presence_between(sql: &mut PgConnection, from: Position, to: Position) -> Done<Vec<Presence>> {
    sqlx::query(
        "SELECT user_id, presence, status_msg, last_active_at, position FROM presence
         WHERE position >= $1 AND position < $2 ORDER BY position, user_id",
    )
    .bind(place(from))
    .bind(place(to))
    .fetch_all(sql)
    .await?
    .iter()
    .map(presence)
    .collect()
}

async fn set_presence(command: &mut Command, presence: &Presence) -> Done<()> {
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

#[async_trait]
impl Ephemeral for PostgresStore {
    async fn set_receipts(&self, room_id: &RoomId, receipts: Vec<Receipt>) -> Result<()> {
        if receipts.is_empty() {
            return Ok(());
        }
        command!(self, lock(room_id), |command| set_receipts(&mut command, room_id, &receipts).await)
    }

    async fn receipts_between(&self, room_id: &RoomId, from: Position, to: Position) -> Result<Vec<Receipt>> {
        read!(self, |connection| {
            sqlx::query(
                "SELECT user_id, kind, thread, event_id, at, position FROM receipt
                 WHERE room_id = $1 AND position >= $2 AND position < $3 ORDER BY position, user_id, kind, thread",
            )
            .bind(room_id.as_str())
            .bind(place(from))
            .bind(place(to))
            .fetch_all(connection)
            .await?
            .iter()
            .map(receipt)
            .collect()
        })
    }

    async fn receipts_of(&self, room_id: &RoomId, user_id: &UserId) -> Result<Vec<Receipt>> {
        read!(self, |connection| {
            sqlx::query(
                "SELECT user_id, kind, thread, event_id, at, position FROM receipt
                 WHERE room_id = $1 AND user_id = $2 ORDER BY kind, thread",
            )
            .bind(room_id.as_str())
            .bind(user_id.as_str())
            .fetch_all(connection)
            .await?
            .iter()
            .map(receipt)
            .collect()
        })
    }

    async fn set_typing(&self, room_id: &RoomId, user_id: &UserId, until: Option<u64>) -> Result<()> {
        command!(self, lock(room_id), |command| set_typing(&mut command, room_id, user_id, until).await)
    }

    async fn typing(&self, room_id: &RoomId, now: u64) -> Result<(Vec<OwnedUserId>, Position)> {
        read!(self, |connection| typing(connection, room_id, now).await)
    }

    async fn set_presence(&self, presence: Presence) -> Result<()> {
        let locks = Locks::new().name("presence", presence.user_id.as_str());
        command!(self, locks, |command| set_presence(&mut command, &presence).await)
    }

    async fn presence(&self, user_id: &UserId) -> Result<Option<Presence>> {
        read!(self, |connection| {
            let row = sqlx::query(
                "SELECT user_id, presence, status_msg, last_active_at, position FROM presence WHERE user_id = $1",
            )
            .bind(user_id.as_str())
            .fetch_optional(connection)
            .await?;
            row.as_ref().map(presence).transpose()
        })
    }

    async fn presence_between(&self, from: Position, to: Position) -> Result<Vec<Presence>> {
        read!(self, |connection| presence_between(connection, from, to).await)
    }
}
