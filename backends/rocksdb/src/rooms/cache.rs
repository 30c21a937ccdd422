//! What was read lately of events and rooms.

use std::sync::Arc;

use olmstead_domain::position::Position;
use olmstead_storage::Result;
use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId};

use super::{
    events::EventRow,
    rows::{MembershipRow, Summary, summary_key},
};
use crate::{
    ephemeral,
    keys::{Key, Table},
    lately::Lately,
    reads::{Reads, Span, View, json, number},
};

/// Bytes of events.
const EVENTS: usize = 32 << 20;
/// What an event takes besides its JSON, about.
const OVERHEAD: usize = 1024;
/// Rooms in lists of memberships.
const MEMBERSHIPS: usize = 50_000;
/// Rooms of which it is known what is newest.
const ROOMS: usize = 20_000;

/// Parsed events by id. An event never changes once it is stored, so this is never wrong.
pub(crate) struct EventCache(Lately<OwnedEventId, Arc<EventRow>>);

impl Default for EventCache {
    fn default() -> Self {
        Self(Lately::new(EVENTS))
    }
}

impl EventCache {
    /// An event, if it is here.
    pub(super) fn get(&self, event_id: &EventId) -> Option<Arc<EventRow>> {
        self.0.get(event_id)
    }

    /// Keeps an event that was read.
    pub(super) fn put(&self, row: &Arc<EventRow>) {
        // The content is kept twice, alone and in the event.
        let bytes = row.pdu.json().get().len() * 2 + OVERHEAD;
        self.0.put(row.pdu.event_id().to_owned(), Arc::clone(row), bytes);
    }
}

/// A user's rooms and memberships, in order of the rooms' ids.
pub(super) type Rooms = Arc<[(OwnedRoomId, MembershipRow)]>;

/// What every sync asks: a user's memberships, and what is newest in rooms. Each is kept with the horizon of the view it
/// was read from, and is right as long as [`crate::newest::Newest`] knows of nothing that was written since.
pub(crate) struct RoomCache {
    memberships: Lately<OwnedUserId, (Position, Rooms)>,
    rooms: Lately<OwnedRoomId, (Position, Standing)>,
}

/// What is newest in a room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    pub(super) summary: Summary,
    pub(super) last_ephemeral: Position,
}

impl Default for RoomCache {
    fn default() -> Self {
        Self { memberships: Lately::new(MEMBERSHIPS), rooms: Lately::new(ROOMS) }
    }
}

impl RoomCache {
    /// The memberships of a user as they are in a view with this horizon.
    pub(super) fn memberships(&self, view: &View<'_>, horizon: Position, user_id: &UserId) -> Result<Rooms> {
        let prefix = Key::new(Table::Membership).text(user_id);
        if let Some((as_of, rooms)) = self.memberships.get(user_id)
            && view.is_unwritten(&prefix, as_of)
        {
            return Ok(rooms);
        }
        let mut rooms = Vec::new();
        for row in view.scan(Span::prefix(&prefix))? {
            let (key, value) = row?;
            rooms.push((prefix.parts_after(&key)?.id()?, json(Table::Membership, &value)?));
        }
        let rooms: Rooms = rooms.into();
        self.memberships.put(user_id.to_owned(), (horizon, Arc::clone(&rooms)), rooms.len() + 1);
        Ok(rooms)
    }

    /// What is newest in rooms, in the order given, as it is in a view with this horizon.
    pub(super) fn standings(&self, view: &View<'_>, horizon: Position, rooms: &[&RoomId]) -> Result<Vec<Standing>> {
        let is_right = |room_id: &RoomId, as_of| {
            view.is_unwritten(&summary_key(room_id), as_of) && view.is_unwritten(&ephemeral::newest_key(room_id), as_of)
        };
        let mut found: Vec<Option<Standing>> = rooms
            .iter()
            .map(|room_id| {
                let (as_of, standing) = self.rooms.get(*room_id)?;
                is_right(room_id, as_of).then_some(standing)
            })
            .collect();
        let missing: Vec<&RoomId> =
            rooms.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(room_id, _)| *room_id).collect();
        let mut keys: Vec<Key> = missing.iter().map(|room_id| summary_key(room_id)).collect();
        keys.extend(missing.iter().map(|room_id| ephemeral::newest_key(room_id)));
        let mut values = view.get_many(&keys)?;
        let newest = values.split_off(missing.len().min(values.len()));
        let mut read = Vec::with_capacity(missing.len());
        for ((room_id, summary), newest) in missing.into_iter().zip(values).zip(newest) {
            let summary = Summary::of(room_id, summary)?;
            let newest = newest.map(|value| number(Table::RoomEphemeral, &value)).transpose()?;
            let standing = Standing { summary, last_ephemeral: Position(newest.unwrap_or_default()) };
            self.rooms.put(room_id.to_owned(), (horizon, standing), 1);
            read.push(standing);
        }
        let mut read = read.into_iter();
        Ok(found.iter_mut().filter_map(|standing| standing.take().or_else(|| read.next())).collect())
    }
}
