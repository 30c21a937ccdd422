//! Paging through the timeline (`GET /rooms/{roomId}/messages`).

use std::collections::BTreeSet;

use olmstead_domain::{
    filter::RoomEventFilter,
    json::RawJson,
    position::{Cursor, TimelineToken},
};
use olmstead_storage::{
    devices::DeviceRef,
    rooms::{Direction, StateSelection, StoredEvent},
};
use ruma::{OwnedUserId, RoomId};

use super::{
    relations::admits_children,
    render::{RenderOptions, render_with},
    visibility::{Access, History, require_access},
};
use crate::{Context, Result};

/// The most events of one page.
pub const MAX_LIMIT: usize = 1_000;
/// Events that are looked through for one page at most, when the filter or the visibility leaves out many.
const MAX_SCANNED: usize = 5_000;
/// Events read at once.
const CHUNK: usize = 500;

/// Which page.
#[derive(Debug, Clone)]
pub struct PageQuery {
    /// Where to start; by default at the end where the direction leads away from.
    pub from: Option<TimelineToken>,
    /// Where to stop.
    pub to: Option<TimelineToken>,
    /// The direction.
    pub direction: Direction,
    /// How many events at most.
    pub limit: usize,
    /// Which events.
    pub filter: RoomEventFilter,
}

/// A page of events in client form.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Page {
    /// Where it starts.
    pub start: String,
    /// Where to go on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// The events.
    pub chunk: Vec<RawJson>,
    /// With lazy loading, the member events of their senders.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub state: Vec<RawJson>,
}

/// A page of what the user may see of a room.
///
/// # Errors
/// [`crate::Refusal::Forbidden`] for who was never in the room.
pub async fn messages(cx: &Context, device: &DeviceRef, room_id: &RoomId, query: &PageQuery) -> Result<Page> {
    let access = require_access(cx, &device.user_id, room_id).await?;
    let history = History::load(cx, &device.user_id, room_id).await?;
    let (low, high) = match query.direction {
        Direction::Backward => (query.to, query.from),
        Direction::Forward => (query.from, query.to),
    };
    let low = low.map_or(Cursor::START, |token| token.0);
    let mut high = high.map_or(Cursor::END, |token| token.0);
    if let Access::Left(end) = access {
        // Nothing after leaving is visible but in a room that is open to everybody.
        if !super::visibility::is_world_readable(cx, room_id).await? {
            high = high.min(end);
        }
    }
    let limit = query.limit.clamp(1, MAX_LIMIT);
    let found = scan_filtered(cx, room_id, (low, high), limit, query.direction, &query.filter, &history).await?;

    let start = match (query.from, query.direction) {
        (Some(token), _) => token,
        (None, Direction::Forward) => TimelineToken(Cursor::START),
        (None, Direction::Backward) => match found.first {
            Some(newest) => TimelineToken(newest.next()),
            None => TimelineToken(Cursor::at(cx.storage.horizon().await?.position)),
        },
    };
    let options = RenderOptions::FULL;
    let chunk = render_with(cx, device, &history, &found.events, options).await?;
    let state = if query.filter.lazy_load_members {
        let place = found.events.iter().map(|event| event.cursor).max().map(Cursor::next);
        let members = members_of(cx, room_id, &found.events, place).await?;
        render_with(cx, device, &history, &members, RenderOptions::STATE).await?
    } else {
        Vec::new()
    };
    let end = found.more.map(|cursor| TimelineToken(cursor).to_string());
    Ok(Page { start: start.to_string(), end, chunk, state })
}

/// The member events of the senders of events, as of a place.
pub(crate) async fn members_of(
    cx: &Context,
    room_id: &RoomId,
    events: &[StoredEvent],
    before: Option<Cursor>,
) -> Result<Vec<StoredEvent>> {
    let senders: BTreeSet<OwnedUserId> = events.iter().map(|event| event.pdu.sender().to_owned()).collect();
    if senders.is_empty() {
        return Ok(Vec::new());
    }
    let keys = senders.iter().map(|sender| super::member_key(sender)).collect();
    Ok(cx.storage.state(room_id, before, StateSelection::These(keys)).await?)
}

/// What a scan found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The events in the direction asked.
    pub(crate) events: Vec<StoredEvent>,
    /// The first event looked at, kept or not.
    pub(crate) first: Option<Cursor>,
    /// Where to go on, if there may be more.
    pub(crate) more: Option<Cursor>,
}

/// Reads a span of the timeline in a direction until `limit` events were kept or enough were looked at.
pub(crate) async fn scan(
    cx: &Context,
    room_id: &RoomId,
    span: (Cursor, Cursor),
    limit: usize,
    direction: Direction,
    keep: impl Fn(&StoredEvent) -> bool,
) -> Result<Found> {
    scan_with(cx, room_id, (span, limit, direction), keep, None).await
}

/// [`scan`] for what the user may see and the filter admits.
pub(crate) async fn scan_filtered(
    cx: &Context,
    room_id: &RoomId,
    span: (Cursor, Cursor),
    limit: usize,
    direction: Direction,
    filter: &RoomEventFilter,
    history: &History,
) -> Result<Found> {
    let keep = |event: &StoredEvent| history.may_see(event) && filter.admits(&event.pdu);
    scan_with(cx, room_id, (span, limit, direction), keep, Some((filter, history))).await
}

async fn scan_with(
    cx: &Context,
    room_id: &RoomId,
    ((mut low, mut high), limit, direction): ((Cursor, Cursor), usize, Direction),
    keep: impl Fn(&StoredEvent) -> bool,
    children: Option<(&RoomEventFilter, &History)>,
) -> Result<Found> {
    let mut found = Found::default();
    let mut scanned = 0;
    // Usually all events are kept, so the first read asks for just as many.
    let mut size = limit.min(CHUNK);
    while low < high && limit > 0 {
        let page = cx.storage.timeline(room_id, low, high, size, direction).await?;
        size = CHUNK;
        let count = page.events.len();
        for (index, event) in page.events.into_iter().enumerate() {
            let cursor = event.cursor;
            found.first.get_or_insert(cursor);
            match direction {
                Direction::Backward => high = cursor,
                Direction::Forward => low = cursor.next(),
            }
            let mut is_kept = keep(&event);
            if let Some((filter, history)) = children.filter(|_| is_kept) {
                is_kept = admits_children(cx, filter, &event, |child| history.may_see(child)).await?;
            }
            if is_kept {
                found.events.push(event);
            }
            if found.events.len() == limit {
                if page.more || index + 1 < count {
                    found.more = Some(if direction == Direction::Backward { high } else { low });
                }
                return Ok(found);
            }
        }
        scanned += count;
        if !page.more || count == 0 {
            return Ok(found);
        }
        if scanned >= MAX_SCANNED {
            found.more = Some(if direction == Direction::Backward { high } else { low });
            return Ok(found);
        }
    }
    Ok(found)
}
