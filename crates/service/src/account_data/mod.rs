//! Account data: what clients keep on the server for themselves (AD-1 to AD-9).

pub mod tags;

use olmstead_domain::{
    identifiers::{self, MAX_ID_BYTES},
    json,
    json::RawJson,
};
use olmstead_storage::devices::Session;
use ruma::{RoomId, UserId};

use crate::{Context, Refusal, Result, ServiceError, push_rules, tries::Tries};

/// Types that have their own endpoints and are not set here (AD-4).
const SERVER_CONTROLLED: [&str; 2] = ["m.fully_read", push_rules::TYPE];

/// Sets one entry, global or of a room. The content is kept as it is (AD-6).
///
/// # Errors
/// [`Refusal::Forbidden`] for another user (AD-1), `NotAllowedHere` (AD-4), `BadJson` if the content is not an object
/// (AD-3) or is one that common JSON libraries cannot read.
pub async fn set(
    cx: &Context,
    session: &Session,
    user_id: &UserId,
    room_id: Option<&RoomId>,
    kind: &str,
    content: RawJson,
) -> Result<()> {
    for_oneself(session, user_id)?;
    check_room_id(room_id)?;
    identifiers::check_event_type(kind).map_err(|error| ServiceError::domain(error.kind(), error))?;
    if SERVER_CONTROLLED.contains(&kind) {
        return Err(ServiceError::refused(Refusal::NotAllowedHere, format!("{kind} is not set through this API.")));
    }
    if !content.is_object() {
        return Err(ServiceError::bad_json("Account data must be a JSON object."));
    }
    json::canonical_len(content.as_raw()).map_err(|error| ServiceError::domain(error.kind(), error))?;
    Ok(cx.storage.set_account_data(user_id, room_id, kind, content).await?)
}

/// One entry.
///
/// # Errors
/// [`Refusal::Forbidden`] for another user, `NotFound` when it was never set (AD-2).
pub async fn get(
    cx: &Context,
    session: &Session,
    user_id: &UserId,
    room_id: Option<&RoomId>,
    kind: &str,
) -> Result<RawJson> {
    for_oneself(session, user_id)?;
    check_room_id(room_id)?;
    if room_id.is_none() && kind == push_rules::TYPE {
        return push_rules::content(&push_rules::all(cx, user_id).await?);
    }
    let content = cx.storage.account_data(user_id, room_id, kind).await?;
    content.ok_or_else(|| ServiceError::not_found("There is no such account data."))
}

/// Refuses a room id of a sigil and nothing else, or longer than any is, both of which the type lets through (AD-5).
fn check_room_id(room_id: Option<&RoomId>) -> Result<()> {
    if room_id.is_some_and(|room_id| !(2..=MAX_ID_BYTES).contains(&room_id.as_str().len())) {
        return Err(ServiceError::invalid_param("This is not a room ID."));
    }
    Ok(())
}

/// Refuses to touch what belongs to another user.
pub(crate) fn for_oneself(session: &Session, user_id: &UserId) -> Result<()> {
    if session.device.user_id == user_id {
        Ok(())
    } else {
        Err(ServiceError::forbidden("This can only be done for oneself."))
    }
}

/// Changes an entry in a way that depends on what is there. `change` makes the new content from the old, or nothing when
/// all is well; it runs again when somebody else was faster.
pub(crate) async fn update(
    cx: &Context,
    user_id: &UserId,
    room_id: Option<&RoomId>,
    kind: &str,
    change: impl Fn(Option<&RawJson>) -> Result<Option<RawJson>> + Send + Sync,
) -> Result<()> {
    let mut tries = Tries::new(cx);
    loop {
        let old = cx.storage.account_data(user_id, room_id, kind).await?;
        let Some(new) = change(old.as_ref())? else { return Ok(()) };
        if cx.storage.replace_account_data(user_id, room_id, kind, old.as_ref(), new).await? {
            return Ok(());
        }
        tries.again().await?;
    }
}
