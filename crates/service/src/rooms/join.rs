//! Joining and knocking, by room id or alias.

use olmstead_domain::rooms::{
    Pdu, PowerLevels,
    membership::{Action, JoinRule},
    power::restricted_join_voucher,
};
use olmstead_storage::devices::Session;
use ruma::{
    OwnedRoomId, OwnedUserId, RoomAliasId, RoomId, RoomOrAliasId, UserId, events::room::member::MembershipState,
};

use super::{
    append::current_state,
    guests, key_of, known_room, member_key,
    membership::{Request, change},
    profile::member_profile,
    upgrade,
    visibility::is_joined,
};
use crate::{Context, Result, ServiceError};

/// The room that an id or alias names.
///
/// # Errors
/// [`crate::Refusal::NotFound`] for an unknown alias, or one of another server.
pub async fn resolve(cx: &Context, room: &RoomOrAliasId) -> Result<OwnedRoomId> {
    if let Ok(room_id) = <&RoomId>::try_from(room) {
        return Ok(room_id.to_owned());
    }
    let alias = <&RoomAliasId>::try_from(room)
        .map_err(|_| ServiceError::invalid_param("This is neither a room id nor an alias."))?;
    super::aliases::resolve(cx, alias).await
}

/// Joins a room. Joining one where the user is already changes nothing.
///
/// # Errors
/// [`crate::Refusal::NotFound`] for an unknown room, [`crate::Refusal::GuestAccessForbidden`] for a guest in a room
/// that takes none, [`crate::Refusal::Forbidden`] if the rules say no.
pub async fn join(cx: &Context, session: &Session, room_id: &RoomId, reason: Option<&str>) -> Result<()> {
    let user_id = &session.device.user_id;
    known_room(cx, room_id).await?;
    let voucher = check_entry(cx, session, room_id).await?;
    let profile = member_profile(cx, user_id).await?;
    let request =
        Request { profile, reason, voucher: voucher.as_deref(), ..Request::new(Action::Join, user_id, user_id) };
    change(cx, room_id, &request).await?;
    upgrade::carry_over(cx, user_id, room_id).await
}

/// What a join has to pass besides the authorisation rules: guests only where they are let in; into a restricted room
/// without an invitation only members of an allowed room, and the member who vouches for them is returned.
pub(crate) async fn check_entry(cx: &Context, session: &Session, room_id: &RoomId) -> Result<Option<OwnedUserId>> {
    let user_id = &session.device.user_id;
    let create = key_of("m.room.create");
    let join_rules = key_of("m.room.join_rules");
    let levels = key_of("m.room.power_levels");
    let own = member_key(user_id);
    let keys = [create.clone(), join_rules.clone(), levels.clone(), own.clone()];
    let state = current_state(cx, room_id, &keys).await?;
    let current = state.get(&own).and_then(Pdu::membership);
    if current == Some(MembershipState::Join) {
        return Ok(None);
    }
    if session.guest {
        guests::check_room(cx, room_id).await?;
    }
    let rule = JoinRule::read(state.get(&join_rules));
    if current == Some(MembershipState::Ban) || !rule.needs_voucher(current.as_ref()) {
        return Ok(None);
    }
    let mut is_allowed = false;
    for allowed in &rule.allowed_rooms {
        if is_joined(cx, user_id, allowed).await? {
            is_allowed = true;
            break;
        }
    }
    if !is_allowed {
        return Err(ServiceError::forbidden("Only who was invited or is in one of certain other rooms may join."));
    }
    let Some(create) = state.get(&create) else { return Err(super::not_in_room()) };
    let power = PowerLevels::read(create, state.get(&levels));
    let joined = cx.storage.joined_members(room_id).await?;
    let local = joined.iter().filter(|member| cx.is_local(member)).map(|member| -> &UserId { member });
    restricted_join_voucher(&power, local)
        .map(|voucher| Some(voucher.to_owned()))
        .ok_or_else(|| ServiceError::forbidden("Nobody in the room has the power to let you in."))
}

/// Asks to be let in.
///
/// # Errors
/// [`crate::Refusal::NotFound`] for an unknown room, [`crate::Refusal::Forbidden`] if the room does not take knocks.
pub async fn knock(cx: &Context, user_id: &UserId, room_id: &RoomId, reason: Option<&str>) -> Result<()> {
    known_room(cx, room_id).await?;
    let profile = member_profile(cx, user_id).await?;
    change(cx, room_id, &Request { profile, reason, ..Request::new(Action::Knock, user_id, user_id) }).await
}
