//! One event (`GET /rooms/{roomId}/event/{eventId}`).

use olmstead_storage::rooms::StoredEvent;
use ruma::{EventId, RoomId, UserId};

use super::visibility::{Access, History, access};
use crate::{Context, Result, ServiceError};

/// An event of the room that the user may see, and what decides on others.
///
/// # Errors
/// [`crate::Refusal::NotFound`] if there is no such event in the room, or the user may not see it.
pub async fn visible_event(
    cx: &Context,
    user_id: &UserId,
    room_id: &RoomId,
    event_id: &EventId,
) -> Result<(StoredEvent, History, Access)> {
    let not_found = || ServiceError::not_found("There is no such event in this room, or you may not see it.");
    let access = access(cx, user_id, room_id).await?.ok_or_else(not_found)?;
    let found = cx.storage.events(&[event_id.to_owned()]).await?.into_iter().next().flatten();
    let event = found.filter(|event| event.pdu.room_id() == room_id).ok_or_else(not_found)?;
    let history = History::load(cx, user_id, room_id).await?;
    if !history.may_see(&event) {
        return Err(not_found());
    }
    Ok((event, history, access))
}
