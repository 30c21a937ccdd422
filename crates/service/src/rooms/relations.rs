//! Events that relate to an event (`GET /rooms/{roomId}/relations/{eventId}`).

use std::collections::BTreeMap;

use olmstead_domain::{
    filter::RoomEventFilter,
    json::RawJson,
    position::{Cursor, TimelineToken},
};
use olmstead_storage::{
    devices::DeviceRef,
    rooms::{Direction, RelationQuery, StoredEvent},
};
use ruma::{EventId, OwnedEventId, RoomId};
use serde::Serialize;

use super::{
    event::visible_event,
    render::{RenderOptions, render_with},
    visibility::History,
};
use crate::{Context, Result};

/// Events of a page when the client does not say.
pub const DEFAULT_LIMIT: usize = 20;
/// The most events of a page.
const MAX_LIMIT: usize = 500;
/// How far indirect relations are followed.
const MAX_DEPTH: usize = 3;
/// The most events that are collected when indirect relations are asked for.
const MAX_COLLECTED: usize = 5_000;

/// Which relations.
#[derive(Debug, Clone)]
pub struct RelationsQuery {
    /// The kinds of relation and event.
    pub kinds: RelationQuery,
    /// Where to start.
    pub from: Option<TimelineToken>,
    /// Where to stop.
    pub to: Option<TimelineToken>,
    /// How many at most.
    pub limit: usize,
    /// The direction.
    pub direction: Direction,
    /// Whether to follow relations of relations.
    pub recurse: bool,
}

/// A page of related events in client form.
#[derive(Debug, Clone, Serialize)]
pub struct Relations {
    /// The events.
    pub chunk: Vec<RawJson>,
    /// Where to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_batch: Option<String>,
    /// Where the page started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_batch: Option<String>,
    /// How far indirect relations were followed, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recursion_depth: Option<u64>,
}

/// A page of the events that relate to an event, as far as the user may see them.
///
/// # Errors
/// [`crate::Refusal::NotFound`] if there is no such event in the room, or the user may not see it.
pub async fn relations(
    cx: &Context,
    device: &DeviceRef,
    room_id: &RoomId,
    parent: &EventId,
    query: &RelationsQuery,
) -> Result<Relations> {
    let (_, history, _) = visible_event(cx, &device.user_id, room_id, parent).await?;
    let (low, high) = match query.direction {
        Direction::Backward => (query.to, query.from),
        Direction::Forward => (query.from, query.to),
    };
    let span = (low.map_or(Cursor::START, |token| token.0), high.map_or(Cursor::END, |token| token.0));
    let limit = query.limit.clamp(1, MAX_LIMIT);
    let (events, more) = if query.recurse {
        let mut all = collect(cx, room_id, parent, query, &history).await?;
        all.retain(|event| span.0 <= event.cursor && event.cursor < span.1);
        if query.direction == Direction::Backward {
            all.reverse();
        }
        let more = all.len() > limit;
        all.truncate(limit);
        let end = all.last().map(|event| after(event.cursor, query.direction));
        (all, end.filter(|_| more))
    } else {
        let page = cx.storage.relations(room_id, parent, &query.kinds, span.0, span.1, limit, query.direction).await?;
        let end = page.events.last().map(|event| after(event.cursor, query.direction)).filter(|_| page.more);
        let events = page.events.into_iter().filter(|event| is_shown(event, &history)).collect();
        (events, end)
    };
    Ok(Relations {
        chunk: render_with(cx, device, &history, &events, RenderOptions::FULL).await?,
        next_batch: more.map(|cursor| TimelineToken(cursor).to_string()),
        prev_batch: query.from.map(|token| token.to_string()),
        recursion_depth: query.recurse.then_some(MAX_DEPTH as u64),
    })
}

/// Whether the events that relate to an event are what the filter asks for. `may_see` judges each of them.
pub(crate) async fn admits_children(
    cx: &Context,
    filter: &RoomEventFilter,
    event: &StoredEvent,
    may_see: impl Fn(&StoredEvent) -> bool,
) -> Result<bool> {
    if !filter.asks_for_children() {
        return Ok(true);
    }
    let rel_type = match filter.related_by_rel_types.as_slice() {
        [only] => Some(only.clone()),
        _ => None,
    };
    let page = cx
        .storage
        .relations(
            event.pdu.room_id(),
            event.pdu.event_id(),
            &RelationQuery { rel_type, event_type: None },
            Cursor::START,
            Cursor::END,
            MAX_COLLECTED,
            Direction::Backward,
        )
        .await?;
    let is_wanted = |child: &StoredEvent| child.redacted_by.is_none() && filter.admits_child(&child.pdu);
    Ok(page.events.iter().any(|child| is_wanted(child) && may_see(child)))
}

fn after(cursor: Cursor, direction: Direction) -> Cursor {
    match direction {
        Direction::Backward => cursor,
        Direction::Forward => cursor.next(),
    }
}

/// A redacted event relates to nothing any more.
fn is_shown(event: &StoredEvent, history: &History) -> bool {
    event.redacted_by.is_none() && history.may_see(event)
}

/// Direct and indirect relations, in the order of the stream, each event once.
async fn collect(
    cx: &Context,
    room_id: &RoomId,
    parent: &EventId,
    query: &RelationsQuery,
    history: &History,
) -> Result<Vec<StoredEvent>> {
    let mut all: BTreeMap<Cursor, StoredEvent> = BTreeMap::new();
    let mut parents: Vec<OwnedEventId> = vec![parent.to_owned()];
    for _ in 0..MAX_DEPTH {
        let mut children = Vec::new();
        for parent in parents {
            let room_left = MAX_COLLECTED.saturating_sub(all.len());
            if room_left == 0 {
                break;
            }
            let page = cx
                .storage
                .relations(room_id, &parent, &query.kinds, Cursor::START, Cursor::END, room_left, Direction::Forward)
                .await?;
            for event in page.events.into_iter().filter(|event| is_shown(event, history)) {
                let event_id = event.pdu.event_id().to_owned();
                if all.insert(event.cursor, event).is_none() {
                    children.push(event_id);
                }
            }
        }
        if children.is_empty() {
            break;
        }
        parents = children;
    }
    Ok(all.into_values().collect())
}
