//! Locks on aggregates, so that a command may read, decide and write.
//!
//! A fixed number of stripes stands for all aggregates; two that share a stripe only wait for each other. A command names
//! all it needs at once and takes them in the order of the stripes, so no two commands can block each other for ever.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use ruma::{DeviceId, RoomId, UserId};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

const STRIPES: u64 = 1024;

/// What is locked. Which commands take which lock:
///
/// - `User`: exclusively, to change the user's account, devices, sessions or identity keys; shared, to rely on a device
///   to stay, such as to put a message in its inbox.
/// - `Pool`: exclusively, with `User` shared, to change the one-time and fallback keys of a device.
/// - `Backup`: exclusively, to change the user's backups.
/// - `AccountData`: exclusively, to change the user's account data, profile or pushers. After `User` in meaning: the
///   deactivation of an account takes both.
/// - `Room`: exclusively, to change a room.
/// - `Name`: exclusively, for anything else that is known by a text of its own; give the table's name as first half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Aggregate<'a> {
    User(&'a str),
    Pool(&'a str, &'a str),
    Backup(&'a str),
    AccountData(&'a str),
    Room(&'a str),
    Name(&'a str, &'a str),
}

/// The locks a command needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Locks(BTreeMap<u64, bool>);

impl Locks {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The user, exclusively.
    pub(crate) fn user(self, user_id: &UserId) -> Self {
        self.add(Aggregate::User(user_id.as_str()), true)
    }

    /// The user, shared.
    pub(crate) fn user_shared(self, user_id: &UserId) -> Self {
        self.add(Aggregate::User(user_id.as_str()), false)
    }

    /// The key pools of a device.
    pub(crate) fn pool(self, user_id: &UserId, device_id: &DeviceId) -> Self {
        self.add(Aggregate::Pool(user_id.as_str(), device_id.as_str()), true)
    }

    /// The user's backups.
    pub(crate) fn backup(self, user_id: &UserId) -> Self {
        self.add(Aggregate::Backup(user_id.as_str()), true)
    }

    /// The user's account data, profile and pushers.
    pub(crate) fn account_data(self, user_id: &UserId) -> Self {
        self.add(Aggregate::AccountData(user_id.as_str()), true)
    }

    /// The room.
    pub(crate) fn room(self, room_id: &RoomId) -> Self {
        self.add(Aggregate::Room(room_id.as_str()), true)
    }

    /// Anything else.
    pub(crate) fn name(self, kind: &str, name: &str) -> Self {
        self.add(Aggregate::Name(kind, name), true)
    }

    fn add(mut self, aggregate: Aggregate<'_>, exclusive: bool) -> Self {
        let mut hasher = DefaultHasher::new();
        aggregate.hash(&mut hasher);
        *self.0.entry(hasher.finish() % STRIPES).or_default() |= exclusive;
        self
    }
}

/// A lock held.
#[allow(dead_code, reason = "held for its end")]
pub(crate) enum Guard {
    Shared(OwnedRwLockReadGuard<()>),
    Exclusive(OwnedRwLockWriteGuard<()>),
}

/// All locks of a store.
pub(crate) struct LockTable(Vec<Arc<RwLock<()>>>);

impl LockTable {
    pub(crate) fn new() -> Self {
        Self((0..STRIPES).map(|_| Arc::default()).collect())
    }

    /// Waits for the locks, in the order of the stripes.
    pub(crate) async fn take(&self, locks: Locks) -> Vec<Guard> {
        let mut guards = Vec::with_capacity(locks.0.len());
        for (stripe, exclusive) in locks.0 {
            let Some(lock) = usize::try_from(stripe).ok().and_then(|index| self.0.get(index)) else { continue };
            let lock = Arc::clone(lock);
            guards.push(if exclusive {
                Guard::Exclusive(lock.write_owned().await)
            } else {
                Guard::Shared(lock.read_owned().await)
            });
        }
        guards
    }
}
