//! The stream of changes: how far it is final, and who is touched by what is new.

use async_trait::async_trait;
use olmstead_domain::position::{Epoch, Position};
use ruma::{OwnedDeviceId, OwnedRoomId, OwnedUserId};
use tokio::sync::watch;

use crate::Result;

/// How far the stream is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// The life of the store.
    pub epoch: Epoch,
    /// Every write strictly below is committed, durable and visible; no later commit gets a position below.
    pub position: Position,
}

/// Whom a change may wake. A waiter that is woken in vain reads again and waits on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ChangeKey {
    /// Something all devices of the user see: account data, own membership, invites, push rules.
    User(OwnedUserId),
    /// Something one device sees: its inbox, its key counts.
    Device(OwnedUserId, OwnedDeviceId),
    /// The user's device keys or cross-signing keys; seen by all who share an encrypted room, and by the user.
    DeviceList(OwnedUserId),
    /// Timeline, state, receipts or typing of a room; seen by its joined members.
    Room(OwnedRoomId),
    /// Like `Room`, and the set of joined members is another than before.
    Membership(OwnedRoomId, OwnedUserId),
    /// The user's presence; seen by those who share a room.
    Presence(OwnedUserId),
}

/// What became final in a span of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// Exactly these, possibly repeated.
    Keys(Vec<ChangeKey>),
    /// The span is no longer remembered: anything may have changed, wake everyone.
    Everything,
}

/// The stream of changes of one store.
#[async_trait]
pub trait Changes: Send + Sync {
    /// The current horizon. Tokens for clients are made from it.
    async fn horizon(&self) -> Result<Horizon>;

    /// What was written at `from` and after, strictly below `to`, which is a horizon.
    async fn changed(&self, from: Position, to: Position) -> Result<Changed>;

    /// Fires when the horizon may have moved. A hint may be early or lost, so nothing may rest on it alone.
    fn hint(&self) -> watch::Receiver<Position>;
}
