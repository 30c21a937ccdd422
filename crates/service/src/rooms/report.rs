//! Reports of content. They go to the log, where the administrator of the server reads them; nothing is stored.

use ruma::{EventId, RoomId, UserId};

use super::{event::visible_event, known_room, visibility::is_joined};
use crate::{Context, Result, ServiceError};

/// The most characters of a reason that are logged.
const MAX_REASON: usize = 1_000;

/// Reports an event.
///
/// # Errors
/// [`crate::Refusal::NotFound`] if the user is not in the room or there is no such event.
pub async fn report_event(
    cx: &Context,
    user_id: &UserId,
    room_id: &RoomId,
    event_id: &EventId,
    reason: Option<&str>,
) -> Result<()> {
    if !is_joined(cx, user_id, room_id).await? {
        return Err(ServiceError::not_found("There is no such event, or you are not in the room."));
    }
    let (event, ..) = visible_event(cx, user_id, room_id, event_id).await?;
    let sender = event.pdu.sender();
    tracing::info!(%user_id, %room_id, %event_id, %sender, reason = short(reason), "an event was reported");
    Ok(())
}

/// Reports a room.
///
/// # Errors
/// [`crate::Refusal::NotFound`] for an unknown room.
pub async fn report_room(cx: &Context, user_id: &UserId, room_id: &RoomId, reason: &str) -> Result<()> {
    known_room(cx, room_id).await?;
    tracing::info!(%user_id, %room_id, reason = short(Some(reason)), "a room was reported");
    Ok(())
}

/// Reports a user of this server or another. Whether there is such a user is not told.
pub fn report_user(user_id: &UserId, reported: &UserId, reason: &str) {
    tracing::info!(%user_id, %reported, reason = short(Some(reason)), "a user was reported");
}

fn short(reason: Option<&str>) -> tracing::field::DebugValue<String> {
    tracing::field::debug(reason.unwrap_or_default().chars().take(MAX_REASON).collect())
}
