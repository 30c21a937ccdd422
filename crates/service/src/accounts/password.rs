//! `POST /account/password`: a new password, and by default the end of all other devices (DEV-17).

use olmstead_domain::json::RawJson;
use olmstead_storage::devices::Session;

use super::passwords;
use crate::{
    Context, Result, ServiceError,
    uia::{self, PASSWORD},
};

/// Sets a new password for the caller, who proves to know the old one. The calling device stays.
///
/// # Errors
/// [`crate::Refusal::WeakPassword`] or `InvalidParam` for the new password; the 401 of user-interactive
/// authentication; [`ServiceError::UnknownToken`] if the account ended meanwhile.
pub async fn change(
    cx: &Context,
    session: &Session,
    new_password: String,
    logout_devices: bool,
    body: &RawJson,
) -> Result<()> {
    passwords::check_new(&new_password)?;
    uia::authorise(cx, session, "POST /account/password", body, PASSWORD).await?;
    let hash = passwords::hash(cx, new_password).await?;
    let device = &session.device;
    cx.storage
        .set_password(&device.user_id, hash, logout_devices, Some(&device.device_id))
        .await?
        .ok_or(ServiceError::UnknownToken { soft_logout: false })?;
    Ok(())
}
