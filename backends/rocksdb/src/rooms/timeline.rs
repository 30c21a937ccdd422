//! Timelines.

use olmstead_domain::position::Cursor;
use olmstead_storage::{
    Result,
    rooms::{Direction, TimelinePage},
};
use ruma::RoomId;

use super::{cache::EventCache, events::load_all, rows::event_id};
use crate::{
    keys::{Key, Table},
    reads::{Reads, Span},
};

/// Rows at `from` and after, strictly below `to`, under a prefix whose keys end in a cursor.
pub(super) fn span(prefix: &Key, from: Cursor, to: Cursor, direction: Direction) -> Span {
    let span = Span::between(&prefix.clone().cursor(from), &prefix.clone().cursor(to));
    match direction {
        Direction::Forward => span,
        Direction::Backward => span.backward(),
    }
}

/// A page of a room's timeline.
pub(super) fn timeline(
    reads: &impl Reads,
    cache: &EventCache,
    room_id: &RoomId,
    (from, to): (Cursor, Cursor),
    limit: usize,
    direction: Direction,
) -> Result<TimelinePage> {
    let prefix = Key::new(Table::Timeline).text(room_id);
    let (mut event_ids, mut more) = (Vec::new(), false);
    for row in reads.scan(span(&prefix, from, to, direction))? {
        let (_, value) = row?;
        if event_ids.len() >= limit {
            more = true;
            break;
        }
        event_ids.push(event_id(Table::Timeline, value.into_vec())?);
    }
    Ok(TimelinePage { events: load_all(reads, cache, &event_ids)?, more })
}
