//! Changes of membership in the span of an answer, read once for all who need them.

use std::collections::HashMap;

use olmstead_domain::position::Position;
use olmstead_storage::rooms::{Membership, MembershipChange, RoomMembership};
use ruma::{OwnedRoomId, RoomId, UserId};

use super::view::{Part, all};
use crate::{Context, Result};

/// Changes of membership by room, of the rooms where they matter: where the user's own membership changed, and in
/// encrypted rooms of the user where anybody's did.
#[derive(Debug, Default)]
pub(crate) struct Moves(HashMap<OwnedRoomId, Vec<MembershipChange>>);

impl Moves {
    /// Reads them; no read at all for a span in which nobody moved.
    pub(crate) async fn load(
        cx: &Context,
        memberships: &[RoomMembership],
        since: Position,
        horizon: Position,
    ) -> Result<Self> {
        let parts = memberships
            .iter()
            .filter(|room| is_touched(room, since, horizon))
            .map(|room| -> Part<'_, (OwnedRoomId, Vec<MembershipChange>)> {
                Box::pin(async move {
                    let changes = cx.storage.membership_changes(&room.room_id, since, horizon).await?;
                    Ok((room.room_id.clone(), changes))
                })
            })
            .collect();
        Ok(Self(all(parts).await?.into_iter().collect()))
    }

    /// The changes in a room; `None` where they do not matter.
    pub(crate) fn of(&self, room_id: &RoomId) -> Option<&[MembershipChange]> {
        self.0.get(room_id).map(Vec::as_slice)
    }

    /// The changes of one user in a room.
    pub(crate) fn own<'a>(
        &'a self,
        room_id: &RoomId,
        user_id: &'a UserId,
    ) -> impl Iterator<Item = &'a MembershipChange> {
        self.of(room_id).unwrap_or_default().iter().filter(move |change| change.user_id == user_id)
    }
}

/// When a room became encrypted, if it was below `horizon`.
pub(crate) fn encrypted_at(room: &RoomMembership, horizon: Position) -> Option<Position> {
    room.encrypted_at.map(|cursor| cursor.position).filter(|position| *position < horizon)
}

fn is_touched(room: &RoomMembership, since: Position, horizon: Position) -> bool {
    let encrypted = encrypted_at(room, horizon);
    room.cursor.position >= since
        || (room.membership == Membership::Join
            && encrypted.is_some_and(|position| position >= since || room.last_membership >= since))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use olmstead_domain::position::Cursor;

    use super::*;

    fn room(membership: Membership, own: u64, last: u64, encrypted: Option<u64>) -> RoomMembership {
        RoomMembership {
            room_id: "!r:example.org".try_into().unwrap(),
            membership,
            event_id: "$e".try_into().unwrap(),
            sender: "@a:example.org".try_into().unwrap(),
            cursor: Cursor::at(Position(own)),
            previous: None,
            last_event: Position(last),
            last_membership: Position(last),
            last_ephemeral: Position::START,
            encrypted_at: encrypted.map(|position| Cursor::at(Position(position))),
        }
    }

    #[test]
    fn only_rooms_that_matter_are_read() {
        let touched = |room: &RoomMembership| is_touched(room, Position(10), Position(20));
        assert!(!touched(&room(Membership::Join, 5, 9, Some(6))), "quiet");
        assert!(!touched(&room(Membership::Join, 5, 12, None)), "others moved in a clear room");
        assert!(touched(&room(Membership::Join, 5, 12, Some(6))), "others moved in an encrypted room");
        assert!(touched(&room(Membership::Join, 5, 9, Some(11))), "encryption was turned on");
        assert!(!touched(&room(Membership::Join, 5, 9, Some(20))), "encryption is beyond the end");
        assert!(touched(&room(Membership::Join, 10, 10, None)), "joined");
        assert!(touched(&room(Membership::Leave, 10, 10, None)), "left");
        assert!(!touched(&room(Membership::Leave, 5, 12, Some(6))), "left before");
    }
}
