//! The accounts of this server, as an operator sees and changes them.

pub mod change;
pub mod create;
pub mod devices;
pub mod list;
pub mod show;

use olmstead_storage::accounts::Account;
use ruma::{DeviceId, OwnedUserId, UserId};

use super::e2ee;
use crate::{Context, Refusal, Result, ServiceError};

/// The id of a user of this server, from an id or a name.
///
/// # Errors
/// [`Refusal::InvalidParam`] for what cannot be one.
pub fn local(cx: &Context, text: &str) -> Result<OwnedUserId> {
    let user_id = e2ee::user_id(cx, text)?;
    if cx.is_local(&user_id) {
        Ok(user_id)
    } else {
        Err(ServiceError::invalid_param(format!("{user_id} is a user of another server.")))
    }
}

/// The account of a user of this server, also when it is deactivated.
///
/// # Errors
/// As [`local`], and [`Refusal::NotFound`].
pub(super) async fn account(cx: &Context, text: &str) -> Result<Account> {
    find(cx, &local(cx, text)?).await
}

/// The account of an id.
///
/// # Errors
/// [`Refusal::NotFound`].
pub(super) async fn find(cx: &Context, user_id: &UserId) -> Result<Account> {
    cx.storage.account(user_id).await?.ok_or_else(|| not_there(user_id))
}

/// As [`account`], for what only accounts can have done to them that were not deactivated.
///
/// # Errors
/// As [`account`], and [`Refusal::UserDeactivated`].
async fn active(cx: &Context, text: &str) -> Result<Account> {
    let account = account(cx, text).await?;
    if account.deactivated { Err(deactivated(&account.user_id)) } else { Ok(account) }
}

fn not_there(user_id: &UserId) -> ServiceError {
    ServiceError::not_found(format!("There is no account {user_id}."))
}

/// The refusal of a device that is not there.
pub(super) fn no_device(user_id: &UserId, device_id: &DeviceId) -> ServiceError {
    ServiceError::not_found(format!("{user_id} has no device {device_id}."))
}

fn deactivated(user_id: &OwnedUserId) -> ServiceError {
    ServiceError::refused(Refusal::UserDeactivated, format!("{user_id} was deactivated."))
}
