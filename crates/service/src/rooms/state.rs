//! Room state: setting an entry, reading one or all.

use olmstead_domain::{
    identifiers::{MAX_ID_BYTES, check_event_type},
    json::{self, RawJson},
    rooms::EventTemplate,
};
use olmstead_storage::{
    devices::Session,
    rooms::{StateSelection, StoredEvent},
};
use ruma::{OwnedEventId, OwnedRoomAliasId, RoomId, UserId};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::{
    append::{Plan, append_once, current_state},
    bad_id, bad_json, check_length, guests,
    invite::check_invitable,
    join::check_entry,
    key_of,
    profile::member_profile,
    visibility::require_access,
};
use crate::{Context, Refusal, Result, ServiceError};

/// Sets a state entry. The same content by the same sender again is the event that is there already.
///
/// # Errors
/// [`Refusal::InvalidParam`] for a malformed type, key or alias, [`Refusal::BadAlias`] for an alias that does not point
/// to the room, [`Refusal::BadJson`], [`Refusal::TooLarge`], [`Refusal::Forbidden`] if the rules say no, and for
/// memberships what inviting and joining refuse.
pub async fn put_state(
    cx: &Context,
    session: &Session,
    room_id: &RoomId,
    kind: &str,
    state_key: &str,
    content: &RawJson,
) -> Result<OwnedEventId> {
    check_event_type(kind).map_err(bad_id)?;
    check_length("state key", state_key)?;
    let sender = &session.device.user_id;
    let content: Box<RawValue> = match kind {
        "m.room.member" => member_content(cx, session, room_id, state_key, content).await?,
        "m.room.canonical_alias" if state_key.is_empty() => {
            check_aliases(cx, room_id, content).await?;
            content.as_raw().to_owned()
        }
        _ => content.as_raw().to_owned(),
    };
    let wanted = json::object(&content).map_err(bad_json)?;
    let template = EventTemplate::state(sender, kind, state_key, content, cx.now());
    let needs = [(kind.to_owned(), state_key.to_owned()), super::member_key(sender)];
    let event_id = append_once(cx, room_id, &needs, None, |room| {
        let is_member = room.membership(sender) == Some(ruma::events::room::member::MembershipState::Join);
        let current = room.get(kind, state_key).filter(|current| is_member && current.sender() == sender);
        if let Some(current) = current
            && json::object(current.content()).is_ok_and(|current| current == wanted)
        {
            return Ok(Plan::Already(Some(current.event_id().to_owned())));
        }
        Ok(Plan::one(template.clone()))
    })
    .await?;
    if kind == "m.room.guest_access" && state_key.is_empty() {
        let key = key_of(kind);
        if !guests::lets_in(current_state(cx, room_id, std::slice::from_ref(&key)).await?.get(&key)) {
            guests::send_away(cx, room_id).await?;
        }
    }
    Ok(event_id)
}

/// The content of a member event that a client wrote itself: it has to pass what inviting and joining pass, says who
/// vouches only if this server found somebody, and gets the profile where it says nothing.
async fn member_content(
    cx: &Context,
    session: &Session,
    room_id: &RoomId,
    state_key: &str,
    content: &RawJson,
) -> Result<Box<RawValue>> {
    let target =
        UserId::parse(state_key).map_err(|_| ServiceError::invalid_param("The state key has to be a user id."))?;
    let mut members: Map<String, Value> = content.read().map_err(bad_json)?;
    members.remove("join_authorised_via_users_server");
    let membership = members.get("membership").and_then(Value::as_str).unwrap_or_default().to_owned();
    match membership.as_str() {
        "invite" => check_invitable(cx, &target).await?,
        "join" if target == session.device.user_id => {
            // The room may be unknown, which the append tells in the words for who is not in it.
            if cx.storage.room_head(room_id).await?.is_some()
                && let Some(voucher) = check_entry(cx, session, room_id).await?
            {
                members.insert("join_authorised_via_users_server".to_owned(), voucher.as_str().into());
            }
        }
        _ => {}
    }
    if matches!(membership.as_str(), "invite" | "join" | "knock") {
        let profile = member_profile(cx, &target).await?;
        for (name, value) in [("displayname", profile.displayname), ("avatar_url", profile.avatar_url)] {
            if let Some(value) = value.filter(|_| !members.contains_key(name)) {
                members.insert(name.to_owned(), value.into());
            }
        }
    }
    serde_json::value::to_raw_value(&members).map_err(|error| ServiceError::Internal(error.to_string()))
}

/// Aliases that an `m.room.canonical_alias` event adds have to point to the room.
async fn check_aliases(cx: &Context, room_id: &RoomId, content: &RawJson) -> Result<()> {
    let wanted = Aliases::read(content.as_raw())?;
    let key = key_of("m.room.canonical_alias");
    let current = match cx.storage.room_head(room_id).await? {
        Some(_) => current_state(cx, room_id, std::slice::from_ref(&key)).await?.remove(&key),
        None => None,
    };
    let current = current.and_then(|event| Aliases::read(event.content()).ok()).unwrap_or_default();
    for alias in wanted.0 {
        if current.0.contains(&alias) {
            continue;
        }
        let target = cx.storage.alias(&alias).await?.map(|(target, _)| target);
        if target.as_deref() != Some(room_id) {
            return Err(ServiceError::refused(
                Refusal::BadAlias,
                format!("The alias {alias} does not point to this room."),
            ));
        }
    }
    Ok(())
}

/// The aliases that an `m.room.canonical_alias` event names.
#[derive(Debug, Default)]
struct Aliases(Vec<OwnedRoomAliasId>);

impl Aliases {
    fn read(content: &RawValue) -> Result<Self> {
        #[derive(Deserialize)]
        struct Content {
            alias: Option<String>,
            alt_aliases: Option<Vec<String>>,
        }
        let content: Content = serde_json::from_str(content.get())
            .map_err(|_| ServiceError::invalid_param("Aliases are texts, and the others a list of texts."))?;
        let named = content.alias.filter(|alias| !alias.is_empty()).into_iter();
        let aliases = named
            .chain(content.alt_aliases.into_iter().flatten())
            .map(|alias| {
                OwnedRoomAliasId::try_from(alias.as_str())
                    .ok()
                    .filter(|_| alias.len() <= MAX_ID_BYTES)
                    .ok_or_else(|| ServiceError::invalid_param(format!("{alias:?} is not a room alias.")))
            })
            .collect::<Result<_>>()?;
        Ok(Self(aliases))
    }
}

/// One state entry: the current one for members, that at leaving for those who left.
///
/// # Errors
/// [`Refusal::Forbidden`] for who was never in the room, [`Refusal::NotFound`] if there is no such entry.
pub async fn state_entry(
    cx: &Context,
    user_id: &UserId,
    room_id: &RoomId,
    kind: &str,
    state_key: &str,
) -> Result<StoredEvent> {
    let access = require_access(cx, user_id, room_id).await?;
    let selection = StateSelection::These(vec![(kind.to_owned(), state_key.to_owned())]);
    let found = cx.storage.state(room_id, access.state_before(), selection).await?;
    found.into_iter().next().ok_or_else(|| ServiceError::not_found("The room has no such state."))
}

/// The whole state: the current one for members, that at leaving for those who left.
///
/// # Errors
/// [`Refusal::Forbidden`] for who was never in the room.
pub async fn all_state(cx: &Context, user_id: &UserId, room_id: &RoomId) -> Result<Vec<StoredEvent>> {
    let access = require_access(cx, user_id, room_id).await?;
    Ok(cx.storage.state(room_id, access.state_before(), StateSelection::All).await?)
}
