//! Rooms: immutable events in a DAG, the state they make, and who is in them.
//!
//! State is a log of versions: for each `(type, state_key)` the events that held it, by cursor. So the state at any
//! place of the room's stream is a bounded read, a write costs one row, and nothing is copied per event. The stream is
//! what this server saw, in the order it accepted it; each event's own place in the DAG is in its `prev_events`.

use async_trait::async_trait;
use olmstead_domain::{
    position::{Cursor, Position},
    rooms::pdu::Pdu,
};
use ruma::{EventId, OwnedDeviceId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, RoomVersionId, UserId};
use serde::{Deserialize, Serialize};

use crate::{Result, to_device::TransactionKey};

/// What must be known to put the next event on a room.
#[derive(Debug, Clone, PartialEq)]
pub struct RoomHead {
    /// The room's version.
    pub version: RoomVersionId,
    /// Grows with each append; an append names the one it was built on.
    pub revision: u64,
    /// Forward extremities: events nobody points at yet.
    pub extremities: Vec<OwnedEventId>,
    /// The greatest depth of the extremities.
    pub depth: u64,
    /// The place of the `m.room.encryption` event that first turned encryption on; it never goes off again (ENC-2).
    pub encrypted_at: Option<Cursor>,
    /// Users with membership `join`.
    pub joined_count: u64,
    /// Users with membership `invite`.
    pub invited_count: u64,
}

/// An event to append.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The signed event, accepted by the auth rules.
    pub pdu: Pdu,
    /// Whether it becomes the current state of its `(type, state_key)`. True for every state event of a linear room.
    pub updates_state: bool,
    /// Whether it is shown in the timeline.
    pub in_timeline: bool,
    /// The transaction that sent it; remembered in the same commit, with the event's id as its answer.
    pub transaction: Option<TransactionKey>,
}

/// An append: events in order, in one commit.
#[derive(Debug, Clone)]
pub struct Append {
    /// The room.
    pub room_id: OwnedRoomId,
    /// The room's version.
    pub version: RoomVersionId,
    /// The head it was built on; `None` to create the room.
    pub expected_revision: Option<u64>,
    /// The events, oldest first.
    pub events: Vec<NewEvent>,
    /// The forward extremities afterwards.
    pub extremities: Vec<OwnedEventId>,
    /// The depth afterwards.
    pub depth: u64,
    /// An alias to point at the room in the same commit, and who set it.
    pub alias: Option<(ruma::OwnedRoomAliasId, OwnedUserId)>,
    /// Whether to publish the room in the directory in the same commit; `None` leaves it.
    pub published: Option<bool>,
}

/// How an append went. [`crate::StorageError::Conflict`] says that the head moved: rebuild on the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendOutcome {
    /// All events are stored at this position, ordinals from 0 in the order given.
    Appended(Position),
    /// The transaction was seen before; nothing was stored. This is the event it made.
    SeenBefore(OwnedEventId),
    /// The alias is taken; nothing was stored.
    AliasTaken,
    /// The room exists already; nothing was stored.
    RoomExists,
}

/// An event with what the server knows about it.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// The event.
    pub pdu: Pdu,
    /// Its place in the stream.
    pub cursor: Cursor,
    /// The redaction that applies to it.
    pub redacted_by: Option<Pdu>,
    /// The transaction that sent it, for the sender's own device: device, its generation, id.
    pub transaction: Option<(OwnedDeviceId, u64, String)>,
    /// The state event it replaced.
    pub replaces: Option<OwnedEventId>,
}

/// Membership of a user in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Membership {
    /// Invited.
    Invite,
    /// Joined.
    Join,
    /// Left, was kicked, or an invite or knock was ended.
    Leave,
    /// Banned.
    Ban,
    /// Asks to be let in.
    Knock,
}

/// A user's standing in one room, with what tells whether anything happened there.
#[derive(Debug, Clone, PartialEq)]
pub struct RoomMembership {
    /// The room.
    pub room_id: OwnedRoomId,
    /// The membership.
    pub membership: Membership,
    /// The membership event.
    pub event_id: OwnedEventId,
    /// Its sender, to tell a kick from a leave and to see who invited.
    pub sender: OwnedUserId,
    /// Its place.
    pub cursor: Cursor,
    /// The membership before.
    pub previous: Option<Membership>,
    /// Place of the newest timeline or state event of the room.
    pub last_event: Position,
    /// Position of the newest membership event of the room.
    pub last_membership: Position,
    /// Position of the newest receipt or typing change of the room.
    pub last_ephemeral: Position,
    /// See [`RoomHead::encrypted_at`].
    pub encrypted_at: Option<Cursor>,
}

/// A change of membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembershipChange {
    /// The user.
    pub user_id: OwnedUserId,
    /// Before.
    pub from: Option<Membership>,
    /// After.
    pub to: Membership,
    /// Where.
    pub cursor: Cursor,
}

/// A member of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The user.
    pub user_id: OwnedUserId,
    /// The membership.
    pub membership: Membership,
    /// The membership event.
    pub event_id: OwnedEventId,
}

/// Which state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateSelection {
    /// All of it.
    All,
    /// All but memberships.
    AllButMembers,
    /// These entries, where they exist.
    These(Vec<(String, String)>),
    /// All entries of these types.
    Types(Vec<String>),
}

/// Direction of paging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From new to old.
    Backward,
    /// From old to new.
    Forward,
}

/// A page of a timeline.
#[derive(Debug, Clone, Default)]
pub struct TimelinePage {
    /// The events in the direction asked.
    pub events: Vec<StoredEvent>,
    /// Whether more was there in the span.
    pub more: bool,
}

/// A query for children of an event.
#[derive(Debug, Clone, Default)]
pub struct RelationQuery {
    /// Only this kind of relation.
    pub rel_type: Option<String>,
    /// Only this type of event.
    pub event_type: Option<String>,
}

/// Rooms and their events.
#[async_trait]
pub trait Rooms: Send + Sync {
    /// The head of a room, as of now; `None` for an unknown room.
    async fn room_head(&self, room_id: &RoomId) -> Result<Option<RoomHead>>;

    /// Appends events if the head is still the expected one (compare-and-swap). In the same commit: events, state log,
    /// current state, membership rows and log, counts, relations, redactions (an `m.room.redaction` applies to its
    /// target when the event carries the mark of [`Pdu`]'s `redacts` and the target is in the room), transaction.
    async fn append_events(&self, append: Append) -> Result<AppendOutcome>;

    /// The event that a transaction made, if it was seen before.
    async fn transaction_event(&self, transaction: &TransactionKey) -> Result<Option<OwnedEventId>>;

    /// Events by id, in the order asked; `None` where unknown.
    async fn events(&self, event_ids: &[OwnedEventId]) -> Result<Vec<Option<StoredEvent>>>;

    /// All events reachable from these through `auth_events`, themselves included, each once.
    async fn auth_chain(&self, event_ids: &[OwnedEventId]) -> Result<Vec<Pdu>>;

    /// State of a room strictly before a place, or with `None` now.
    async fn state(&self, room_id: &RoomId, before: Option<Cursor>, select: StateSelection)
    -> Result<Vec<StoredEvent>>;

    /// State entries that were set at `from` and after, strictly below `to`: the last event of each entry in the span.
    async fn state_between(&self, room_id: &RoomId, from: Cursor, to: Cursor) -> Result<Vec<StoredEvent>>;

    /// All versions of one state entry, oldest first.
    async fn state_history(&self, room_id: &RoomId, kind: &str, state_key: &str) -> Result<Vec<StoredEvent>>;

    /// Timeline events at `from` and after, strictly below `to`, at most `limit`, in the direction asked (backward: the
    /// newest below `to` first).
    async fn timeline(
        &self,
        room_id: &RoomId,
        from: Cursor,
        to: Cursor,
        limit: usize,
        direction: Direction,
    ) -> Result<TimelinePage>;

    /// Members strictly before a place, or with `None` now, of all memberships.
    async fn members(&self, room_id: &RoomId, before: Option<Cursor>) -> Result<Vec<Member>>;

    /// Users with membership `join` now.
    async fn joined_members(&self, room_id: &RoomId) -> Result<Vec<OwnedUserId>>;

    /// Changes of membership in a room at `from` and after, strictly below `to`, in order.
    async fn membership_changes(&self, room_id: &RoomId, from: Position, to: Position)
    -> Result<Vec<MembershipChange>>;

    /// Every room the user has (had) anything to do with, as of strictly before `to`. Forgotten rooms are left out, but for
    /// those the user was in just before `forgotten_from`: who last looked there has to be told of the end.
    async fn memberships(
        &self,
        user_id: &UserId,
        forgotten_from: Position,
        to: Position,
    ) -> Result<Vec<RoomMembership>>;

    /// The user's standing in one room, now.
    async fn membership(&self, room_id: &RoomId, user_id: &UserId) -> Result<Option<RoomMembership>>;

    /// Which of `others` have membership `join` (with `or_invited`, also `invite`) in a room where `user_id` is joined;
    /// with `encrypted_only`, in an encrypted one. In the order given.
    async fn sharing_rooms(
        &self,
        user_id: &UserId,
        others: &[OwnedUserId],
        encrypted_only: bool,
        or_invited: bool,
    ) -> Result<Vec<OwnedUserId>>;

    /// Forgets a room the user has left or is banned from: it is left out of memberships and history from then on, until
    /// the user is invited or joins again. `false` when the user is still in it.
    async fn forget_room(&self, room_id: &RoomId, user_id: &UserId) -> Result<bool>;

    /// Children of an event by relation, at `from` and after, strictly below `to`, in the direction asked.
    #[allow(clippy::too_many_arguments)]
    async fn relations(
        &self,
        room_id: &RoomId,
        parent: &EventId,
        query: &RelationQuery,
        from: Cursor,
        to: Cursor,
        limit: usize,
        direction: Direction,
    ) -> Result<TimelinePage>;
}
