//! Appending events.

use std::collections::HashSet;

use olmstead_domain::{
    position::Cursor,
    rooms::{pdu::Pdu, relations::Relation},
};
use olmstead_storage::{
    Result, StorageError,
    changes::ChangeKey,
    rooms::{Append, AppendOutcome, Membership, NewEvent},
    to_device::TransactionKey,
};
use ruma::{OwnedEventId, OwnedUserId, UserId, events::room::member::MembershipState};

use super::{
    cache::EventCache,
    events::{row, row_bytes},
    rows::{
        self, HeadRow, MEMBER, MembershipRow, StateRow, Summary, current_key, event_id, event_key, head_key,
        members_with, membership_key, put_membership, redaction_key, state_versions, summary_key,
    },
};
use crate::{
    command::Command,
    directory,
    keys::{Key, Table},
    locks::Locks,
    reads::Reads,
    rows::live_device,
    to_device::{lock_transaction, transaction_key},
};

/// What an append must lock.
pub(super) fn locks(append: &Append) -> Locks {
    let locks =
        append.events.iter().filter_map(|event| event.transaction.as_ref()).fold(Locks::new(), lock_transaction);
    let locks = append.alias.iter().fold(locks, |locks, (alias, _)| directory::lock_alias(locks, alias));
    locks.room(&append.room_id)
}

/// The event a transaction made.
pub(super) fn transaction_event(reads: &impl Reads, transaction: &TransactionKey) -> Result<Option<OwnedEventId>> {
    let value = reads.get(&transaction_key(transaction))?;
    value.map(|value| event_id(Table::Transaction, value)).transpose()
}

/// Appends, under the locks.
pub(super) fn append(command: &mut Command<'_>, cache: &EventCache, append: &Append) -> Result<AppendOutcome> {
    for transaction in append.events.iter().filter_map(|event| event.transaction.as_ref()) {
        if let Some(event_id) = transaction_event(command, transaction)? {
            return Ok(AppendOutcome::SeenBefore(event_id));
        }
    }
    let room_id = &append.room_id;
    let (head, summary) = match (rows::head(command, room_id)?, append.expected_revision) {
        (None, None) => {
            let version = append.version.clone();
            let head = HeadRow { version, revision: 0, extremities: Vec::new(), depth: 0, joined: 0, invited: 0 };
            (head, Summary::default())
        }
        (Some(head), Some(expected)) if head.revision == expected => (head, rows::summary(command, room_id)?),
        (Some(_), None) => return Ok(AppendOutcome::RoomExists),
        _ => return Err(StorageError::Conflict),
    };
    if let Some((alias, creator)) = &append.alias
        && !directory::put_alias(command, alias, room_id, creator)?
    {
        return Ok(AppendOutcome::AliasTaken);
    }
    if let Some(published) = append.published {
        directory::put_published(command, room_id, published)?;
    }

    let position = command.position()?;
    command.change(ChangeKey::Room(room_id.clone()))?;
    let mut room = Room { append, command, cache, head, summary, stored: HashSet::new() };
    for (ordinal, event) in append.events.iter().enumerate() {
        let ordinal = u32::try_from(ordinal).map_err(|error| StorageError::unavailable("too many events", error))?;
        room.add(event, Cursor::new(position, ordinal))?;
    }
    let Room { mut head, summary, .. } = room;
    head.revision += 1;
    head.extremities.clone_from(&append.extremities);
    head.depth = append.depth;
    command.put_json(&head_key(room_id), &head)?;
    command.put(&summary_key(room_id), summary.to_bytes())?;
    Ok(AppendOutcome::Appended(position))
}

/// A room while events are put on it.
struct Room<'a, 'b> {
    append: &'a Append,
    command: &'a mut Command<'b>,
    cache: &'a EventCache,
    head: HeadRow,
    summary: Summary,
    /// Events of this append so far.
    stored: HashSet<OwnedEventId>,
}

impl Room<'_, '_> {
    fn add(&mut self, event: &NewEvent, cursor: Cursor) -> Result<()> {
        let pdu = &event.pdu;
        let room_id = &self.append.room_id;
        let replaces = match pdu.state_key() {
            Some(state_key) if event.updates_state => self.set_state(pdu, state_key, cursor)?,
            _ => None,
        };
        let row = row_bytes(event, cursor, replaces.as_deref())?;
        self.command.put_blob(&event_key(pdu.event_id()), &row)?;
        if event.in_timeline {
            let key = Key::new(Table::Timeline).text(room_id).cursor(cursor);
            self.command.put(&key, pdu.event_id().as_str())?;
        }
        if event.in_timeline || (event.updates_state && pdu.is_state()) {
            self.summary.last_event = cursor.position;
        }
        if let Some(relation) = Relation::of(pdu) {
            let key = Key::new(Table::Relation).text(room_id).text(&relation.event_id).cursor(cursor);
            let value = Key::new(Table::Relation).text(&relation.rel_type).text(pdu.kind()).text(pdu.event_id());
            self.command.put(&key, value.into_value())?;
        }
        self.redact(pdu)?;
        if let Some(transaction) = &event.transaction
            // The memory of a device that is gone would never be cleared.
            && live_device(self.command, &transaction.device)?.is_some()
        {
            self.command.put(&transaction_key(transaction), pdu.event_id().as_str())?;
        }
        self.stored.insert(pdu.event_id().to_owned());
        Ok(())
    }

    /// Makes the event the current state of its entry; gives the one before.
    fn set_state(&mut self, pdu: &Pdu, state_key: &str, cursor: Cursor) -> Result<Option<OwnedEventId>> {
        let room_id = &self.append.room_id;
        let current = current_key(room_id, pdu.kind(), state_key);
        let before = self.command.get(&current)?.map(|value| StateRow::from_current(&value)).transpose()?;
        let member = pdu.membership().and_then(known);
        let entry = StateRow { cursor, membership: member, event_id: pdu.event_id().to_owned() };
        self.command.put(&current, entry.to_current())?;
        self.command.put(&state_versions(room_id, pdu.kind(), state_key).cursor(cursor), entry.to_version())?;
        let log = Key::new(Table::StateLog).text(room_id).cursor(cursor);
        let value = Key::new(Table::StateLog).text(pdu.kind()).text(state_key).text(pdu.event_id());
        self.command.put(&log, value.into_value())?;

        if pdu.is_state_of("m.room.encryption", "") && self.summary.encrypted_at.is_none() {
            self.summary.encrypted_at = Some(cursor);
        }
        if pdu.kind() == MEMBER
            && let (Some(membership), Ok(user_id)) = (member, UserId::parse(state_key))
        {
            self.set_membership(pdu, user_id, membership, cursor)?;
        }
        Ok(before.map(|before| before.event_id))
    }

    fn set_membership(&mut self, pdu: &Pdu, user_id: OwnedUserId, to: Membership, cursor: Cursor) -> Result<()> {
        let room_id = &self.append.room_id;
        let before: Option<MembershipRow> = self.command.get_json(&membership_key(&user_id, room_id))?;
        let from = before.as_ref().map(|row| row.membership);
        let row = MembershipRow {
            membership: to,
            event_id: pdu.event_id().to_owned(),
            sender: pdu.sender().to_owned(),
            cursor: (cursor.position.0, cursor.ordinal),
            previous: from,
            // A ban or its end does not bring back what the user forgot.
            forgotten: before.is_some_and(|row| row.forgotten) && matches!(to, Membership::Leave | Membership::Ban),
        };
        put_membership(self.command, &user_id, room_id, &row)?;
        if let Some(from) = from
            && from != to
        {
            self.command.delete(&members_with(room_id, from).text(&user_id))?;
        }
        self.command.put(&members_with(room_id, to).text(&user_id), pdu.event_id().as_str())?;
        let log = Key::new(Table::MembershipLog).text(room_id).cursor(cursor);
        let value = Key::new(Table::MembershipLog)
            .u8(rows::membership_byte(from))
            .u8(rows::membership_byte(Some(to)))
            .text(&user_id);
        self.command.put(&log, value.into_value())?;
        self.summary.last_membership = cursor.position;

        let moved = |membership| (from == Some(membership), to == membership);
        count(&mut self.head.joined, moved(Membership::Join));
        count(&mut self.head.invited, moved(Membership::Invite));
        let (was_joined, is_joined) = moved(Membership::Join);
        if was_joined != is_joined {
            self.command.change(ChangeKey::Membership(room_id.clone(), user_id.clone()))?;
        }
        if !(was_joined && is_joined) {
            self.command.change(ChangeKey::User(user_id))?;
        }
        Ok(())
    }

    /// Applies a redaction if its target is in the room. The first one that applies stays.
    fn redact(&mut self, pdu: &Pdu) -> Result<()> {
        let Some(target) = pdu.redacts() else { return Ok(()) };
        let here = self.stored.contains(target)
            || row(self.command, self.cache, target)?.is_some_and(|row| row.pdu.room_id() == self.append.room_id);
        let key = redaction_key(target);
        if here && !self.command.has(&key)? {
            self.command.put(&key, pdu.event_id().as_str())?;
        }
        Ok(())
    }
}

fn count(count: &mut u64, moved: (bool, bool)) {
    match moved {
        (false, true) => *count = count.saturating_add(1),
        (true, false) => *count = count.saturating_sub(1),
        _ => {}
    }
}

fn known(membership: MembershipState) -> Option<Membership> {
    match membership {
        MembershipState::Invite => Some(Membership::Invite),
        MembershipState::Join => Some(Membership::Join),
        MembershipState::Leave => Some(Membership::Leave),
        MembershipState::Ban => Some(Membership::Ban),
        MembershipState::Knock => Some(Membership::Knock),
        _ => None,
    }
}
