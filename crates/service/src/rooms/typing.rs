//! Typing notifications.

use ruma::{RoomId, UserId};

use super::visibility::require_joined;
use crate::{Context, Result};

/// How long somebody counts as typing when the client does not say, milliseconds.
const DEFAULT_MS: u64 = 30_000;
/// The longest time a client may ask for, milliseconds.
pub(crate) const MAX_MS: u64 = 120_000;

/// Says that a user types for so many milliseconds, or with `typing` false that they have stopped.
///
/// # Errors
/// [`crate::Refusal::Forbidden`] for who is not in the room.
pub async fn set_typing(
    cx: &Context,
    user_id: &UserId,
    room_id: &RoomId,
    typing: bool,
    timeout_ms: Option<u64>,
) -> Result<()> {
    require_joined(cx, user_id, room_id).await?;
    let until = typing.then(|| cx.now().saturating_add(timeout_ms.unwrap_or(DEFAULT_MS).min(MAX_MS)));
    Ok(cx.storage.set_typing(room_id, user_id, until).await?)
}
