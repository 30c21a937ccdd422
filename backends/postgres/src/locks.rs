//! Advisory locks, held to the end of a transaction.
//!
//! They are taken before anything is read, in one order, and before the transaction has an id: a command that waits for
//! one does not hold back the horizon. Row locks still stand behind them where two kinds of commands meet.

use std::{collections::BTreeSet, fmt::Write as _};

use ruma::{DeviceId, RoomId, UserId};
use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

/// What a command locks.
#[derive(Debug, Default)]
pub(crate) struct Locks(BTreeSet<i64>);

impl Locks {
    /// Nothing.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A user's account, devices, tokens and cross-signing keys.
    pub(crate) fn user(self, user_id: &UserId) -> Self {
        self.name("user", user_id.as_str())
    }

    /// A user's account data, profile, filters and pushers.
    pub(crate) fn account_data(self, user_id: &UserId) -> Self {
        self.name("account data", user_id.as_str())
    }

    /// A user's key backups.
    pub(crate) fn backup(self, user_id: &UserId) -> Self {
        self.name("backup", user_id.as_str())
    }

    /// A room's head, state and members.
    pub(crate) fn room(self, room_id: &RoomId) -> Self {
        self.name("room", room_id.as_str())
    }

    /// A device's one-time keys.
    pub(crate) fn pool(self, user_id: &UserId, device_id: &DeviceId) -> Self {
        // No user id holds the character between the two.
        self.name("pool", &format!("{user_id}\0{device_id}"))
    }

    /// Anything else. All nodes must come to the same number, so the hash is one that never changes; two names with one
    /// number wait for each other in vain, and that is all.
    pub(crate) fn name(mut self, kind: &str, name: &str) -> Self {
        let digest = Sha256::new().chain_update(kind).chain_update([0]).chain_update(name).finalize();
        if let Some(number) = digest.first_chunk() {
            self.0.insert(i64::from_be_bytes(*number));
        }
        self
    }

    /// The numbers of the locks, in the order they are taken.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = i64> {
        self.0.iter().copied()
    }

    /// Begins a transaction and takes the locks, in one round trip.
    pub(crate) fn begin(&self) -> SqlStr {
        let mut statement = "BEGIN ISOLATION LEVEL READ COMMITTED".to_owned();
        for number in self.numbers() {
            // Writing to a string does not fail.
            let _ = write!(statement, "; SELECT pg_advisory_xact_lock({number})");
        }
        // Numbers only.
        AssertSqlSafe(statement).into_sql_str()
    }
}
