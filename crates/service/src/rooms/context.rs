//! What surrounds an event (`GET /rooms/{roomId}/context/{eventId}`).

use olmstead_domain::{
    filter::RoomEventFilter,
    json::RawJson,
    position::{Cursor, TimelineToken},
};
use olmstead_storage::{
    devices::DeviceRef,
    rooms::{Direction, StateSelection, StoredEvent},
};
use ruma::{EventId, RoomId};

use super::{
    event::visible_event,
    messages::{members_of, scan_filtered},
    render::{RenderOptions, render_with},
};
use crate::{Context, Result};

/// The most events around an event.
const MAX_LIMIT: usize = 200;

/// An event and what surrounds it, in client form.
#[derive(Debug, Clone, serde::Serialize)]
pub struct EventContext {
    /// Where to go back from.
    pub start: String,
    /// Where to go forward from.
    pub end: String,
    /// The event.
    pub event: Option<RawJson>,
    /// The events before, newest first.
    pub events_before: Vec<RawJson>,
    /// The events after, oldest first.
    pub events_after: Vec<RawJson>,
    /// The state at the last of the events.
    pub state: Vec<RawJson>,
}

/// The surroundings of an event, as far as the user may see them.
///
/// # Errors
/// [`crate::Refusal::NotFound`] if there is no such event in the room, or the user may not see it.
pub async fn context(
    cx: &Context,
    device: &DeviceRef,
    room_id: &RoomId,
    event_id: &EventId,
    limit: usize,
    filter: &RoomEventFilter,
) -> Result<EventContext> {
    let (event, history, access) = visible_event(cx, &device.user_id, room_id, event_id).await?;
    let limit = limit.min(MAX_LIMIT);
    let place = event.cursor;
    let before = scan_filtered(cx, room_id, (Cursor::START, place), limit / 2, Direction::Backward, filter, &history);
    let before = before.await?.events;
    let after = scan_filtered(
        cx,
        room_id,
        (place.next(), Cursor::END),
        limit - limit / 2,
        Direction::Forward,
        filter,
        &history,
    );
    let after = after.await?.events;

    let oldest = before.last().map_or(place, |event| event.cursor);
    let newest = after.last().map_or(place, |event| event.cursor).next();
    let state_place = access.state_before().map_or(newest, |left| left.min(newest));
    let state = if filter.lazy_load_members {
        let mut state = cx.storage.state(room_id, Some(state_place), StateSelection::AllButMembers).await?;
        let shown: Vec<StoredEvent> =
            before.iter().chain(std::iter::once(&event)).chain(after.iter()).cloned().collect();
        state.extend(members_of(cx, room_id, &shown, Some(state_place)).await?);
        state
    } else {
        cx.storage.state(room_id, Some(state_place), StateSelection::All).await?
    };
    let state: Vec<StoredEvent> = state.into_iter().filter(|event| filter.admits(&event.pdu)).collect();

    let full = RenderOptions::FULL;
    Ok(EventContext {
        start: TimelineToken(oldest).to_string(),
        end: TimelineToken(newest).to_string(),
        event: render_with(cx, device, &history, std::slice::from_ref(&event), full).await?.into_iter().next(),
        events_before: render_with(cx, device, &history, &before, full).await?,
        events_after: render_with(cx, device, &history, &after, full).await?,
        state: render_with(cx, device, &history, &state, RenderOptions::STATE).await?,
    })
}
