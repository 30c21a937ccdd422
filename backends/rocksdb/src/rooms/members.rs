//! Who is in which room, now and at any place.

use olmstead_domain::position::{Cursor, Position};
use olmstead_storage::{
    Result, StorageError,
    changes::ChangeKey,
    rooms::{Member, Membership, MembershipChange, RoomMembership},
};
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};

use super::{
    rows::{
        MEMBER, MembershipRow, StateRow, Summary, members_with, membership_key, membership_of, membership_versions,
        put_membership, summary_key,
    },
    state,
};
use crate::{
    command::Command,
    ephemeral,
    keys::{Key, Table},
    reads::{Reads, Span, json, number},
};

/// Members strictly before a place, or now, in order of their ids.
pub(super) fn members(reads: &impl Reads, room_id: &RoomId, before: Option<Cursor>) -> Result<Vec<Member>> {
    let prefix = Key::new(Table::CurrentState).text(room_id).text(MEMBER);
    let mut members = Vec::new();
    for row in reads.scan(Span::prefix(&prefix))? {
        let (key, value) = row?;
        let state_key = prefix.parts_after(&key)?.text()?;
        let current = StateRow::from_current(&value)?;
        let Some(entry) = state::at(reads, room_id, MEMBER, &state_key, current, before)? else { continue };
        let (Some(membership), Ok(user_id)) = (entry.membership, OwnedUserId::try_from(state_key)) else { continue };
        members.push(Member { user_id, membership, event_id: entry.event_id });
    }
    Ok(members)
}

/// Users who are joined now.
pub(super) fn joined(reads: &impl Reads, room_id: &RoomId) -> Result<Vec<OwnedUserId>> {
    let prefix = members_with(room_id, Membership::Join);
    reads.scan(Span::prefix(&prefix))?.map(|row| prefix.parts_after(&row?.0)?.id()).collect()
}

/// Changes of membership in a span.
pub(super) fn changes(
    reads: &impl Reads,
    room_id: &RoomId,
    from: Position,
    to: Position,
) -> Result<Vec<MembershipChange>> {
    let log = Key::new(Table::MembershipLog).text(room_id);
    let span = Span::between(&log.clone().position(from), &log.clone().position(to));
    let mut changes = Vec::new();
    for row in reads.scan(span)? {
        let (key, value) = row?;
        let mut parts = Key::parts_of(Table::MembershipLog, &value)?;
        let (from, to) = (membership_of(parts.u8()?)?, membership_of(parts.u8()?)?);
        let to = to.ok_or_else(|| StorageError::damaged("a change to no membership"))?;
        changes.push(MembershipChange { user_id: parts.id()?, from, to, cursor: log.parts_after(&key)?.cursor()? });
    }
    Ok(changes)
}

/// Every room the user has to do with, as of strictly before `to`, in order of their ids; of forgotten ones those that the
/// user stopped being in at `forgotten_from` or after, maybe in several steps, as a kick and a ban.
pub(crate) fn memberships(
    reads: &impl Reads,
    user_id: &UserId,
    forgotten_from: Position,
    to: Position,
) -> Result<Vec<RoomMembership>> {
    let is_inside = |membership| matches!(membership, Membership::Join | Membership::Invite | Membership::Knock);
    let is_listed = |room_id: &RoomId, row: &MembershipRow| -> Result<bool> {
        if !row.forgotten || row.cursor().position < forgotten_from {
            return Ok(!row.forgotten);
        }
        if row.previous.is_some_and(is_inside) {
            return Ok(true);
        }
        let before = version_before(reads, user_id, room_id, Cursor::at(forgotten_from))?;
        Ok(before.is_some_and(|before| is_inside(before.membership)))
    };
    let prefix = Key::new(Table::Membership).text(user_id);
    let mut found = Vec::new();
    for row in reads.scan(Span::prefix(&prefix))? {
        let (key, value) = row?;
        let room_id: OwnedRoomId = prefix.parts_after(&key)?.id()?;
        let current: MembershipRow = json(Table::Membership, &value)?;
        let row = if current.cursor() < Cursor::at(to) {
            Some(current)
        } else {
            version_before(reads, user_id, &room_id, Cursor::at(to))?
        };
        if let Some(row) = row
            && is_listed(&room_id, &row)?
        {
            found.push((room_id, row));
        }
    }
    complete(reads, found, to)
}

/// The user's standing in one room; `None` after it was forgotten.
pub(super) fn membership(reads: &impl Reads, room_id: &RoomId, user_id: &UserId) -> Result<Option<RoomMembership>> {
    let row: Option<MembershipRow> = reads.get_json(&membership_key(user_id, room_id))?;
    let found = row.filter(|row| !row.forgotten).map(|row| (room_id.to_owned(), row));
    Ok(complete(reads, found.into_iter().collect(), Position::END)?.pop())
}

fn version_before(
    reads: &impl Reads,
    user_id: &UserId,
    room_id: &RoomId,
    before: Cursor,
) -> Result<Option<MembershipRow>> {
    let versions = membership_versions(user_id, room_id);
    let span = Span::between(&versions, &versions.clone().cursor(before)).backward();
    reads.scan(span)?.next().map(|row| json(Table::MembershipVersion, &row?.1)).transpose()
}

/// Adds what is known of the rooms themselves. Their newest positions may be at or above `to`: then they are new all the
/// same for whoever read up to `to` before. Encryption that began there has not begun yet.
fn complete(reads: &impl Reads, rows: Vec<(OwnedRoomId, MembershipRow)>, to: Position) -> Result<Vec<RoomMembership>> {
    let mut keys: Vec<Key> = rows.iter().map(|(room_id, _)| summary_key(room_id)).collect();
    keys.extend(rows.iter().map(|(room_id, _)| ephemeral::newest_key(room_id)));
    let mut values = reads.get_many(&keys)?;
    let newest_ephemeral = values.split_off(rows.len().min(values.len()));
    let mut memberships = Vec::with_capacity(rows.len());
    for (((room_id, row), summary), newest) in rows.into_iter().zip(values).zip(newest_ephemeral) {
        let missing = || StorageError::damaged(format!("the summary of the room {room_id} is missing"));
        let summary = Summary::from_bytes(&summary.ok_or_else(missing)?)?;
        let newest = newest.map(|value| number(Table::RoomEphemeral, &value)).transpose()?;
        memberships.push(RoomMembership {
            cursor: row.cursor(),
            room_id,
            membership: row.membership,
            event_id: row.event_id,
            sender: row.sender,
            previous: row.previous,
            last_event: summary.last_event,
            last_membership: summary.last_membership,
            last_ephemeral: Position(newest.unwrap_or_default()),
            encrypted_at: summary.encrypted_at.filter(|cursor| cursor.position < to),
        });
    }
    Ok(memberships)
}

/// Forgets a room.
pub(super) fn forget(command: &mut Command<'_>, room_id: &RoomId, user_id: &UserId) -> Result<bool> {
    let row: Option<MembershipRow> = command.get_json(&membership_key(user_id, room_id))?;
    let Some(mut row) = row else { return Ok(true) };
    if !matches!(row.membership, Membership::Leave | Membership::Ban) {
        return Ok(false);
    }
    if !row.forgotten {
        row.forgotten = true;
        put_membership(command, user_id, room_id, &row)?;
        command.change(ChangeKey::User(user_id.to_owned()))?;
    }
    Ok(true)
}
