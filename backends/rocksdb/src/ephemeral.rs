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
    ephemeral::{Presence, Receipt},
};
use ruma::{OwnedUserId, RoomId, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    RocksStore,
    command::Command,
    keys::{Key, Table},
    locks::Locks,
    reads::{Reads, Span, json},
};

/// The kind of receipts that only their user sees.
const PRIVATE: &str = "m.read.private";

/// Who types in a room.
#[derive(Debug, Default, Serialize, Deserialize)]
struct TypingRow {
    changed: Position,
    /// Until when, milliseconds.
    until: BTreeMap<OwnedUserId, u64>,
}

/// The key of the position of a room's newest receipt or typing change.
pub(crate) fn newest_key(room_id: &RoomId) -> Key {
    Key::new(Table::RoomEphemeral).text(room_id)
}

fn lock(room_id: &RoomId) -> Locks {
    Locks::new().name("ephemeral", room_id.as_str())
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
        self.command(lock(&room_id), move |command| {
            let position = command.position()?;
            command.put_u64(&newest_key(&room_id), position.0)?;
            receipts.into_iter().try_for_each(|receipt| set_receipt(command, &room_id, receipt))
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
        self.command(lock(&room_id), move |command| {
            let key = Key::new(Table::Typing).text(&room_id);
            let mut row: TypingRow = command.get_json(&key)?.unwrap_or_default();
            let known = match until {
                Some(until) => row.until.insert(user_id, until),
                None => row.until.remove(&user_id),
            };
            if known.is_none() && until.is_none() {
                return Ok(());
            }
            row.changed = command.position()?;
            command.put_json(&key, &row)?;
            command.put_u64(&newest_key(&room_id), row.changed.0)?;
            command.change(ChangeKey::Room(room_id))
        })
        .await
    }

    async fn typing(&self, room_id: &RoomId, now: u64) -> Result<(Vec<OwnedUserId>, Position)> {
        let key = Key::new(Table::Typing).text(room_id);
        self.read(move |view| {
            let row: TypingRow = view.get_json(&key)?.unwrap_or_default();
            let users = row.until.into_iter().filter(|(_, until)| *until > now).map(|(user_id, _)| user_id);
            Ok((users.collect(), row.changed))
        })
        .await
    }

    async fn set_presence(&self, mut presence: Presence) -> Result<()> {
        self.command(Locks::new().name("presence", presence.user_id.as_str()), move |command| {
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
        })
        .await
    }

    async fn presence(&self, user_id: &UserId) -> Result<Option<Presence>> {
        let key = presence_key(user_id.as_str());
        self.read(move |view| view.get_json(&key)).await
    }

    async fn presence_between(&self, from: Position, to: Position) -> Result<Vec<Presence>> {
        self.read_view(move |view, _| presence_between(view, from, to)).await
    }
}
