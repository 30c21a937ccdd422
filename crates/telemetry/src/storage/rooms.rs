//! Commands of rooms.

use async_trait::async_trait;
use olmstead_domain::{
    position::{Cursor, Position},
    rooms::pdu::Pdu,
};
use olmstead_storage::{
    Directory, Result, Rooms,
    rooms::{
        Append, AppendOutcome, Direction, Member, MembershipChange, RelationQuery, RoomHead, RoomMembership,
        StateSelection, StoredEvent, TimelinePage,
    },
    to_device::TransactionKey,
};
use ruma::{EventId, OwnedEventId, OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomAliasId, RoomId, UserId};

use super::{Observed, watched};

watched! {
    Rooms:
    room_head(room_id: &RoomId) -> Option<RoomHead>;
    append_events(append: Append) -> AppendOutcome;
    transaction_event(transaction: &TransactionKey) -> Option<OwnedEventId>;
    events(event_ids: &[OwnedEventId]) -> Vec<Option<StoredEvent>>;
    auth_chain(event_ids: &[OwnedEventId]) -> Vec<Pdu>;
    state(room_id: &RoomId, before: Option<Cursor>, select: StateSelection) -> Vec<StoredEvent>;
    state_between(room_id: &RoomId, from: Cursor, to: Cursor) -> Vec<StoredEvent>;
    state_history(room_id: &RoomId, kind: &str, state_key: &str) -> Vec<StoredEvent>;
    timeline(room_id: &RoomId, from: Cursor, to: Cursor, limit: usize, direction: Direction) -> TimelinePage;
    members(room_id: &RoomId, before: Option<Cursor>) -> Vec<Member>;
    joined_members(room_id: &RoomId) -> Vec<OwnedUserId>;
    membership_changes(room_id: &RoomId, from: Position, to: Position) -> Vec<MembershipChange>;
    memberships(user_id: &UserId, forgotten_from: Position, to: Position) -> Vec<RoomMembership>;
    membership(room_id: &RoomId, user_id: &UserId) -> Option<RoomMembership>;
    sharing_rooms(user_id: &UserId, others: &[OwnedUserId], encrypted_only: bool, or_invited: bool) -> Vec<OwnedUserId>;
    forget_room(room_id: &RoomId, user_id: &UserId) -> bool;
    relations(room_id: &RoomId, parent: &EventId, query: &RelationQuery, from: Cursor, to: Cursor, limit: usize, direction: Direction) -> TimelinePage;
}

watched! {
    Directory:
    create_alias(alias: &RoomAliasId, room_id: &RoomId, creator: &UserId) -> bool;
    alias(alias: &RoomAliasId) -> Option<(OwnedRoomId, OwnedUserId)>;
    delete_alias(alias: &RoomAliasId) -> bool;
    room_aliases(room_id: &RoomId) -> Vec<OwnedRoomAliasId>;
    set_published(room_id: &RoomId, published: bool) -> ();
    published(room_id: &RoomId) -> bool;
    published_rooms() -> Vec<(OwnedRoomId, u64)>;
}
