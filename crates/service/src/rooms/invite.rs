//! Inviting.

use olmstead_domain::rooms::membership::Action;
use ruma::{RoomId, UserId};
use serde::Deserialize;

use super::{
    membership::{Request, change},
    profile::member_profile,
};
use crate::{Context, Refusal, Result, ServiceError};

/// Invites a user into a room.
///
/// # Errors
/// [`Refusal::Forbidden`] if the rules say no or the user is on another server, [`Refusal::InviteBlocked`] if the user
/// takes no invitations.
pub async fn invite(
    cx: &Context,
    sender: &UserId,
    room_id: &RoomId,
    target: &UserId,
    reason: Option<&str>,
) -> Result<()> {
    check_invitable(cx, target).await?;
    let profile = member_profile(cx, target).await?;
    change(cx, room_id, &Request { profile, reason, ..Request::new(Action::Invite, sender, target) }).await
}

/// Refuses users who cannot be reached or do not want to be.
///
/// # Errors
/// [`Refusal::Forbidden`] and [`Refusal::InviteBlocked`].
pub async fn check_invitable(cx: &Context, target: &UserId) -> Result<()> {
    #[derive(Deserialize)]
    struct Config {
        default_action: Option<String>,
    }
    if target.server_name() != cx.config.server_name {
        return Err(ServiceError::forbidden(format!(
            "{target} is on another server, and this server does not federate."
        )));
    }
    let config = cx.storage.account_data(target, None, "m.invite_permission_config").await?;
    let action = config.and_then(|config| config.read::<Config>().ok()).and_then(|config| config.default_action);
    if action.as_deref() == Some("block") {
        return Err(ServiceError::refused(Refusal::InviteBlocked, format!("{target} takes no invitations.")));
    }
    Ok(())
}
