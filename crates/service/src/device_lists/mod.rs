//! Whose keys a client has to fetch again, and whose it may forget (DL-1…21).
//!
//! Nothing is kept per reader. A change of keys is one row for its user; who may be told of it is found at reading, from
//! the rooms shared now. Reads are needed only for rooms in which somebody moved in the span.

mod changes;

use std::collections::BTreeSet;

use olmstead_domain::{
    device_lists::{Candidates, DeviceLists, Move, Room, Span, Standing},
    position::{Cursor, Position},
};
use olmstead_storage::rooms::{Membership, MembershipChange, RoomMembership};
use ruma::{OwnedUserId, RoomId, UserId};

pub use self::changes::{KeyChanges, changes};
use crate::{
    Context, Result,
    sync::{Moves, Part, all, encrypted_at},
};

/// Positions from the first, included, to the second, excluded.
pub(crate) type Positions = (Position, Position);

/// The `device_lists` of a sync over a span. `key_changes` are all users whose device list changed in it, `own` those
/// named to this user alone.
pub(crate) async fn between(
    cx: &Context,
    user_id: &UserId,
    memberships: &[RoomMembership],
    moves: &Moves,
    key_changes: Vec<OwnedUserId>,
    own: Vec<OwnedUserId>,
    span: Positions,
) -> Result<DeviceLists> {
    let rooms = rooms(cx, user_id, memberships, moves, span).await?;
    let candidates = Span { key_changes, own, rooms }.candidates(user_id);
    decide(cx, user_id, candidates).await
}

/// Asks who shares an encrypted room now. Now may be later than the end of the span: whoever comes or goes in between is
/// told of again by the next answer, whose span has it.
async fn decide(cx: &Context, user_id: &UserId, candidates: Candidates) -> Result<DeviceLists> {
    if candidates.is_empty() {
        return Ok(DeviceLists::default());
    }
    let questions = candidates.questions();
    let sharing: BTreeSet<OwnedUserId> = if questions.is_empty() {
        BTreeSet::new()
    } else {
        cx.storage.sharing_rooms(user_id, &questions, true, true).await?.into_iter().collect()
    };
    Ok(candidates.decide(&sharing))
}

/// The encrypted rooms in which something happened, with what the rule needs to know of them.
async fn rooms(
    cx: &Context,
    user_id: &UserId,
    memberships: &[RoomMembership],
    moves: &Moves,
    span: Positions,
) -> Result<Vec<Room>> {
    let (since, horizon) = span;
    let mut parts: Vec<Part<'_, Room>> = Vec::new();
    for membership in memberships {
        let (Some(encrypted), Some(moves)) = (encrypted_at(membership, horizon), moves.of(&membership.room_id)) else {
            continue;
        };
        let mut room = Room {
            newly_encrypted: encrypted >= since,
            joined: membership.membership == Membership::Join,
            moves: moves.iter().map(translate).collect(),
            ..Room::default()
        };
        parts.push(Box::pin(async move {
            if room.needs_start(user_id) {
                room.at_start = present(cx, &membership.room_id, since).await?;
            }
            if room.needs_end(user_id) {
                room.at_end = present(cx, &membership.room_id, horizon).await?;
            }
            Ok(room)
        }));
    }
    all(parts).await
}

async fn present(cx: &Context, room_id: &RoomId, before: Position) -> Result<Vec<OwnedUserId>> {
    let members = cx.storage.members(room_id, Some(Cursor::at(before))).await?;
    Ok(members
        .into_iter()
        .filter(|member| standing(Some(member.membership)).is_present())
        .map(|member| member.user_id)
        .collect())
}

fn standing(membership: Option<Membership>) -> Standing {
    match membership {
        Some(Membership::Join) => Standing::Joined,
        Some(Membership::Invite) => Standing::Invited,
        Some(Membership::Leave | Membership::Ban | Membership::Knock) | None => Standing::Out,
    }
}

fn translate(change: &MembershipChange) -> Move {
    Move { user_id: change.user_id.clone(), from: standing(change.from), to: standing(Some(change.to)) }
}
