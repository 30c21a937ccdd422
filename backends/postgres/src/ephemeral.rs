//! Receipts and typing; presence is in [`crate::presence`].
//!
//! They take no part in the head of a room and do not lock it, so they never stand in the way of an append. The newest
//! position of a room's receipts and typing is a row of its own, which only grows.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use olmstead_domain::position::Position;
use olmstead_storage::{
    Ephemeral, Result,
    changes::ChangeKey,
    ephemeral::{Presence, Receipt, Syncing},
};
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use sqlx::{PgConnection, postgres::PgRow};

use crate::{
    PostgresStore,
    command::Command,
    error::Done,
    locks::Locks,
    presence,
    rows::{Columns as _, damaged, number, numbered, place},
    store::{command, read},
    text::{stored, stored_all},
};

/// How many ends are written at once.
const ENDS: i64 = 256;

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

/// Notes that receipts or typing of rooms changed. The rooms are in order, so that no two commands wait for each other.
async fn note(command: &mut Command, rooms: impl Iterator<Item = &RoomId>, typing: bool) -> Done<i64> {
    let position = command.place().await?;
    sqlx::query(
        "INSERT INTO room_ephemeral AS e (room_id, newest, typing_changed)
         SELECT room_id, $2, CASE WHEN $3 THEN $2 ELSE 0 END FROM unnest($1::text[]) AS rooms (room_id)
         ON CONFLICT (room_id) DO UPDATE SET newest = greatest(e.newest, EXCLUDED.newest),
             typing_changed = greatest(e.typing_changed, EXCLUDED.typing_changed)",
    )
    .bind(stored_all(rooms.map(RoomId::as_str)))
    .bind(position)
    .bind(typing)
    .execute(command.sql())
    .await?;
    Ok(position)
}

async fn set_receipts(command: &mut Command, room_id: &RoomId, receipts: &[Receipt]) -> Done<()> {
    let position = note(command, std::iter::once(room_id), false).await?;
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
    .bind(stored(room_id.as_str()))
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
        .bind(stored(room_id.as_str()))
        .bind(stored(user_id.as_str()))
        .bind(number(until)),
        None => sqlx::query("DELETE FROM typing WHERE room_id = $1 AND user_id = $2")
            .bind(stored(room_id.as_str()))
            .bind(stored(user_id.as_str())),
    }
    .execute(command.sql())
    .await?
    .rows_affected();
    if changed > 0 {
        note(command, std::iter::once(room_id), true).await?;
        command.change(ChangeKey::Room(room_id.to_owned()));
    }
    Ok(())
}

/// The receipts of a room that were set in a span.
pub(crate) struct ReceiptsWanted {
    room_id: OwnedRoomId,
    from: Position,
    to: Position,
}

/// In the order they were set.
async fn receipts_between(sql: &mut PgConnection, wanted: &[Arc<ReceiptsWanted>]) -> Done<Vec<Result<Vec<Receipt>>>> {
    let rows = sqlx::query(
        "SELECT q.number, r.* FROM unnest($1::text[], $2::bigint[], $3::bigint[])
             WITH ORDINALITY AS q (room_id, lowest, above, number) CROSS JOIN LATERAL (
                 SELECT user_id, kind, thread, event_id, at, position FROM receipt
                 WHERE receipt.room_id = q.room_id AND position >= q.lowest AND position < q.above
                 ORDER BY position, user_id, kind, thread OFFSET 0
             ) r",
    )
    .bind(stored_all(wanted.iter().map(|want| &want.room_id)))
    .bind(wanted.iter().map(|want| place(want.from)).collect::<Vec<_>>())
    .bind(wanted.iter().map(|want| place(want.to)).collect::<Vec<_>>())
    .fetch_all(sql)
    .await?;
    let mut found: Vec<Result<Vec<Receipt>>> = wanted.iter().map(|_| Ok(Vec::new())).collect();
    for row in &rows {
        let found = found.get_mut(numbered(row)?).ok_or_else(|| damaged("number"))?;
        if let Ok(receipts) = found {
            match receipt(row) {
                Ok(receipt) => receipts.push(receipt),
                Err(failure) => *found = Err(failure.into()),
            }
        }
    }
    Ok(found)
}

/// Who types in a room, and when that changed last.
type Typing = (Vec<OwnedUserId>, Position);

/// Who types in rooms at moments.
async fn typing(sql: &mut PgConnection, asked: &[Arc<(OwnedRoomId, u64)>]) -> Done<Vec<Result<Typing>>> {
    let rows = sqlx::query(
        "SELECT q.number, e.typing_changed, e.user_id FROM unnest($1::text[], $2::bigint[])
             WITH ORDINALITY AS q (room_id, now, number) CROSS JOIN LATERAL (
                 SELECT e.typing_changed, t.user_id FROM room_ephemeral e
                     LEFT JOIN typing t ON t.room_id = e.room_id AND t.until > q.now
                 WHERE e.room_id = q.room_id ORDER BY t.user_id OFFSET 0
             ) e",
    )
    .bind(stored_all(asked.iter().map(|one| &one.0)))
    .bind(asked.iter().map(|one| number(one.1)).collect::<Vec<_>>())
    .fetch_all(sql)
    .await?;
    let mut found: Vec<Result<Typing>> = asked.iter().map(|_| Ok(Typing::default())).collect();
    for row in &rows {
        let (users, changed) = match found.get_mut(numbered(row)?) {
            Some(Ok(found)) => found,
            _ => return Err(damaged("number")),
        };
        *changed = row.place("typing_changed")?;
        users.extend(row.maybe_id::<OwnedUserId>("user_id")?);
    }
    Ok(found)
}

/// Ends typing whose time is over. What others are ending, or what goes on at this moment, is left alone.
async fn end_typing(command: &mut Command, now: u64) -> Done<usize> {
    let rows = sqlx::query(
        "DELETE FROM typing WHERE (room_id, user_id) IN (
             SELECT room_id, user_id FROM typing WHERE until <= $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED
         ) RETURNING room_id",
    )
    .bind(number(now))
    .bind(ENDS)
    .fetch_all(command.sql())
    .await?;
    let rooms = rows.iter().map(|row| row.id("room_id")).collect::<Done<BTreeSet<OwnedRoomId>>>()?;
    if !rooms.is_empty() {
        note(command, rooms.iter().map(|room_id| &**room_id), true).await?;
        for room_id in rooms {
            command.change(ChangeKey::Room(room_id));
        }
    }
    Ok(rows.len())
}

/// Whether the time of anything is over, so that nothing is begun where there is nothing to do.
async fn has_ended(sql: &mut PgConnection, now: u64) -> Done<bool> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT FROM typing WHERE until <= $1)")
        .bind(number(now))
        .fetch_one(sql)
        .await?)
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
        let make = |wanted: Vec<Arc<ReceiptsWanted>>| async move {
            read!(self, |connection| receipts_between(connection, &wanted).await)
        };
        self.batches().receipts.ask(ReceiptsWanted { room_id: room_id.to_owned(), from, to }, make).await
    }

    async fn receipts_of(&self, room_id: &RoomId, user_id: &UserId) -> Result<Vec<Receipt>> {
        read!(self, |connection| {
            sqlx::query(
                "SELECT user_id, kind, thread, event_id, at, position FROM receipt
                 WHERE room_id = $1 AND user_id = $2 ORDER BY kind, thread",
            )
            .bind(stored(room_id.as_str()))
            .bind(stored(user_id.as_str()))
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
        let make = |asked: Vec<Arc<(OwnedRoomId, u64)>>| async move {
            read!(self, |connection| typing(connection, &asked).await)
        };
        self.batches().typing.ask((room_id.to_owned(), now), make).await
    }

    async fn end_typing(&self, now: u64) -> Result<usize> {
        if !read!(self, |connection| has_ended(connection, now).await)? {
            return Ok(0);
        }
        command!(self, Locks::new(), |command| end_typing(&mut command, now).await)
    }

    async fn set_presence(&self, presence: Presence) -> Result<()> {
        command!(self, presence::lock(&presence.user_id), |command| presence::set(&mut command, &presence).await)
    }

    async fn presence(&self, user_id: &UserId) -> Result<Option<Presence>> {
        read!(self, |connection| presence::presence(connection, user_id).await)
    }

    async fn presence_between(&self, from: Position, to: Position) -> Result<Vec<Presence>> {
        read!(self, |connection| presence::between(connection, from, to).await)
    }

    async fn begin_syncing(&self, syncing: Syncing, presence: &str, now: u64) -> Result<()> {
        command!(self, presence::lock(&syncing.user_id), |command| {
            presence::begin_syncing(&mut command, &syncing, presence, now).await
        })
    }

    async fn keep_syncing(&self, users: &[Syncing]) -> Result<()> {
        if users.is_empty() {
            return Ok(());
        }
        command!(self, Locks::new(), |command| presence::keep_syncing(command.sql(), users).await)
    }

    async fn end_syncing(&self, now: u64) -> Result<usize> {
        if !read!(self, |connection| presence::has_ended(connection, now).await)? {
            return Ok(0);
        }
        command!(self, Locks::new(), |command| presence::end_syncing(&mut command, now).await)
    }
}
