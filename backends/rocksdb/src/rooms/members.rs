//! Who is in which room, now and at any place.

use olmstead_domain::position::{Cursor, Position};
use olmstead_storage::{
    Result, StorageError,
    changes::ChangeKey,
    rooms::{Member, Membership, MembershipChange, RoomMembership},
};
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};

use super::{
    cache::{RoomCache, Standing},
    rows::{
        MEMBER, MembershipRow, StateRow, members_with, membership_key, membership_of, membership_versions,
        put_membership,
    },
    state,
};
use crate::{
    command::Command,
    keys::{Key, Table},
    reads::{Reads, Span, View, json},
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
/// user was in just before `forgotten_from`.
pub(crate) fn memberships(
    (view, horizon): (&View<'_>, Position),
    cache: &RoomCache,
    user_id: &UserId,
    forgotten_from: Position,
    to: Position,
) -> Result<Vec<RoomMembership>> {
    let is_listed = |room_id: &RoomId, row: &MembershipRow| {
        if !row.forgotten || row.cursor().position < forgotten_from {
            return Ok(!row.forgotten);
        }
        let before = version_before(view, user_id, room_id, Cursor::at(forgotten_from))?;
        let inside = [Membership::Join, Membership::Invite, Membership::Knock];
        Ok::<_, StorageError>(before.is_some_and(|row| inside.contains(&row.membership)))
    };
    let mut found = Vec::new();
    for (room_id, current) in cache.memberships(view, horizon, user_id)?.iter() {
        let row = if current.cursor() < Cursor::at(to) {
            Some(current.clone())
        } else {
            version_before(view, user_id, room_id, Cursor::at(to))?
        };
        if let Some(row) = row
            && is_listed(room_id, &row)?
        {
            found.push((room_id.clone(), row));
        }
    }
    let rooms: Vec<&RoomId> = found.iter().map(|(room_id, _)| &**room_id).collect();
    let standings = cache.standings(view, horizon, &rooms)?;
    Ok(found
        .into_iter()
        .zip(standings)
        .map(|((room_id, row), standing)| complete(room_id, row, standing, to))
        .collect())
}

/// The user's standing in one room; `None` after it was forgotten.
pub(super) fn membership(
    (view, horizon): (&View<'_>, Position),
    cache: &RoomCache,
    room_id: &RoomId,
    user_id: &UserId,
) -> Result<Option<RoomMembership>> {
    let row: Option<MembershipRow> = view.get_json(&membership_key(user_id, room_id))?;
    let Some(row) = row.filter(|row| !row.forgotten) else { return Ok(None) };
    let standing = cache.standings(view, horizon, &[room_id])?.pop();
    Ok(standing.map(|standing| complete(room_id.to_owned(), row, standing, Position::END)))
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

/// Adds what is known of the room itself. Its newest positions may be at or above `to`: then they are new all the same for
/// whoever read up to `to` before. Encryption that began there has not begun yet.
fn complete(room_id: OwnedRoomId, row: MembershipRow, standing: Standing, to: Position) -> RoomMembership {
    let Standing { summary, last_ephemeral } = standing;
    RoomMembership {
        cursor: row.cursor(),
        room_id,
        membership: row.membership,
        event_id: row.event_id,
        sender: row.sender,
        previous: row.previous,
        last_event: summary.last_event,
        last_membership: summary.last_membership,
        last_ephemeral,
        encrypted_at: summary.encrypted_at.filter(|cursor| cursor.position < to),
    }
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
