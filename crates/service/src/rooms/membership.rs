//! Changes of membership: leave, kick, ban, unban, forget, and what follows from a changed profile or an ended account.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use olmstead_domain::{
    position::Position,
    rooms::membership::{Action, Change, Profile, Step},
};
use olmstead_storage::rooms::Membership;
use ruma::{OwnedRoomId, RoomId, UserId};

use super::{
    append::{Plan, append},
    known_room, member_key,
    profile::member_profile,
};
use crate::{Context, Refusal, Result, ServiceError};

/// Rooms worked on at once when something concerns all rooms of a user.
const ROOMS_AT_ONCE: usize = 16;

/// A change of membership to make.
#[derive(Debug, Clone)]
pub(crate) struct Request<'a> {
    pub(crate) action: Action,
    pub(crate) sender: &'a UserId,
    pub(crate) target: &'a UserId,
    pub(crate) profile: Profile,
    pub(crate) reason: Option<&'a str>,
    pub(crate) voucher: Option<&'a UserId>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(action: Action, sender: &'a UserId, target: &'a UserId) -> Self {
        Self { action, sender, target, profile: Profile::default(), reason: None, voucher: None }
    }
}

/// Makes a change of membership, unless it is so already.
pub(crate) async fn change(cx: &Context, room_id: &RoomId, request: &Request<'_>) -> Result<()> {
    let needs = [member_key(request.target)];
    append(cx, room_id, &needs, |room| match request.action.check(room.membership(request.target).as_ref())? {
        Step::Nothing => Ok(Plan::Already(None)),
        Step::Send => Ok(Plan::one(
            Change {
                action: request.action,
                sender: request.sender,
                target: request.target,
                profile: request.profile.clone(),
                reason: request.reason,
                is_direct: false,
                voucher: request.voucher,
                origin_server_ts: cx.now(),
            }
            .template(),
        )),
    })
    .await
    .map(|_| ())
}

/// Leaves a room, refuses an invitation or takes back a knock.
///
/// # Errors
/// [`Refusal::Forbidden`] for who is not in the room or is banned from it.
pub async fn leave(cx: &Context, user_id: &UserId, room_id: &RoomId, reason: Option<&str>) -> Result<()> {
    change(cx, room_id, &Request { reason, ..Request::new(Action::Leave, user_id, user_id) }).await
}

/// Removes somebody from a room. Kicking oneself is leaving.
///
/// # Errors
/// [`Refusal::Forbidden`] if the rules say no or the user is not in the room.
pub async fn kick(
    cx: &Context,
    sender: &UserId,
    room_id: &RoomId,
    target: &UserId,
    reason: Option<&str>,
) -> Result<()> {
    change(cx, room_id, &Request { reason, ..Request::new(Action::Kick, sender, target) }).await
}

/// Removes somebody from a room and keeps them out.
///
/// # Errors
/// [`Refusal::Forbidden`] if the rules say no.
pub async fn ban(cx: &Context, sender: &UserId, room_id: &RoomId, target: &UserId, reason: Option<&str>) -> Result<()> {
    change(cx, room_id, &Request { reason, ..Request::new(Action::Ban, sender, target) }).await
}

/// Lifts a ban.
///
/// # Errors
/// [`Refusal::Forbidden`] if the rules say no or the user is not banned.
pub async fn unban(
    cx: &Context,
    sender: &UserId,
    room_id: &RoomId,
    target: &UserId,
    reason: Option<&str>,
) -> Result<()> {
    change(cx, room_id, &Request { reason, ..Request::new(Action::Unban, sender, target) }).await
}

/// Forgets a room that the user has left. Forgetting it once more is a success.
///
/// # Errors
/// [`Refusal::Unknown`] while the user is in it, [`Refusal::NotFound`] for an unknown room.
pub async fn forget(cx: &Context, user_id: &UserId, room_id: &RoomId) -> Result<()> {
    known_room(cx, room_id).await?;
    let membership = cx.storage.membership(room_id, user_id).await?.map(|membership| membership.membership);
    match membership {
        None => Ok(()),
        Some(Membership::Leave | Membership::Ban) if cx.storage.forget_room(room_id, user_id).await? => Ok(()),
        Some(_) => Err(ServiceError::refused(Refusal::Unknown, "Leave the room before you forget it.")),
    }
}

/// The rooms a user is in, in the order of the store.
pub async fn joined_rooms(cx: &Context, user_id: &UserId) -> Result<Vec<OwnedRoomId>> {
    rooms_with(cx, user_id, &[Membership::Join]).await
}

async fn rooms_with(cx: &Context, user_id: &UserId, wanted: &[Membership]) -> Result<Vec<OwnedRoomId>> {
    let memberships = cx.storage.memberships(user_id, Position::END, Position::END).await?;
    Ok(memberships
        .into_iter()
        .filter(|membership| wanted.contains(&membership.membership))
        .map(|membership| membership.room_id)
        .collect())
}

/// Tells every room the user is in of the changed profile, with a new member event each. A room that refuses, for
/// instance because the user was removed meanwhile, is left as it is.
///
/// # Errors
/// Failures of the store; the rooms before may have been told.
pub async fn update_profile_in_rooms(cx: &Context, user_id: &UserId) -> Result<()> {
    let profile = &member_profile(cx, user_id).await?;
    in_rooms(joined_rooms(cx, user_id).await?, |room_id| async move {
        append(cx, &room_id, &[member_key(user_id)], |room| {
            let Some(current) = room.get("m.room.member", user_id.as_str()) else { return Ok(Plan::Already(None)) };
            let is_same = current.content_field("displayname") == profile.displayname
                && current.content_field("avatar_url") == profile.avatar_url;
            if is_same || current.membership() != Some(ruma::events::room::member::MembershipState::Join) {
                return Ok(Plan::Already(None));
            }
            Ok(Plan::one(Change::own(Action::Join, user_id, profile.clone(), cx.now()).template()))
        })
        .await
        .map(|_| ())
    })
    .await
}

/// Leaves every room and refuses every invitation, when an account ends. A room that refuses is left as it is.
///
/// # Errors
/// Failures of the store; the rooms before may have been left.
pub async fn leave_all(cx: &Context, user_id: &UserId) -> Result<()> {
    let rooms = rooms_with(cx, user_id, &[Membership::Join, Membership::Invite, Membership::Knock]).await?;
    in_rooms(rooms, |room_id| async move { leave(cx, user_id, &room_id, None).await }).await
}

async fn in_rooms<F, R>(rooms: Vec<OwnedRoomId>, work: F) -> Result<()>
where
    F: Fn(OwnedRoomId) -> R,
    R: Future<Output = Result<()>>,
{
    stream::iter(rooms)
        .map(|room_id| {
            let done = work(room_id);
            async {
                match done.await {
                    Err(ServiceError::Refused { message, .. }) => {
                        tracing::debug!(message, "a room refused a change of membership");
                        Ok(())
                    }
                    other => other,
                }
            }
        })
        .buffer_unordered(ROOMS_AT_ONCE)
        .try_collect::<()>()
        .await
}
