//! Receipts, typing and presence: what passes, and must still reach every node.

use async_trait::async_trait;
use olmstead_domain::position::Position;
use ruma::{OwnedEventId, OwnedUserId, RoomId, UserId};
use serde::{Deserialize, Serialize};

use crate::Result;

/// A read receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Who read.
    pub user_id: OwnedUserId,
    /// `m.read` or `m.read.private`.
    pub kind: String,
    /// The thread: `None` unthreaded, else `main` or a root event's id.
    pub thread_id: Option<String>,
    /// Up to which event.
    pub event_id: OwnedEventId,
    /// When, milliseconds.
    pub at: u64,
    /// When it was set in the stream.
    pub position: Position,
}

/// A user's presence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Who.
    pub user_id: OwnedUserId,
    /// `online`, `offline` or `unavailable`.
    pub presence: String,
    /// The status text.
    pub status_msg: Option<String>,
    /// When the user was last active, milliseconds.
    pub last_active_at: u64,
    /// When it was set in the stream.
    pub position: Position,
}

/// A user who syncs somewhere, and until when that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syncing {
    /// Who.
    pub user_id: OwnedUserId,
    /// Until when the user counts as there, milliseconds.
    pub until: u64,
}

/// Receipts, typing, presence.
///
/// What ends by time is ended by a command that every node runs now and then: reading a clock is no change that anybody
/// would be told of.
#[async_trait]
pub trait Ephemeral: Send + Sync {
    /// Sets receipts of one user, each replacing that of the same kind and thread. `position` in them is ignored.
    async fn set_receipts(&self, room_id: &RoomId, receipts: Vec<Receipt>) -> Result<()>;

    /// Receipts of a room set at `from` and after, strictly below `to`.
    async fn receipts_between(&self, room_id: &RoomId, from: Position, to: Position) -> Result<Vec<Receipt>>;

    /// The receipts of one user in a room.
    async fn receipts_of(&self, room_id: &RoomId, user_id: &UserId) -> Result<Vec<Receipt>>;

    /// Sets until when (milliseconds) a user is typing; `None` stops it.
    async fn set_typing(&self, room_id: &RoomId, user_id: &UserId, until: Option<u64>) -> Result<()>;

    /// Who types in a room at the time `now`, and the position of the last change (start or stop that was set).
    async fn typing(&self, room_id: &RoomId, now: u64) -> Result<(Vec<OwnedUserId>, Position)>;

    /// Ends the typing whose time is over at `now`: a change for each room where somebody's is. A bounded number at a
    /// time; returns how many. Several nodes may call it at once: each end is written once.
    async fn end_typing(&self, now: u64) -> Result<usize>;

    /// Sets presence. `position` is ignored.
    async fn set_presence(&self, presence: Presence) -> Result<()>;

    /// Presence of one user.
    async fn presence(&self, user_id: &UserId) -> Result<Option<Presence>>;

    /// Presence set at `from` and after, strictly below `to`, of everyone.
    async fn presence_between(&self, from: Position, to: Position) -> Result<Vec<Presence>>;

    /// Notes that a user syncs as `presence` at `now` and counts as there until `syncing.until`. If the user counts as
    /// there already, by the same `presence`, the end moves and nothing else: what was set by [`Self::set_presence`]
    /// meanwhile stays. Else the user's presence becomes `presence` if it is another: a change; the status text stays,
    /// and `last_active_at` becomes `now` for `online` and for who never had a presence, else it stays too.
    async fn begin_syncing(&self, syncing: Syncing, presence: &str, now: u64) -> Result<()>;

    /// Moves the ends of users who count as there to what is given, where that is later. No change, and need not be
    /// durable; does nothing for users who do not count as there any more.
    async fn keep_syncing(&self, users: &[Syncing]) -> Result<()>;

    /// Sets users offline who counted as there until `now` or less and no longer: a change for each whose presence is
    /// another. The status text and `last_active_at` stay. A bounded number at a time; returns how many ended. Several
    /// nodes may call it at once: each end is written once.
    async fn end_syncing(&self, now: u64) -> Result<usize>;
}
