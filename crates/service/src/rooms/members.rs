//! Members of a room (SYNC-16).

use olmstead_domain::position::TimelineToken;
use olmstead_storage::rooms::{StateSelection, StoredEvent};
use ruma::{OwnedUserId, RoomId, UserId, events::room::member::MembershipState};

use super::{
    render::as_shown,
    visibility::{require_access, require_joined},
};
use crate::{Context, Result};

/// Which members.
#[derive(Debug, Clone, Default)]
pub struct MembersQuery {
    /// At this place; by default now.
    pub at: Option<TimelineToken>,
    /// Only with this membership.
    pub membership: Option<MembershipState>,
    /// Not with this membership; together with the other, either suffices.
    pub not_membership: Option<MembershipState>,
}

impl MembersQuery {
    fn admits(&self, membership: &MembershipState) -> bool {
        match (&self.membership, &self.not_membership) {
            (None, None) => true,
            (Some(wanted), None) => membership == wanted,
            (None, Some(unwanted)) => membership != unwanted,
            (Some(wanted), Some(unwanted)) => membership == wanted || membership != unwanted,
        }
    }
}

/// The member events of a room; for those who left, as of their leaving.
///
/// # Errors
/// [`crate::Refusal::Forbidden`] for who was never in the room.
pub async fn members(
    cx: &Context,
    user_id: &UserId,
    room_id: &RoomId,
    query: &MembersQuery,
) -> Result<Vec<StoredEvent>> {
    let access = require_access(cx, user_id, room_id).await?;
    let at = query.at.map(|token| token.0);
    let before = match (access.state_before(), at) {
        (Some(left), Some(at)) => Some(left.min(at)),
        (left, at) => left.or(at),
    };
    let events = member_events(cx, room_id, before).await?;
    Ok(events.into_iter().filter(|event| event.pdu.membership().is_some_and(|m| query.admits(&m))).collect())
}

async fn member_events(
    cx: &Context,
    room_id: &RoomId,
    before: Option<olmstead_domain::position::Cursor>,
) -> Result<Vec<StoredEvent>> {
    Ok(cx.storage.state(room_id, before, StateSelection::Types(vec!["m.room.member".to_owned()])).await?)
}

/// A member in `joined_members`.
#[derive(Debug, Clone, serde::Serialize)]
pub struct JoinedMember {
    /// The display name in the room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The avatar in the room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
}

/// The users who are in the room now, for one of them.
///
/// # Errors
/// [`crate::Refusal::Forbidden`] for who is not in the room.
pub async fn joined_members(
    cx: &Context,
    user_id: &UserId,
    room_id: &RoomId,
) -> Result<Vec<(OwnedUserId, JoinedMember)>> {
    require_joined(cx, user_id, room_id).await?;
    let events = member_events(cx, room_id, None).await?;
    Ok(events
        .iter()
        .filter(|event| event.pdu.membership() == Some(MembershipState::Join))
        .filter_map(|event| {
            let pdu = as_shown(event)?;
            let user = UserId::parse(pdu.state_key()?).ok()?;
            let member = JoinedMember {
                display_name: pdu.content_field("displayname"),
                avatar_url: pdu.content_field("avatar_url"),
            };
            Some((user, member))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_condition_suffices_when_both_are_given() {
        use MembershipState as M;
        let query = |membership, not_membership| MembersQuery { at: None, membership, not_membership };
        assert!(query(None, None).admits(&M::Ban));
        assert!(query(Some(M::Join), None).admits(&M::Join));
        assert!(!query(Some(M::Join), None).admits(&M::Leave));
        assert!(!query(None, Some(M::Leave)).admits(&M::Leave));
        assert!(query(Some(M::Leave), Some(M::Leave)).admits(&M::Leave));
        assert!(query(Some(M::Join), Some(M::Leave)).admits(&M::Invite));
        assert!(!query(Some(M::Join), Some(M::Leave)).admits(&M::Leave));
    }
}
