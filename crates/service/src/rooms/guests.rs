//! Guests in rooms (client-server API, "Guest access").

use olmstead_domain::rooms::Pdu;
use ruma::RoomId;

use super::{append::current_state, key_of, membership::leave};
use crate::{Context, Refusal, Result, ServiceError};

/// Whether `m.room.guest_access` lets guests in.
pub(crate) fn lets_in(guest_access: Option<&Pdu>) -> bool {
    let value: Option<String> = guest_access.and_then(|event| event.content_field("guest_access"));
    value.as_deref() == Some("can_join")
}

/// Refuses a guest where guests may not be.
///
/// # Errors
/// [`Refusal::GuestAccessForbidden`].
pub(crate) async fn check_room(cx: &Context, room_id: &RoomId) -> Result<()> {
    let key = key_of("m.room.guest_access");
    if lets_in(current_state(cx, room_id, std::slice::from_ref(&key)).await?.get(&key)) {
        return Ok(());
    }
    Err(ServiceError::refused(Refusal::GuestAccessForbidden, "This room takes no guests."))
}

/// Ends the membership of all guests, after the room has stopped taking them.
pub(crate) async fn send_away(cx: &Context, room_id: &RoomId) -> Result<()> {
    for user_id in cx.storage.joined_members(room_id).await? {
        if cx.is_local(&user_id) && cx.storage.account(&user_id).await?.is_some_and(|account| account.guest) {
            match leave(cx, &user_id, room_id, None).await {
                Ok(()) | Err(ServiceError::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
