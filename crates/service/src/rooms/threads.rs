//! The threads of a room, the one with the newest message first (`GET /rooms/{roomId}/threads`).

use olmstead_domain::{
    json::RawJson,
    position::{Cursor, TimelineToken},
    rooms::relations::{Relation, THREAD},
};
use olmstead_storage::{
    devices::DeviceRef,
    rooms::{Direction, RelationQuery, StoredEvent},
};
use ruma::{EventId, RoomId};
use serde::Serialize;

use super::{
    messages::scan,
    render::{RenderOptions, render_with},
    visibility::{History, require_access},
};
use crate::{Context, Result};

/// Threads of a page when the client does not say.
pub const DEFAULT_LIMIT: usize = 20;
/// The most threads of a page.
const MAX_LIMIT: usize = 100;
/// Messages of one thread that are looked through for the asker's.
const MAX_MESSAGES: usize = 5_000;

/// A page of thread roots in client form.
#[derive(Debug, Clone, Serialize)]
pub struct Threads {
    /// The roots.
    pub chunk: Vec<RawJson>,
    /// Where to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_batch: Option<String>,
}

/// A page of the threads the user may see.
///
/// # Errors
/// [`crate::Refusal::Forbidden`] for who was never in the room.
pub async fn threads(
    cx: &Context,
    device: &DeviceRef,
    room_id: &RoomId,
    from: Option<TimelineToken>,
    limit: usize,
    participated: bool,
) -> Result<Threads> {
    require_access(cx, &device.user_id, room_id).await?;
    let history = History::load(cx, &device.user_id, room_id).await?;
    let limit = limit.clamp(1, MAX_LIMIT);
    let mut high = from.map_or(Cursor::END, |token| token.0);
    let mut roots: Vec<StoredEvent> = Vec::new();
    // Going back, the first message of a thread that is met is its newest, and it is the place of the thread in the
    // list. So a page needs no memory of the pages before.
    let next = loop {
        let found = scan(cx, room_id, (Cursor::START, high), 1, Direction::Backward, |event| {
            thread_root(event).is_some() && event.redacted_by.is_none() && history.may_see(event)
        })
        .await?;
        if let Some(message) = found.events.first()
            && let Some(root) = root_if_newest(cx, device, room_id, message, &history, participated).await?
        {
            roots.push(root);
        }
        match found.more {
            None => break None,
            // Nothing was found within what one request may look through, or the page is full.
            Some(place) if found.events.is_empty() || roots.len() == limit => break Some(place),
            Some(place) => high = place,
        }
    };
    Ok(Threads {
        chunk: render_with(cx, device, &history, &roots, RenderOptions::FULL).await?,
        next_batch: next.map(|place| TimelineToken(place).to_string()),
    })
}

fn thread_root(event: &StoredEvent) -> Option<ruma::OwnedEventId> {
    Relation::of(&event.pdu).filter(|relation| relation.rel_type == THREAD).map(|relation| relation.event_id)
}

async fn root_if_newest(
    cx: &Context,
    device: &DeviceRef,
    room_id: &RoomId,
    message: &StoredEvent,
    history: &History,
    participated: bool,
) -> Result<Option<StoredEvent>> {
    let Some(root_id) = thread_root(message) else { return Ok(None) };
    let root = cx.storage.events(std::slice::from_ref(&root_id)).await?.into_iter().next().flatten();
    let Some(root) = root.filter(|root| root.pdu.room_id() == room_id && history.may_see(root)) else {
        return Ok(None);
    };
    let is_valid = Relation::of(&message.pdu).is_some_and(|relation| relation.holds(&message.pdu, &root.pdu));
    if !is_valid {
        return Ok(None);
    }
    let messages = messages_of(cx, room_id, &root_id, if participated { MAX_MESSAGES } else { 50 }).await?;
    let newest = messages.iter().find(|event| event.redacted_by.is_none() && history.may_see(event));
    if newest.is_none_or(|newest| newest.cursor != message.cursor) {
        return Ok(None);
    }
    let takes_part = !participated
        || root.pdu.sender() == device.user_id
        || messages.iter().any(|event| event.pdu.sender() == device.user_id && event.redacted_by.is_none());
    Ok(takes_part.then_some(root))
}

async fn messages_of(cx: &Context, room_id: &RoomId, root: &EventId, limit: usize) -> Result<Vec<StoredEvent>> {
    let query = RelationQuery { rel_type: Some(THREAD.to_owned()), event_type: None };
    let page =
        cx.storage.relations(room_id, root, &query, Cursor::START, Cursor::END, limit, Direction::Backward).await?;
    Ok(page.events)
}
