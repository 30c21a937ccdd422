//! Room upgrades (client-server API, "Room upgrades"; ENC-4).

use olmstead_domain::rooms::{
    EventTemplate, RoomVersion,
    create::build_room,
    upgrade::{COPIED_STATE, Upgrade, lock_down, predecessor, tombstone},
};
use olmstead_storage::rooms::{AppendOutcome, Membership};
use ruma::{OwnedEventId, OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde_json::{json, value::to_raw_value};

use super::{
    StateKey,
    append::{Draft, Plan, append, current_state},
    create::{random_room_id, store},
    key_of, known_room, member_key,
    profile::member_profile,
    visibility::require_joined,
};
use crate::{Context, Result, ServiceError};

const CANONICAL_ALIAS: &str = "m.room.canonical_alias";
/// How often the new room is built with another time, because its id was taken.
const ATTEMPTS: u64 = 50;

/// Replaces a room by a new one of another version, and returns the new room: it has the copied state and the aliases,
/// and the old room points to it.
///
/// # Errors
/// [`crate::Refusal::UnsupportedRoomVersion`], [`crate::Refusal::Forbidden`] without the power to close the old room,
/// [`crate::Refusal::NotFound`] for an unknown room.
pub async fn upgrade(
    cx: &Context,
    user_id: &UserId,
    old_room: &RoomId,
    new_version: &str,
    additional_creators: Vec<OwnedUserId>,
) -> Result<OwnedRoomId> {
    let version = RoomVersion::parse(new_version)?;
    let head = known_room(cx, old_room).await?;
    require_joined(cx, user_id, old_room).await?;
    // The closing events are authorised before the new room is made, and again when they are sent.
    let levels_key = key_of("m.room.power_levels");
    let mut keys: Vec<StateKey> = COPIED_STATE.iter().map(|kind| key_of(kind)).collect();
    keys.extend([key_of("m.room.create"), levels_key.clone(), key_of(CANONICAL_ALIAS), member_key(user_id)]);
    let state = current_state(cx, old_room, &keys).await?;
    let create = state.get(&key_of("m.room.create")).ok_or_else(super::not_in_room)?;
    let power = olmstead_domain::rooms::PowerLevels::read(create, state.get(&levels_key));
    if !power.can_send(user_id, "m.room.tombstone", true) {
        return Err(ServiceError::forbidden("You do not have the power to upgrade this room."));
    }

    let mut bans = Vec::new();
    let members = cx.storage.members(old_room, None).await?;
    let banned: Vec<OwnedEventId> = members
        .into_iter()
        .filter(|member| member.membership == Membership::Ban)
        .map(|member| member.event_id)
        .collect();
    bans.extend(cx.storage.events(&banned).await?.into_iter().flatten().map(|event| event.pdu));

    let mut plan = Upgrade {
        version,
        sender: user_id.to_owned(),
        profile: member_profile(cx, user_id).await?,
        old_room: old_room.to_owned(),
        last_event: head.extremities.first().cloned(),
        additional_creators,
        now: cx.now(),
    };
    let lookup = |kind: &str, key: &str| state.get(&(kind.to_owned(), key.to_owned())).cloned();
    let mut attempts = 0;
    let new_room = loop {
        let created = build_room(version, &plan.templates(lookup, &bans)?, random_room_id(cx)?, &cx.server_key)?;
        match store(cx, version, &created, None, None).await? {
            AppendOutcome::Appended(_) | AppendOutcome::SeenBefore(_) => break created.room_id,
            AppendOutcome::RoomExists | AppendOutcome::AliasTaken if attempts < ATTEMPTS => {
                attempts += 1;
                plan.now = plan.now.saturating_add(1);
            }
            AppendOutcome::RoomExists | AppendOutcome::AliasTaken => {
                return Err(ServiceError::LimitExceeded { retry_after_ms: 1_000 });
            }
        }
    };
    close(cx, user_id, old_room, &new_room).await?;
    move_names(cx, user_id, old_room, &new_room).await?;
    carry_over(cx, user_id, &new_room).await?;
    Ok(new_room)
}

/// Points the old room to the new one and, if the user may, keeps ordinary users from writing there.
async fn close(cx: &Context, user_id: &UserId, old_room: &RoomId, new_room: &RoomId) -> Result<()> {
    let closing = tombstone(user_id, new_room, cx.now());
    append(cx, old_room, &[], |_| Ok(Plan::one(closing.clone()))).await?;
    let locked = append(cx, old_room, &[key_of("m.room.power_levels")], |room| {
        let levels = room.get("m.room.power_levels", "");
        let lock = levels.and_then(|levels| lock_down(user_id, levels, cx.now()));
        Ok(Plan::Send(lock.into_iter().map(Draft::from).collect()))
    })
    .await;
    unless_refused(locked.map(|_| ()))
}

/// Moves the aliases and the place in the directory, and says so in both rooms, as far as the user may.
async fn move_names(cx: &Context, user_id: &UserId, old_room: &RoomId, new_room: &RoomId) -> Result<()> {
    let aliases: Vec<OwnedRoomAliasId> = cx.storage.room_aliases(old_room).await?;
    for alias in &aliases {
        let creator = cx.storage.alias(alias).await?.map_or_else(|| user_id.to_owned(), |(_, creator)| creator);
        if cx.storage.delete_alias(alias).await? {
            cx.storage.create_alias(alias, new_room, &creator).await?;
        }
    }
    if cx.storage.published(old_room).await? {
        cx.storage.set_published(new_room, true).await?;
        cx.storage.set_published(old_room, false).await?;
    }
    let key = key_of(CANONICAL_ALIAS);
    let names = current_state(cx, old_room, std::slice::from_ref(&key)).await?.remove(&key);
    let Some(names) = names.filter(|_| !aliases.is_empty()) else { return Ok(()) };
    let content = names.content().to_owned();
    let empty = to_raw_value(&json!({})).map_err(|error| ServiceError::Internal(error.to_string()))?;
    for (room_id, content) in [(new_room, content), (old_room, empty)] {
        let event = EventTemplate::state(user_id, CANONICAL_ALIAS, "", content, cx.now());
        unless_refused(append(cx, room_id, &[], |_| Ok(Plan::one(event.clone()))).await.map(|_| ()))?;
    }
    Ok(())
}

/// Gives who enters a room the tags they had on its predecessor, unless they have some already.
pub(crate) async fn carry_over(cx: &Context, user_id: &UserId, room_id: &RoomId) -> Result<()> {
    let key = key_of("m.room.create");
    let state = current_state(cx, room_id, std::slice::from_ref(&key)).await?;
    let Some((old_room, _)) = state.get(&key).and_then(predecessor) else { return Ok(()) };
    if let Some(tags) = cx.storage.account_data(user_id, Some(&old_room), "m.tag").await? {
        cx.storage.replace_account_data(user_id, Some(room_id), "m.tag", None, tags).await?;
    }
    Ok(())
}

fn unless_refused(result: Result<()>) -> Result<()> {
    match result {
        Err(ServiceError::Refused { .. }) => Ok(()),
        other => other,
    }
}
