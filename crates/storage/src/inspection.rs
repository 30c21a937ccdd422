//! What an operator looks at: all accounts, and what the devices of one are like.

use std::collections::BTreeMap;

use async_trait::async_trait;
use olmstead_domain::{json::RawJson, position::Position};
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};

use crate::{Result, accounts::Account, devices::Device, keys::KeyCounts, rooms::RoomHead};

/// What a device's keys and inbox are like.
#[derive(Debug, Clone)]
pub struct DeviceHealth {
    /// The device.
    pub device: Device,
    /// Whether it is the user's dehydrated device, which has no session.
    pub dehydrated: bool,
    /// Its identity keys, unfiltered.
    pub identity_keys: Option<RawJson>,
    /// Its one-time keys, and the fallback keys that were not given out.
    pub counts: KeyCounts,
    /// Its fallback keys by algorithm; `true` for one that was given out.
    pub fallback_keys: BTreeMap<String, bool>,
    /// How many messages wait; as many as were to be counted at most.
    pub waiting: u64,
    /// The oldest of them, and its position.
    pub oldest: Option<(Position, RawJson)>,
}

/// What no other read tells of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserTraces {
    /// The last change of the device list, if it is among the newest of the server.
    pub list_changed: Option<Position>,
    /// Signatures of other users on the master key: signer, key id such as `ed25519:…`, signature. Nobody but the signers
    /// may be told of them over the client API (SIG-15).
    pub signers: Vec<(OwnedUserId, String, String)>,
}

/// Reads for operators. None of them locks anything, and each is bounded by its limit and by what one user has.
#[async_trait]
pub trait Inspection: Send + Sync {
    /// Accounts in order of their ids, those after `after`, at most `limit`.
    async fn accounts_after(&self, after: Option<&UserId>, limit: usize) -> Result<Vec<Account>>;

    /// The devices of a user in order of their ids, the dehydrated one too. Waiting messages of each are counted up to
    /// `most`.
    async fn device_health(&self, user_id: &UserId, most: usize) -> Result<Vec<DeviceHealth>>;

    /// Looks among the newest `most` changes of device lists, and reads as many signatures at most.
    async fn user_traces(&self, user_id: &UserId, most: usize) -> Result<UserTraces>;

    /// Rooms in order of their ids, those after `after`, at most `limit`.
    async fn rooms_after(&self, after: Option<&RoomId>, limit: usize) -> Result<Vec<(OwnedRoomId, RoomHead)>>;

    /// Bytes the store takes on disk, as the engine keeps count of them without reading the data.
    async fn store_size(&self) -> Result<u64>;

    /// How many positions were given to writes that are not final, as far as the engine can tell.
    async fn horizon_lag(&self) -> Result<u64>;
}
