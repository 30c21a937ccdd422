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

/// Receipts, typing, presence.
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

    /// Sets presence. `position` is ignored.
    async fn set_presence(&self, presence: Presence) -> Result<()>;

    /// Presence of one user.
    async fn presence(&self, user_id: &UserId) -> Result<Option<Presence>>;

    /// Presence set at `from` and after, strictly below `to`, of everyone.
    async fn presence_between(&self, from: Position, to: Position) -> Result<Vec<Presence>>;
}
