//! Room aliases: setting, finding, listing and removing them.

use olmstead_domain::{
    identifiers::MAX_ID_BYTES,
    rooms::{EventTemplate, PowerLevels},
};
use olmstead_storage::devices::Session;
use ruma::{OwnedRoomAliasId, OwnedRoomId, RoomAliasId, RoomId, UserId};
use serde_json::{Map, Value, value::to_raw_value};

use super::{
    append::{Plan, append, current_state, power_keys},
    key_of,
    visibility::{Access, access, require_joined},
};
use crate::{Context, Refusal, Result, ServiceError};

/// The alias of this server with a local part.
///
/// # Errors
/// [`Refusal::InvalidParam`] if the local part cannot be one.
pub fn local_alias(cx: &Context, localpart: &str) -> Result<OwnedRoomAliasId> {
    let wrong = || ServiceError::invalid_param(format!("{localpart:?} cannot be the local part of an alias."));
    if localpart.is_empty() || localpart.chars().any(|c| matches!(c, ':' | '#' | '\0') || c.is_whitespace()) {
        return Err(wrong());
    }
    let alias = format!("#{localpart}:{}", cx.config.server_name);
    if alias.len() > MAX_ID_BYTES {
        return Err(wrong());
    }
    RoomAliasId::parse(alias).map_err(|_| wrong())
}

/// Points an alias of this server at a room the user is in.
///
/// # Errors
/// [`Refusal::InvalidParam`] for an alias of another server, [`Refusal::Forbidden`] for who is not in the room,
/// [`Refusal::AliasInUse`].
pub async fn create(cx: &Context, user_id: &UserId, alias: &RoomAliasId, room_id: &RoomId) -> Result<()> {
    if alias.server_name() != cx.config.server_name {
        return Err(ServiceError::invalid_param("The alias belongs to another server."));
    }
    let localpart = alias.as_str().trim_start_matches('#').split(':').next().unwrap_or_default();
    if local_alias(cx, localpart)? != alias {
        return Err(ServiceError::invalid_param("This is not a valid alias."));
    }
    require_joined(cx, user_id, room_id).await?;
    if cx.storage.create_alias(alias, room_id, user_id).await? {
        return Ok(());
    }
    Err(ServiceError::refused(Refusal::AliasInUse, format!("The alias {alias} exists already.")))
}

/// Where an alias points.
///
/// # Errors
/// [`Refusal::NotFound`].
pub async fn resolve(cx: &Context, alias: &RoomAliasId) -> Result<OwnedRoomId> {
    Ok(find(cx, alias).await?.0)
}

async fn find(cx: &Context, alias: &RoomAliasId) -> Result<(OwnedRoomId, ruma::OwnedUserId)> {
    cx.storage
        .alias(alias)
        .await?
        .ok_or_else(|| ServiceError::not_found(format!("The room alias {alias} is not known to this server.")))
}

/// Removes an alias: its creator, whoever may set the canonical alias of the room, or a server administrator may. The
/// canonical alias of the room no longer names it then, if the user may change that.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Forbidden`].
pub async fn delete(cx: &Context, session: &Session, alias: &RoomAliasId) -> Result<()> {
    let user_id = &session.device.user_id;
    let (room_id, creator) = find(cx, alias).await?;
    if creator != *user_id && !session.admin && !may_advertise(cx, user_id, &room_id).await? {
        return Err(ServiceError::forbidden("You do not have the power to remove this alias."));
    }
    if !cx.storage.delete_alias(alias).await? {
        return Err(ServiceError::not_found(format!("The room alias {alias} is not known to this server.")));
    }
    match withdraw(cx, user_id, &room_id, alias).await {
        // The alias is gone either way.
        Ok(()) | Err(ServiceError::Refused { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether a user is in the room with the power to set its canonical alias.
pub(crate) async fn may_advertise(cx: &Context, user_id: &UserId, room_id: &RoomId) -> Result<bool> {
    if !super::visibility::is_joined(cx, user_id, room_id).await? {
        return Ok(false);
    }
    let [create, levels] = power_keys();
    let state = current_state(cx, room_id, &[create.clone(), levels.clone()]).await?;
    let Some(create) = state.get(&create) else { return Ok(false) };
    Ok(PowerLevels::read(create, state.get(&levels)).can_send(user_id, "m.room.canonical_alias", true))
}

async fn withdraw(cx: &Context, user_id: &UserId, room_id: &RoomId, alias: &RoomAliasId) -> Result<()> {
    const KIND: &str = "m.room.canonical_alias";
    append(cx, room_id, &[key_of(KIND)], |room| {
        let Some(current) = room.get(KIND, "") else { return Ok(Plan::Already(None)) };
        let mut content: Map<String, Value> = current.content_as()?;
        let before = content.clone();
        if content.get("alias").and_then(Value::as_str) == Some(alias.as_str()) {
            content.remove("alias");
        }
        if let Some(Value::Array(others)) = content.get_mut("alt_aliases") {
            others.retain(|other| other.as_str() != Some(alias.as_str()));
        }
        if content == before {
            return Ok(Plan::Already(None));
        }
        let content = to_raw_value(&content).map_err(|error| ServiceError::Internal(error.to_string()))?;
        Ok(Plan::one(EventTemplate::state(user_id, KIND, "", content, cx.now())))
    })
    .await
    .map(|_| ())
}

/// The aliases of a room, for its members, and for everybody if it is world readable.
///
/// # Errors
/// [`Refusal::Forbidden`].
pub async fn of_room(cx: &Context, user_id: &UserId, room_id: &RoomId) -> Result<Vec<OwnedRoomAliasId>> {
    match access(cx, user_id, room_id).await? {
        Some(Access::Joined | Access::Peeking) => Ok(cx.storage.room_aliases(room_id).await?),
        Some(Access::Left(_)) if super::visibility::is_world_readable(cx, room_id).await? => {
            Ok(cx.storage.room_aliases(room_id).await?)
        }
        _ => Err(super::not_in_room()),
    }
}
