//! Children of an event by relation.

use olmstead_domain::position::Cursor;
use olmstead_storage::{
    Result,
    rooms::{Direction, RelationQuery, TimelinePage},
};
use ruma::{EventId, RoomId};

use super::{cache::EventCache, events::load_all, timeline::span};
use crate::{
    keys::{Key, Table},
    reads::Reads,
};

/// A page of the children of an event.
#[allow(clippy::too_many_arguments)]
pub(super) fn relations(
    reads: &impl Reads,
    cache: &EventCache,
    room_id: &RoomId,
    parent: &EventId,
    query: &RelationQuery,
    (from, to): (Cursor, Cursor),
    limit: usize,
    direction: Direction,
) -> Result<TimelinePage> {
    let prefix = Key::new(Table::Relation).text(room_id).text(parent);
    let (mut event_ids, mut more) = (Vec::new(), false);
    for row in reads.scan(span(&prefix, from, to, direction))? {
        let (_, value) = row?;
        let mut parts = Key::parts_of(Table::Relation, &value)?;
        let (rel_type, kind) = (parts.text()?, parts.text()?);
        if query.rel_type.as_ref().is_some_and(|wanted| *wanted != rel_type)
            || query.event_type.as_ref().is_some_and(|wanted| *wanted != kind)
        {
            continue;
        }
        if event_ids.len() >= limit {
            more = true;
            break;
        }
        event_ids.push(parts.id()?);
    }
    Ok(TimelinePage { events: load_all(reads, cache, &event_ids)?, more })
}
