//! Accounts: who exists, and in what standing.

use async_trait::async_trait;
use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};

use crate::{Result, devices::NewSession};

/// A user of this server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The full user id.
    pub user_id: OwnedUserId,
    /// PHC string of the password; `None` when the account has no password (guests, deactivated accounts).
    pub password_hash: Option<String>,
    /// A guest has no password and may do less (GEN-17, GEN-18).
    pub guest: bool,
    /// May use administrative endpoints.
    pub admin: bool,
    /// Deactivated for good: nobody logs in, the name stays taken.
    pub deactivated: bool,
    /// Locked: all but logout answers `M_USER_LOCKED`, everything is kept (GEN-15).
    pub locked: bool,
    /// Suspended: only a few actions are allowed (GEN-16).
    pub suspended: bool,
    /// When it was created, milliseconds since the Unix epoch.
    pub created_at: u64,
}

impl Account {
    /// An ordinary account in good standing.
    #[must_use]
    pub const fn new(user_id: OwnedUserId, password_hash: Option<String>, created_at: u64) -> Self {
        Self {
            user_id,
            password_hash,
            guest: false,
            admin: false,
            deactivated: false,
            locked: false,
            suspended: false,
            created_at,
        }
    }
}

/// Standing of an account that an operator sets; `None` leaves a flag as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StandingChange {
    /// See [`Account::locked`].
    pub locked: Option<bool>,
    /// See [`Account::suspended`].
    pub suspended: Option<bool>,
    /// See [`Account::admin`].
    pub admin: Option<bool>,
}

/// Accounts, with the commands that must be one step with their devices.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Creates the account, with a first session when one is given; `false` when the name is taken and nothing was done.
    async fn create_account(&self, account: Account, session: Option<NewSession>) -> Result<bool>;

    /// The account, also when deactivated.
    async fn account(&self, user_id: &UserId) -> Result<Option<Account>>;

    /// Replaces the password hash and, with `logout_others`, deletes every device but `keep` in the same step (DEV-17).
    /// Returns the devices deleted, or `None` when there is no such active account.
    async fn set_password(
        &self,
        user_id: &UserId,
        password_hash: String,
        logout_others: bool,
        keep: Option<&OwnedDeviceId>,
    ) -> Result<Option<Vec<OwnedDeviceId>>>;

    /// Deactivates for good: password, devices with all that is theirs, cross-signing keys with the signatures on them,
    /// backups, pushers, profile; with `erase` account data too (DEV-18, AD-8). The device list changes if any keys were
    /// there. Memberships are the caller's to end. `false` when there is no such active account.
    async fn deactivate_account(&self, user_id: &UserId, erase: bool) -> Result<bool>;

    /// Changes the standing; `false` when there is no such account.
    async fn set_standing(&self, user_id: &UserId, change: StandingChange) -> Result<bool>;

    /// Users whose id or display name contains `term` (case-insensitive), at most `limit`, never deactivated ones,
    /// in a stable order.
    async fn search_users(&self, term: &str, limit: usize) -> Result<Vec<OwnedUserId>>;
}
