//! What a new display name or avatar means for the rooms the user is in.

use ruma::UserId;

use crate::{Context, Result, rooms::membership::update_profile_in_rooms};

/// Puts the user's display name and avatar, as stored now, into the membership of every room the user is joined to.
pub(super) async fn to_rooms(cx: &Context, user_id: &UserId) -> Result<()> {
    update_profile_in_rooms(cx, user_id).await
}
