//! The one read that every `/sync` starts with.

use async_trait::async_trait;
use olmstead_domain::position::{Cursor, Position};
use ruma::OwnedUserId;

use crate::{
    Result, account_data::AccountDataEntry, changes::Horizon, devices::DeviceRef, ephemeral::Presence, keys::KeyCounts,
    rooms::RoomMembership, to_device::InboxPage,
};

/// What a sync asks of the store.
#[derive(Debug, Clone)]
pub struct SyncQuery {
    /// The device that syncs.
    pub device: DeviceRef,
    /// The position of its token; `None` for an initial sync.
    pub since: Option<Position>,
    /// Where delivery from the inbox goes on.
    pub inbox_from: Cursor,
    /// How many to-device messages at most.
    pub inbox_limit: usize,
}

/// What changed for a device between its token and now, all from one consistent view.
#[derive(Debug, Clone)]
pub struct SyncFacts {
    /// Whether the account is locked, so that nobody is told anything (GEN-15).
    pub locked: bool,
    /// The horizon of the view: the position of the next token. Nothing at or above it is in here.
    pub horizon: Horizon,
    /// Every room of the user, with the last activity in each.
    pub memberships: Vec<RoomMembership>,
    /// Waiting to-device messages.
    pub inbox: InboxPage,
    /// Key counts of the device, as of now, and the position of their last change.
    pub key_counts: KeyCounts,
    /// When the key counts changed last.
    pub key_counts_changed: Position,
    /// Account data set since; all of it for an initial sync.
    pub account_data: Vec<AccountDataEntry>,
    /// When one of [`crate::account_data::SETTINGS`] was last set, as of now; [`Position::START`] if never. So a node that
    /// keeps them can tell whether it has the newest.
    pub settings_changed: Position,
    /// Users whose device list changed since, each once, at least all of those who share an encrypted room with the user,
    /// and not yet narrowed to them. Empty for an initial sync.
    pub device_lists: Vec<OwnedUserId>,
    /// Users to name in `changed` to this user alone: itself after a new user-signing key (DL-11), others after it signed
    /// their master key (DL-12).
    pub own_device_lists: Vec<OwnedUserId>,
    /// Presence set since, of everyone; the caller narrows it to those who share a room.
    pub presence: Vec<Presence>,
}

/// The start of a sync.
#[async_trait]
pub trait SyncReads: Send + Sync {
    /// Reads everything a sync starts with, in one consistent view; `None` when the device is gone.
    async fn sync_facts(&self, query: &SyncQuery) -> Result<Option<SyncFacts>>;
}
