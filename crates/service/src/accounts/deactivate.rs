//! `POST /account/deactivate`: the end of an account (DEV-18, AD-8).

use olmstead_domain::json::RawJson;
use olmstead_storage::devices::Session;
use ruma::UserId;

use crate::{
    Context, Result, ServiceError,
    uia::{self, PASSWORD},
};

/// Deactivates the caller's account for good. The user leaves all rooms first, while the account still can.
///
/// # Errors
/// The 401 of user-interactive authentication; [`ServiceError::UnknownToken`] if the account ended meanwhile.
pub async fn deactivate(cx: &Context, session: &Session, erase: bool, body: &RawJson) -> Result<()> {
    uia::authorise(cx, session, "POST /account/deactivate", body, PASSWORD).await?;
    if !end(cx, &session.device.user_id, erase).await? {
        return Err(ServiceError::UnknownToken { soft_logout: false });
    }
    Ok(())
}

/// Ends an account: it leaves all rooms, and then goes. `false` if it was ended before.
pub(crate) async fn end(cx: &Context, user_id: &UserId, erase: bool) -> Result<bool> {
    super::end_memberships::end_memberships(cx, user_id).await?;
    Ok(cx.storage.deactivate_account(user_id, erase).await?)
}
