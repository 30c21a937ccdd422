//! Receipts, typing and presence.
//!
//! They take no part in the head of a room and do not lock it, so they never stand in the way of an append. The newest
//! position of a room's receipts and typing is a row of its own, written under a lock so that it only grows.

use std::collections::BTreeMap;

use async_trait::async_trait;
use olmstead_domain::position::Position;
use olmstead_storage::{
    Ephemeral, Result,
    changes::ChangeKey,
    ephemeral::{Presence, Receipt, Syncing},
};
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    RocksStore,
    command::Command,
    keys::{Key, Parts, Table},
    locks::Locks,
    reads::{Reads, Span, json},
};

/// The kind of receipts that only their user sees.
const PRIVATE: &str = "m.read.private";
const ONLINE: &str = "online";
const OFFLINE: &str = "offline";

/// Who types in a room.
#[derive(Debug, Default, Serialize, Deserialize)]
struct TypingRow {
    changed: Position,
    /// Until when, milliseconds.
    until: BTreeMap<OwnedUserId, u64>,
}

/// A user who counts as there because they sync.
#[derive(Debug, Serialize, Deserialize)]
struct SyncingRow {
    /// Until when, milliseconds.
    until: u64,
    /// What the syncing made of their presence.
    presence: String,
}

/// How many ends are written at once.
const ENDS: usize = 256;

/// The key of the position of a room's newest receipt or typing change.
pub(crate) fn newest_key(room_id: &RoomId) -> Key {
    Key::new(Table::RoomEphemeral).text(room_id)
}

fn lock(locks: Locks, room_id: &RoomId) -> Locks {
    locks.name("ephemeral", room_id.as_str())
}

/// Adds user, kind and thread of a receipt.
fn receipt_parts(key: Key, user_id: &str, kind: &str, thread_id: Option<&str>) -> Key {
    let key = key.text(user_id).text(kind);
    match thread_id {
        None => key.u8(0),
        Some(thread_id) => key.u8(1).text(thread_id),
    }
}

fn receipt_key(room_id: &RoomId, receipt: &Receipt) -> Key {
    let key = Key::new(Table::Receipt).text(room_id);
    receipt_parts(key, receipt.user_id.as_str(), &receipt.kind, receipt.thread_id.as_deref())
}

fn receipt_log_key(room_id: &RoomId, receipt: &Receipt) -> Key {
    let key = Key::new(Table::ReceiptLog).text(room_id).position(receipt.position);
    receipt_parts(key, receipt.user_id.as_str(), &receipt.kind, receipt.thread_id.as_deref())
}

fn set_receipt(command: &mut Command<'_>, room_id: &RoomId, mut receipt: Receipt) -> Result<()> {
    let key = receipt_key(room_id, &receipt);
    if let Some(before) = command.get_json::<Receipt>(&key)? {
        command.delete(&receipt_log_key(room_id, &before))?;
    }
    receipt.position = command.position()?;
    command.put_json(&key, &receipt)?;
    command.put(&receipt_log_key(room_id, &receipt), [])?;
    command.change(if receipt.kind == PRIVATE {
        ChangeKey::User(receipt.user_id)
    } else {
        ChangeKey::Room(room_id.to_owned())
    })
}

fn typing_key(room_id: &RoomId) -> Key {
    Key::new(Table::Typing).text(room_id)
}

fn typing_end_key(end: u64, room_id: &RoomId, user_id: &UserId) -> Key {
    Key::new(Table::TypingEnd).u64(end).text(room_id).text(user_id)
}

/// Writes who types in a room, which is news.
fn put_typing(command: &mut Command<'_>, room_id: &RoomId, mut row: TypingRow) -> Result<()> {
    row.changed = command.position()?;
    command.put_json(&typing_key(room_id), &row)?;
    command.put_u64(&newest_key(room_id), row.changed.0)?;
    command.change(ChangeKey::Room(room_id.to_owned()))
}

fn presence_lock(locks: Locks, user_id: &UserId) -> Locks {
    locks.name("presence", user_id.as_str())
}

fn put_presence(command: &mut Command<'_>, mut presence: Presence) -> Result<()> {
    let user_id = presence.user_id.clone();
    let key = presence_key(user_id.as_str());
    let log = |position| Key::new(Table::PresenceLog).position(position).text(&user_id);
    if let Some(before) = command.get_json::<Presence>(&key)? {
        command.delete(&log(before.position))?;
    }
    presence.position = command.position()?;
    command.put_json(&key, &presence)?;
    command.put(&log(presence.position), [])?;
    command.change(ChangeKey::Presence(user_id.clone()))
}

/// Sets the presence of a user who began or ended to sync, if it is another.
fn turn_presence(command: &mut Command<'_>, user_id: &UserId, state: &str, now: u64) -> Result<()> {
    let before: Option<Presence> = command.get_json(&presence_key(user_id.as_str()))?;
    if before.as_ref().is_some_and(|before| before.presence == state) {
        return Ok(());
    }
    let last_active_at = before.as_ref().filter(|_| state != ONLINE).map_or(now, |before| before.last_active_at);
    let presence = Presence {
        user_id: user_id.to_owned(),
        presence: state.to_owned(),
        status_msg: before.and_then(|before| before.status_msg),
        last_active_at,
        position: Position::START,
    };
    put_presence(command, presence)
}

fn syncing_key(user_id: &UserId) -> Key {
    Key::new(Table::Syncing).text(user_id)
}

fn syncing_end_key(end: u64, user_id: &UserId) -> Key {
    Key::new(Table::SyncingEnd).u64(end).text(user_id)
}

fn put_syncing(command: &mut Command<'_>, user_id: &UserId, before: Option<u64>, row: &SyncingRow) -> Result<()> {
    if let Some(before) = before {
        command.delete(&syncing_end_key(before, user_id))?;
    }
    command.put_json(&syncing_key(user_id), row)?;
    command.put(&syncing_end_key(row.until, user_id), [])
}

/// The first keys, at most [`ENDS`], of a table that begins with an end, up to and with `now`; without the end.
fn ended<T>(reads: &impl Reads, table: Table, now: u64, read: impl Fn(&mut Parts<'_>) -> Result<T>) -> Result<Vec<T>> {
    let table = Key::new(table);
    let span = Span::between(&table, &table.clone().u64(now.saturating_add(1)));
    let keys = reads.scan(span)?.take(ENDS).map(|row| {
        let (key, _) = row?;
        let mut parts = table.parts_after(&key)?;
        parts.u64()?;
        read(&mut parts)
    });
    keys.collect()
}

fn presence_key(user_id: &str) -> Key {
    Key::new(Table::Presence).text(user_id)
}

/// Presence set in a span, in the order it was set.
pub(crate) fn presence_between(reads: &impl Reads, from: Position, to: Position) -> Result<Vec<Presence>> {
    let log = Key::new(Table::PresenceLog);
    let span = Span::between(&log.clone().position(from), &log.clone().position(to));
    let mut keys = Vec::new();
    for row in reads.scan(span)? {
        let (key, _) = row?;
        let mut parts = log.parts_after(&key)?;
        parts.position()?;
        keys.push(presence_key(&parts.text()?));
    }
    values(reads, &keys, Table::Presence)
}

/// The rows of a table that its log names.
fn values<T: serde::de::DeserializeOwned>(reads: &impl Reads, keys: &[Key], table: Table) -> Result<Vec<T>> {
    reads.get_many(keys)?.into_iter().flatten().map(|value| json(table, &value)).collect()
}

#[async_trait]
impl Ephemeral for RocksStore {
    async fn set_receipts(&self, room_id: &RoomId, receipts: Vec<Receipt>) -> Result<()> {
        if receipts.is_empty() {
            return Ok(());
        }
        let room_id = room_id.to_owned();
        self.command(lock(Locks::new(), &room_id), move |command| {
            let position = command.position()?;
            command.put_u64(&newest_key(&room_id), position.0)?;
            receipts.iter().try_for_each(|receipt| set_receipt(command, &room_id, receipt.clone()))
        })
        .await
    }

    async fn receipts_between(&self, room_id: &RoomId, from: Position, to: Position) -> Result<Vec<Receipt>> {
        let room_id = room_id.to_owned();
        self.read_view(move |view, _| {
            let log = Key::new(Table::ReceiptLog).text(&room_id);
            let span = Span::between(&log.clone().position(from), &log.clone().position(to));
            let mut keys = Vec::new();
            for row in view.scan(span)? {
                let (key, _) = row?;
                let mut parts = log.parts_after(&key)?;
                parts.position()?;
                let (user_id, kind) = (parts.text()?, parts.text()?);
                let thread_id = if parts.u8()? == 0 { None } else { Some(parts.text()?) };
                let prefix = Key::new(Table::Receipt).text(&room_id);
                keys.push(receipt_parts(prefix, &user_id, &kind, thread_id.as_deref()));
            }
            values(view, &keys, Table::Receipt)
        })
        .await
    }

    async fn receipts_of(&self, room_id: &RoomId, user_id: &UserId) -> Result<Vec<Receipt>> {
        let prefix = Key::new(Table::Receipt).text(room_id).text(user_id);
        self.read_view(move |view, _| {
            view.scan(Span::prefix(&prefix))?.map(|row| json(Table::Receipt, &row?.1)).collect()
        })
        .await
    }

    async fn set_typing(&self, room_id: &RoomId, user_id: &UserId, until: Option<u64>) -> Result<()> {
        let (room_id, user_id) = (room_id.to_owned(), user_id.to_owned());
        self.command(lock(Locks::new(), &room_id), move |command| {
            let mut row: TypingRow = command.get_json(&typing_key(&room_id))?.unwrap_or_default();
            let known = match until {
                Some(until) => row.until.insert(user_id.clone(), until),
                None => row.until.remove(&user_id),
            };
            if known.is_none() && until.is_none() {
                return Ok(());
            }
            if let Some(known) = known {
                command.delete(&typing_end_key(known, &room_id, &user_id))?;
            }
            if let Some(until) = until {
                command.put(&typing_end_key(until, &room_id, &user_id), [])?;
            }
            put_typing(command, &room_id, row)
        })
        .await
    }

    async fn typing(&self, room_id: &RoomId, now: u64) -> Result<(Vec<OwnedUserId>, Position)> {
        let key = typing_key(room_id);
        self.read(move |view| {
            let row: TypingRow = view.get_json(&key)?.unwrap_or_default();
            let users = row.until.into_iter().filter(|(_, until)| *until > now).map(|(user_id, _)| user_id);
            Ok((users.collect(), row.changed))
        })
        .await
    }

    async fn end_typing(&self, now: u64) -> Result<usize> {
        let ended = self
            .read(move |view| {
                ended(view, Table::TypingEnd, now, |parts| Ok((parts.id::<OwnedRoomId>()?, parts.id::<OwnedUserId>()?)))
            })
            .await?;
        let mut rooms: BTreeMap<OwnedRoomId, Vec<OwnedUserId>> = BTreeMap::new();
        for (room_id, user_id) in ended {
            rooms.entry(room_id).or_default().push(user_id);
        }
        if rooms.is_empty() {
            return Ok(0);
        }
        let locks = rooms.keys().fold(Locks::new(), |locks, room_id| lock(locks, room_id));
        self.command(locks, move |command| {
            let mut count = 0;
            for (room_id, users) in &rooms {
                let mut row: TypingRow = command.get_json(&typing_key(room_id))?.unwrap_or_default();
                let before = count;
                for user_id in users {
                    // Their typing may have gone on or stopped since it was found.
                    if let Some(end) = row.until.get(user_id).copied().filter(|end| *end <= now) {
                        row.until.remove(user_id);
                        command.delete(&typing_end_key(end, room_id, user_id))?;
                        count += 1;
                    }
                }
                if count > before {
                    put_typing(command, room_id, row)?;
                }
            }
            Ok(count)
        })
        .await
    }

    async fn set_presence(&self, presence: Presence) -> Result<()> {
        let locks = presence_lock(Locks::new(), &presence.user_id);
        self.command(locks, move |command| put_presence(command, presence.clone())).await
    }

    async fn presence(&self, user_id: &UserId) -> Result<Option<Presence>> {
        let key = presence_key(user_id.as_str());
        self.read(move |view| view.get_json(&key)).await
    }

    async fn presence_between(&self, from: Position, to: Position) -> Result<Vec<Presence>> {
        self.read_view(move |view, _| presence_between(view, from, to)).await
    }

    async fn begin_syncing(&self, syncing: Syncing, presence: &str, now: u64) -> Result<()> {
        let presence = presence.to_owned();
        self.command(presence_lock(Locks::new(), &syncing.user_id), move |command| {
            let Syncing { user_id, until } = &syncing;
            let before: Option<SyncingRow> = command.get_json(&syncing_key(user_id))?;
            let goes_on = before.as_ref().filter(|before| before.until > now && before.presence == presence);
            let until = goes_on.map_or(*until, |before| before.until.max(*until));
            if goes_on.is_none() {
                turn_presence(command, user_id, &presence, now)?;
            }
            let row = SyncingRow { until, presence: presence.clone() };
            put_syncing(command, user_id, before.map(|before| before.until), &row)
        })
        .await
    }

    async fn keep_syncing(&self, users: &[Syncing]) -> Result<()> {
        let users = users.to_vec();
        let locks = users.iter().fold(Locks::new(), |locks, syncing| presence_lock(locks, &syncing.user_id));
        self.relaxed_command(locks, move |command| {
            for Syncing { user_id, until } in &users {
                let row: Option<SyncingRow> = command.get_json(&syncing_key(user_id))?;
                if let Some(row) = row.filter(|row| row.until < *until) {
                    put_syncing(command, user_id, Some(row.until), &SyncingRow { until: *until, ..row })?;
                }
            }
            Ok(())
        })
        .await
    }

    async fn end_syncing(&self, now: u64) -> Result<usize> {
        let ended: Vec<OwnedUserId> =
            self.read(move |view| ended(view, Table::SyncingEnd, now, |parts| parts.id::<OwnedUserId>())).await?;
        if ended.is_empty() {
            return Ok(0);
        }
        let locks = ended.iter().fold(Locks::new(), |locks, user_id| presence_lock(locks, user_id));
        self.command(locks, move |command| {
            let mut count = 0;
            for user_id in &ended {
                let key = syncing_key(user_id);
                // They may have synced since they were found.
                let Some(row) = command.get_json::<SyncingRow>(&key)?.filter(|row| row.until <= now) else { continue };
                command.delete(&key)?;
                command.delete(&syncing_end_key(row.until, user_id))?;
                turn_presence(command, user_id, OFFLINE, now)?;
                count += 1;
            }
            Ok(count)
        })
        .await
    }
}
