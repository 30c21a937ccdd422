//! Account data, filters, profiles and pushers: what users keep on the server for themselves.

use async_trait::async_trait;
use olmstead_domain::{json::RawJson, position::Position};
use ruma::{OwnedRoomId, RoomId, UserId};
use serde::{Deserialize, Serialize};

use crate::{Result, devices::DeviceRef};

/// The type of push rules.
pub const PUSH_RULES: &str = "m.push_rules";
/// The type of the list of ignored users.
pub const IGNORED_USERS: &str = "m.ignored_user_list";
/// The global account data that decides how the user's rooms are told.
pub const SETTINGS: [&str; 2] = [PUSH_RULES, IGNORED_USERS];

/// One entry of account data.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountDataEntry {
    /// The room, or `None` for global data.
    pub room_id: Option<OwnedRoomId>,
    /// The event type.
    pub kind: String,
    /// The content object, opaque (AD-6).
    pub content: RawJson,
    /// When it was last set.
    pub position: Position,
}

/// A pusher as the client set it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pusher {
    /// `app_id`, the first half of its identity.
    pub app_id: String,
    /// `pushkey`, the second half.
    pub pushkey: String,
    /// The device that set it; the pusher goes with it.
    pub device: DeviceRef,
    /// The whole object for `GET /pushers`.
    pub data: RawJson,
}

/// Account data and its kin.
#[async_trait]
pub trait AccountData: Send + Sync {
    /// Sets one entry. A change for the user.
    async fn set_account_data(
        &self,
        user_id: &UserId,
        room_id: Option<&RoomId>,
        kind: &str,
        content: RawJson,
    ) -> Result<()>;

    /// One entry. Push rules (`m.push_rules`) and tags (`m.tag`) live here too.
    async fn account_data(&self, user_id: &UserId, room_id: Option<&RoomId>, kind: &str) -> Result<Option<RawJson>>;

    /// Replaces one entry if it still is `expected` (`None`: absent); `false` when it is not.
    async fn replace_account_data(
        &self,
        user_id: &UserId,
        room_id: Option<&RoomId>,
        kind: &str,
        expected: Option<&RawJson>,
        content: RawJson,
    ) -> Result<bool>;

    /// Entries last set at `from` and after, strictly below `to`, of all rooms and global.
    async fn account_data_between(
        &self,
        user_id: &UserId,
        from: Position,
        to: Position,
    ) -> Result<Vec<AccountDataEntry>>;

    /// Stores a filter and returns its id; the same filter of the same user may get the same id.
    async fn put_filter(&self, user_id: &UserId, filter: RawJson) -> Result<String>;

    /// A stored filter.
    async fn filter(&self, user_id: &UserId, filter_id: &str) -> Result<Option<RawJson>>;

    /// All fields of a profile; empty for a user without one, `None` for an unknown user.
    async fn profile(&self, user_id: &UserId) -> Result<Option<Vec<(String, RawJson)>>>;

    /// Sets or (with `None`) removes a field of the profile.
    async fn set_profile_field(&self, user_id: &UserId, field: &str, value: Option<RawJson>) -> Result<()>;

    /// Sets a pusher, replacing one with the same `app_id` and `pushkey`; unless `append`, the same pair of other users
    /// goes.
    async fn set_pusher(&self, pusher: Pusher, append: bool) -> Result<()>;

    /// Deletes a pusher if it is there.
    async fn delete_pusher(&self, user_id: &UserId, app_id: &str, pushkey: &str) -> Result<()>;

    /// The user's pushers.
    async fn pushers(&self, user_id: &UserId) -> Result<Vec<Pusher>>;
}
