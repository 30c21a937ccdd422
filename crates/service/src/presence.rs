//! Presence: whether somebody is there.

use olmstead_storage::{devices::Session, ephemeral::Presence};
use ruma::UserId;

use crate::{Context, Result, ServiceError, account_data::for_oneself};

/// The states there are.
const STATES: [&str; 3] = ["online", "offline", "unavailable"];
/// The most bytes of a status text.
const MAX_STATUS: usize = 4096;

/// Sets the caller's presence.
///
/// # Errors
/// [`crate::Refusal::Forbidden`] for another user, `InvalidParam` for an unknown state or a status text that is too
/// long.
pub async fn set(
    cx: &Context,
    session: &Session,
    user_id: &UserId,
    presence: &str,
    status_msg: Option<String>,
) -> Result<()> {
    for_oneself(session, user_id)?;
    if !STATES.contains(&presence) {
        return Err(ServiceError::invalid_param("presence is one of online, offline and unavailable."));
    }
    if status_msg.as_ref().is_some_and(|text| text.len() > MAX_STATUS) {
        return Err(ServiceError::invalid_param("The status text is too long."));
    }
    let presence = Presence {
        user_id: user_id.to_owned(),
        presence: presence.to_owned(),
        status_msg,
        last_active_at: cx.now(),
        position: olmstead_domain::position::Position::START,
    };
    Ok(cx.storage.set_presence(presence).await?)
}

/// A user's presence, for the user and those who share a room. One who never said anything is offline.
///
/// # Errors
/// [`crate::Refusal::Forbidden`] for anybody else, `NotFound` for an unknown user.
pub async fn get(cx: &Context, session: &Session, user_id: &UserId) -> Result<Presence> {
    let asker = &session.device.user_id;
    let owned = user_id.to_owned();
    if asker != user_id && cx.storage.sharing_rooms(asker, std::slice::from_ref(&owned), false, false).await?.is_empty()
    {
        return match cx.storage.account(user_id).await? {
            Some(_) => Err(ServiceError::forbidden("This user's presence is for those who share a room.")),
            None => Err(ServiceError::not_found("There is no such user.")),
        };
    }
    let stored = cx.storage.presence(user_id).await?;
    Ok(stored.unwrap_or_else(|| Presence {
        user_id: owned,
        presence: "offline".to_owned(),
        status_msg: None,
        last_active_at: 0,
        position: olmstead_domain::position::Position::START,
    }))
}
