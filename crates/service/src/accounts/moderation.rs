//! Locking and suspending accounts (`/admin/lock`, `/admin/suspend`; GEN-15, GEN-16).

use olmstead_storage::{
    accounts::{Account, StandingChange},
    devices::Session,
};
use ruma::UserId;

use crate::{Context, Result, ServiceError};

/// The account an administrator asks about.
///
/// # Errors
/// [`crate::Refusal::Forbidden`] if the caller is no administrator, `InvalidParam` for a user of another server,
/// `NotFound` for no such active account.
pub async fn inspect(cx: &Context, session: &Session, user_id: &UserId) -> Result<Account> {
    if !session.admin {
        return Err(ServiceError::forbidden("Only administrators may do this."));
    }
    if user_id.server_name() != cx.config.server_name {
        return Err(ServiceError::invalid_param("The user is of another server."));
    }
    let account = cx.storage.account(user_id).await?;
    account.filter(|account| !account.deactivated).ok_or_else(|| ServiceError::not_found("There is no such user."))
}

/// Changes the standing of an account that is neither the caller's nor another administrator's.
///
/// # Errors
/// As [`inspect`], and [`crate::Refusal::Forbidden`] for the accounts named.
pub async fn change(cx: &Context, session: &Session, user_id: &UserId, change: StandingChange) -> Result<()> {
    let account = inspect(cx, session, user_id).await?;
    if account.admin || session.device.user_id == user_id {
        return Err(ServiceError::forbidden("Administrators cannot be locked or suspended this way."));
    }
    if !cx.storage.set_standing(user_id, change).await? {
        return Err(ServiceError::not_found("There is no such user."));
    }
    Ok(())
}
