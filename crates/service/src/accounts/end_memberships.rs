//! What the end of an account means for the rooms the user is in.

use ruma::UserId;

use crate::{Context, Result, rooms::membership::leave_all};

/// Leaves all rooms and rejects all invites of a user who is about to be deactivated.
pub(super) async fn end_memberships(cx: &Context, user_id: &UserId) -> Result<()> {
    leave_all(cx, user_id).await
}
