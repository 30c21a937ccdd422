//! The event closest to a time (`GET /rooms/{roomId}/timestamp_to_event`).

use olmstead_domain::position::{Cursor, Position};
use olmstead_storage::rooms::{Direction, StoredEvent};
use ruma::{OwnedEventId, RoomId, UserId};

use super::{
    messages::scan,
    visibility::{History, require_access},
};
use crate::{Context, Result, ServiceError};

/// The first visible event at or after a time, or going back the last one at or before it, with its own time.
///
/// Events stand in the order in which the server took them, and their times grow with it but for the odd clock, so the
/// place is found by halving.
///
/// # Errors
/// [`crate::Refusal::Forbidden`] for who was never in the room, [`crate::Refusal::NotFound`] if there is no such event.
pub async fn closest_event(
    cx: &Context,
    user_id: &UserId,
    room_id: &RoomId,
    timestamp: u64,
    direction: Direction,
) -> Result<(OwnedEventId, u64)> {
    require_access(cx, user_id, room_id).await?;
    let history = History::load(cx, user_id, room_id).await?;
    // The first place whose event is not before the time; going back, the first whose event is after it.
    let is_past = |event: &StoredEvent| match direction {
        Direction::Forward => event.pdu.origin_server_ts() >= timestamp,
        Direction::Backward => event.pdu.origin_server_ts() > timestamp,
    };
    let (mut low, mut high) = (Position::START.0, cx.storage.horizon().await?.position.next().0);
    while low < high {
        let middle = low + (high - low) / 2;
        let page =
            cx.storage.timeline(room_id, Cursor::at(Position(middle)), Cursor::END, 1, Direction::Forward).await?;
        match page.events.first() {
            Some(event) if !is_past(event) => low = event.cursor.position.0.saturating_add(1).max(middle + 1),
            _ => high = middle,
        }
    }
    let place = Cursor::at(Position(low));
    let span = match direction {
        Direction::Forward => (place, Cursor::END),
        Direction::Backward => (Cursor::START, place),
    };
    let found = scan(cx, room_id, span, 1, direction, |event| {
        history.may_see(event)
            && match direction {
                Direction::Forward => event.pdu.origin_server_ts() >= timestamp,
                Direction::Backward => event.pdu.origin_server_ts() <= timestamp,
            }
    })
    .await?;
    found
        .events
        .first()
        .map(|event| (event.pdu.event_id().to_owned(), event.pdu.origin_server_ts()))
        .ok_or_else(|| ServiceError::not_found("There is no event in this direction."))
}
