//! The rows of rooms and their keys.

use olmstead_domain::position::{Cursor, Position};
use olmstead_storage::{
    Result, StorageError,
    rooms::{Membership, RoomHead},
};
use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, RoomVersionId, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    command::Command,
    keys::{Key, Table},
    reads::{Reads, Span, json},
};

/// The type of membership events.
pub(super) const MEMBER: &str = "m.room.member";

/// A room's head as stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct HeadRow {
    pub(super) version: RoomVersionId,
    pub(super) revision: u64,
    pub(super) extremities: Vec<OwnedEventId>,
    pub(super) depth: u64,
    pub(super) joined: u64,
    pub(super) invited: u64,
}

impl HeadRow {
    fn shown(self, encrypted_at: Option<Cursor>) -> RoomHead {
        RoomHead {
            version: self.version,
            revision: self.revision,
            extremities: self.extremities,
            depth: self.depth,
            encrypted_at,
            joined_count: self.joined,
            invited_count: self.invited,
        }
    }
}

/// The key of a room's head.
pub(super) fn head_key(room_id: &RoomId) -> Key {
    Key::new(Table::RoomHead).text(room_id)
}

/// A room's head; `None` for an unknown room.
pub(super) fn head(reads: &impl Reads, room_id: &RoomId) -> Result<Option<HeadRow>> {
    reads.get_json(&head_key(room_id))
}

/// The head as callers know it.
pub(super) fn shown_head(reads: &impl Reads, room_id: &RoomId) -> Result<Option<RoomHead>> {
    let Some(row) = head(reads, room_id)? else { return Ok(None) };
    let encrypted_at = summary(reads, room_id)?.encrypted_at;
    Ok(Some(row.shown(encrypted_at)))
}

/// Rooms in order of their ids, with their heads.
pub(crate) fn rooms_after(
    reads: &impl Reads,
    after: Option<&RoomId>,
    limit: usize,
) -> Result<Vec<(OwnedRoomId, RoomHead)>> {
    let table = Key::new(Table::RoomHead);
    let span = Span::prefix(&table);
    let span = match after {
        Some(after) => span.after(&head_key(after)),
        None => span,
    };
    let mut rooms = Vec::new();
    for row in reads.scan(span)?.take(limit) {
        let (key, head) = row?;
        let room_id: OwnedRoomId = table.parts_after(&key)?.id()?;
        let encrypted_at = summary(reads, &room_id)?.encrypted_at;
        rooms.push((room_id, json::<HeadRow>(Table::RoomHead, &head)?.shown(encrypted_at)));
    }
    Ok(rooms)
}

/// What every sync of every member asks of a room, apart from the head and small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Summary {
    pub(super) last_event: Position,
    pub(super) last_membership: Position,
    pub(super) encrypted_at: Option<Cursor>,
}

impl Summary {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let key = Key::new(Table::RoomSummary).position(self.last_event).position(self.last_membership);
        match self.encrypted_at {
            Some(cursor) => key.u8(1).cursor(cursor),
            None => key.u8(0),
        }
        .into_value()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut parts = Key::parts_of(Table::RoomSummary, bytes)?;
        let (last_event, last_membership) = (parts.position()?, parts.position()?);
        let encrypted_at = if parts.u8()? == 0 { None } else { Some(parts.cursor()?) };
        Ok(Self { last_event, last_membership, encrypted_at })
    }
}

impl Summary {
    /// The summary of a room, which every room has.
    pub(super) fn of(room_id: &RoomId, value: Option<Vec<u8>>) -> Result<Self> {
        let missing = || StorageError::damaged(format!("the summary of the room {room_id} is missing"));
        Self::from_bytes(&value.ok_or_else(missing)?)
    }
}

/// The key of a room's summary.
pub(super) fn summary_key(room_id: &RoomId) -> Key {
    Key::new(Table::RoomSummary).text(room_id)
}

/// A room's summary.
pub(super) fn summary(reads: &impl Reads, room_id: &RoomId) -> Result<Summary> {
    Summary::of(room_id, reads.get(&summary_key(room_id))?)
}

/// A membership as one byte of a key or value. Part of the stored format.
pub(super) const fn membership_byte(membership: Option<Membership>) -> u8 {
    match membership {
        None => 0,
        Some(Membership::Invite) => 1,
        Some(Membership::Join) => 2,
        Some(Membership::Leave) => 3,
        Some(Membership::Ban) => 4,
        Some(Membership::Knock) => 5,
    }
}

/// The membership a byte stands for.
pub(super) fn membership_of(byte: u8) -> Result<Option<Membership>> {
    match byte {
        0 => Ok(None),
        1 => Ok(Some(Membership::Invite)),
        2 => Ok(Some(Membership::Join)),
        3 => Ok(Some(Membership::Leave)),
        4 => Ok(Some(Membership::Ban)),
        5 => Ok(Some(Membership::Knock)),
        _ => Err(StorageError::damaged("a membership that is none")),
    }
}

/// A user's membership in a room as stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct MembershipRow {
    #[serde(rename = "m")]
    pub(super) membership: Membership,
    #[serde(rename = "e")]
    pub(super) event_id: OwnedEventId,
    #[serde(rename = "s")]
    pub(super) sender: OwnedUserId,
    #[serde(rename = "c")]
    pub(super) cursor: (u64, u32),
    #[serde(rename = "p")]
    pub(super) previous: Option<Membership>,
    /// The user has left and does not want to see the room again.
    #[serde(rename = "f", default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) forgotten: bool,
}

impl MembershipRow {
    pub(super) const fn cursor(&self) -> Cursor {
        Cursor::new(Position(self.cursor.0), self.cursor.1)
    }
}

/// The key of a user's membership in a room.
pub(super) fn membership_key(user_id: &UserId, room_id: &RoomId) -> Key {
    Key::new(Table::Membership).text(user_id).text(room_id)
}

/// The keys of all versions of it, by cursor.
pub(super) fn membership_versions(user_id: &UserId, room_id: &RoomId) -> Key {
    Key::new(Table::MembershipVersion).text(user_id).text(room_id)
}

/// The keys of the members of a room with one membership, by user.
pub(super) fn members_with(room_id: &RoomId, membership: Membership) -> Key {
    Key::new(Table::RoomMember).text(room_id).u8(membership_byte(Some(membership)))
}

/// Writes a membership and its version.
pub(super) fn put_membership(
    command: &mut Command<'_>,
    user_id: &UserId,
    room_id: &RoomId,
    row: &MembershipRow,
) -> Result<()> {
    command.put_json(&membership_key(user_id, room_id), row)?;
    command.put_json(&membership_versions(user_id, room_id).cursor(row.cursor()), row)
}

/// An entry of the current state.
#[derive(Debug, Clone)]
pub(super) struct StateRow {
    pub(super) cursor: Cursor,
    pub(super) membership: Option<Membership>,
    pub(super) event_id: OwnedEventId,
}

impl StateRow {
    pub(super) fn to_current(&self) -> Vec<u8> {
        let key = Key::new(Table::CurrentState).cursor(self.cursor).u8(membership_byte(self.membership));
        key.text(&self.event_id).into_value()
    }

    pub(super) fn from_current(value: &[u8]) -> Result<Self> {
        let mut parts = Key::parts_of(Table::CurrentState, value)?;
        Ok(Self { cursor: parts.cursor()?, membership: membership_of(parts.u8()?)?, event_id: parts.id()? })
    }

    pub(super) fn to_version(&self) -> Vec<u8> {
        Key::new(Table::StateVersion).u8(membership_byte(self.membership)).text(&self.event_id).into_value()
    }

    pub(super) fn from_version(cursor: Cursor, value: &[u8]) -> Result<Self> {
        let mut parts = Key::parts_of(Table::StateVersion, value)?;
        Ok(Self { cursor, membership: membership_of(parts.u8()?)?, event_id: parts.id()? })
    }
}

/// The key of an entry of the current state.
pub(super) fn current_key(room_id: &RoomId, kind: &str, state_key: &str) -> Key {
    Key::new(Table::CurrentState).text(room_id).text(kind).text(state_key)
}

/// The keys of all versions of a state entry, by cursor.
pub(super) fn state_versions(room_id: &RoomId, kind: &str, state_key: &str) -> Key {
    Key::new(Table::StateVersion).text(room_id).text(kind).text(state_key)
}

/// The key of an event.
pub(super) fn event_key(event_id: &EventId) -> Key {
    Key::new(Table::Event).text(event_id)
}

/// The key of the redaction of an event.
pub(super) fn redaction_key(event_id: &EventId) -> Key {
    Key::new(Table::Redaction).text(event_id)
}

/// An event id that is a value.
pub(super) fn event_id(table: Table, value: Vec<u8>) -> Result<OwnedEventId> {
    let damaged = || StorageError::damaged(format!("a row of the table {table:?} holds no event id"));
    String::from_utf8(value).ok().and_then(|text| OwnedEventId::try_from(text).ok()).ok_or_else(damaged)
}
