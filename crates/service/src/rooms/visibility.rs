//! Who may read what: a room at all ([`access`]), and each event of it ([`History`]; ENC-12).

use olmstead_domain::{
    position::Cursor,
    rooms::{
        Pdu,
        membership::membership_of,
        visibility::{Ask, HistoryVisibility},
    },
};
use olmstead_storage::rooms::{Membership, StoredEvent};
use ruma::{OwnedUserId, RoomId, UserId, events::room::member::MembershipState};

use super::{append::current_state, key_of, not_in_room};
use crate::{Context, Result};

/// How a user may read a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Is in it.
    Joined,
    /// Was in it: reads the state strictly before this place, which includes the end of the membership.
    Left(Cursor),
    /// Never was in it, but the room is world readable.
    Peeking,
}

impl Access {
    /// Where the state that may be read ends; `None` for the current state.
    #[must_use]
    pub fn state_before(self) -> Option<Cursor> {
        match self {
            Self::Left(cursor) => Some(cursor),
            Self::Joined | Self::Peeking => None,
        }
    }
}

/// How a user may read a room; `None` if not at all, also when there is no such room, or the user forgot it.
pub async fn access(cx: &Context, user_id: &UserId, room_id: &RoomId) -> Result<Option<Access>> {
    let membership = cx.storage.membership(room_id, user_id).await?;
    if let Some(current) = &membership {
        if current.membership == Membership::Join {
            return Ok(Some(Access::Joined));
        }
        if current.previous == Some(Membership::Join) {
            return Ok(Some(Access::Left(current.cursor.next())));
        }
        let history = cx.storage.state_history(room_id, "m.room.member", user_id.as_str()).await?;
        let end = history.windows(2).rev().find_map(|pair| match pair {
            [before, after] if is_join(&before.pdu) && !is_join(&after.pdu) => Some(after.cursor.next()),
            _ => None,
        });
        if let Some(end) = end {
            return Ok(Some(Access::Left(end)));
        }
    }
    Ok(is_world_readable(cx, room_id).await?.then_some(Access::Peeking))
}

/// [`access`], with the refusal that most endpoints give.
///
/// # Errors
/// [`crate::Refusal::Forbidden`] if the user may not read the room.
pub async fn require_access(cx: &Context, user_id: &UserId, room_id: &RoomId) -> Result<Access> {
    access(cx, user_id, room_id).await?.ok_or_else(not_in_room)
}

/// Whether a user is in a room now.
pub async fn is_joined(cx: &Context, user_id: &UserId, room_id: &RoomId) -> Result<bool> {
    let membership = cx.storage.membership(room_id, user_id).await?;
    Ok(membership.is_some_and(|membership| membership.membership == Membership::Join))
}

/// Refuses whoever is not in the room now.
///
/// # Errors
/// [`crate::Refusal::Forbidden`].
pub async fn require_joined(cx: &Context, user_id: &UserId, room_id: &RoomId) -> Result<()> {
    if is_joined(cx, user_id, room_id).await? { Ok(()) } else { Err(not_in_room()) }
}

/// Whether everybody may read the room as it is now; `false` for an unknown room.
pub async fn is_world_readable(cx: &Context, room_id: &RoomId) -> Result<bool> {
    let key = key_of("m.room.history_visibility");
    let state = match current_state(cx, room_id, std::slice::from_ref(&key)).await {
        Err(crate::ServiceError::Refused { refusal: crate::Refusal::NotFound, .. }) => return Ok(false),
        other => other?,
    };
    Ok(HistoryVisibility::read(state.get(&key)) == HistoryVisibility::WorldReadable)
}

/// What decides which events of a room a user may see: all versions of the visibility and of the user's membership.
/// Two reads, then every event is decided without another.
#[derive(Debug, Clone)]
pub struct History {
    user_id: OwnedUserId,
    visibility: Vec<StoredEvent>,
    membership: Vec<StoredEvent>,
    last_join: Option<Cursor>,
}

impl History {
    /// Reads it.
    pub async fn load(cx: &Context, user_id: &UserId, room_id: &RoomId) -> Result<Self> {
        let visibility = cx.storage.state_history(room_id, "m.room.history_visibility", "").await?;
        let membership = cx.storage.state_history(room_id, "m.room.member", user_id.as_str()).await?;
        let last_join = membership.iter().rev().find(|event| is_join(&event.pdu)).map(|event| event.cursor);
        Ok(Self { user_id: user_id.to_owned(), visibility, membership, last_join })
    }

    /// Whose history this is.
    #[must_use]
    pub fn user_id(&self) -> &UserId {
        &self.user_id
    }

    /// Whether the user may see an event of the room.
    #[must_use]
    pub fn may_see(&self, event: &StoredEvent) -> bool {
        Ask::about(
            &event.pdu,
            &self.user_id,
            before(&self.visibility, event.cursor),
            before(&self.membership, event.cursor),
            self.last_join.is_some_and(|join| join > event.cursor),
        )
        .may_see()
    }

    /// The user's membership at an event, with the change the event itself makes (SYNC-13).
    #[must_use]
    pub fn membership_at(&self, event: &StoredEvent) -> MembershipState {
        if event.pdu.is_state_of("m.room.member", self.user_id.as_str()) {
            membership_of(Some(&event.pdu))
        } else {
            membership_of(before(&self.membership, event.cursor))
        }
    }
}

/// Those of the events that the user may see, in their order.
pub async fn visible_events(
    cx: &Context,
    user_id: &UserId,
    room_id: &RoomId,
    events: Vec<StoredEvent>,
) -> Result<Vec<StoredEvent>> {
    let history = History::load(cx, user_id, room_id).await?;
    Ok(events.into_iter().filter(|event| history.may_see(event)).collect())
}

/// The version in force strictly before a place, of versions in the order of the stream.
fn before(versions: &[StoredEvent], place: Cursor) -> Option<&Pdu> {
    let count = versions.partition_point(|version| version.cursor < place);
    versions.get(count.checked_sub(1)?).map(|version| &version.pdu)
}

fn is_join(pdu: &Pdu) -> bool {
    pdu.membership() == Some(MembershipState::Join)
}
