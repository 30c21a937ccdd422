//! Device keys, one-time keys and fallback keys.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use olmstead_domain::json::RawJson;
use ruma::{OwnedDeviceId, OwnedUserId, UserId};

use crate::{Result, cross_signing::CrossSigningKeys, devices::DeviceRef};

/// The parts of one `keys/upload`, already checked for shape. Stored together or not at all (DK-9).
#[derive(Debug, Clone, Default)]
pub struct KeysUpload {
    /// Identity keys as uploaded, without the client's `unsigned`. The engine merges by
    /// `olmstead_domain::keys::device_keys` (DK-8, DK-12).
    pub device_keys: Option<RawJson>,
    /// `<algorithm>:<key_id>` and value, in the order to hand them out.
    pub one_time_keys: Vec<(String, RawJson)>,
    /// `<algorithm>:<key_id>` and value, at most one an algorithm.
    pub fallback_keys: Vec<(String, RawJson)>,
    /// The pool of an algorithm keeps this many keys and drops its oldest beyond (OTK-16). A key that is dropped is spent
    /// as one that is claimed: never handed out, its id remembered, and the same key uploaded again is passed over. It
    /// leaves with the upload that had no room for it, so it is still there for what OTK-6 says of that upload.
    pub pool_limit: usize,
    /// This many ids of claimed and dropped keys are remembered per device and algorithm, so that a late retry of an upload cannot
    /// bring a claimed key back (OTK-3).
    pub claimed_memory: usize,
}

/// How an upload went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadOutcome {
    /// All parts are stored.
    Stored {
        /// The counts after it.
        counts: KeyCounts,
        /// Whether the user's device list changed.
        device_list_changed: bool,
        /// Whether the device has other identity keys than before: a client that lost its state.
        identity_changed: bool,
    },
    /// The device was deleted meanwhile; nothing was stored (DK-10).
    DeviceGone,
    /// This one-time key id exists with another key; nothing was stored (OTK-6).
    OneTimeKeyExists {
        /// `<algorithm>:<key_id>`.
        key_name: String,
        /// The stored key.
        existing: RawJson,
        /// The refused one.
        uploaded: RawJson,
    },
}

/// What `/sync` and `keys/upload` say of a device's pools.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyCounts {
    /// Unclaimed one-time keys by algorithm; no entry means none (OTK-7).
    pub one_time_keys: BTreeMap<String, u64>,
    /// Algorithms whose fallback key was not given out yet, sorted (FBK-4).
    pub unused_fallback_keys: Vec<String>,
}

/// A wish for one key of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimWant {
    /// The owner.
    pub user_id: OwnedUserId,
    /// The device.
    pub device_id: OwnedDeviceId,
    /// The algorithm, such as `signed_curve25519`.
    pub algorithm: String,
    /// Whether the fallback key is to be given even though there are one-time keys, so that these are spared. Without a
    /// fallback key it says nothing.
    pub spares: bool,
}

/// A key handed out.
#[derive(Debug, Clone)]
pub struct ClaimedKey {
    /// The owner.
    pub user_id: OwnedUserId,
    /// The device.
    pub device_id: OwnedDeviceId,
    /// `<algorithm>:<key_id>`.
    pub key_name: String,
    /// The key exactly as uploaded (OTK-9, FBK-6).
    pub key: RawJson,
    /// Whether it is the fallback key, now marked used (FBK-9).
    pub fallback: bool,
}

/// Which devices of a user a query asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyQuery {
    /// The user.
    pub user_id: OwnedUserId,
    /// The devices; empty means all (KQ-1).
    pub device_ids: Vec<OwnedDeviceId>,
}

/// A device's identity keys.
#[derive(Debug, Clone)]
pub struct DeviceKeysRow {
    /// The device.
    pub device_id: OwnedDeviceId,
    /// The stored object, unfiltered: no reader may serve it but through `olmstead_domain::keys::visibility`.
    pub keys: RawJson,
    /// The device's public name.
    pub display_name: Option<String>,
}

/// What the store knows of one queried user.
#[derive(Debug, Clone, Default)]
pub struct UserKeys {
    /// Whether there is such an account.
    pub known: bool,
    /// Ids of all the user's devices that have identity keys, asked for or not, so that a reader can tell signatures by
    /// devices on the master key. May be left empty when the user has no master key.
    pub keyed_devices: BTreeSet<OwnedDeviceId>,
    /// Devices that have identity keys, of those asked for (KQ-6).
    pub devices: Vec<DeviceKeysRow>,
    /// The cross-signing keys, unfiltered.
    pub cross_signing: CrossSigningKeys,
    /// Signatures that the asker's user-signing key made on this user's master key: (key id such as `ed25519:…`,
    /// signature). Nobody else's are read (SIG-15).
    pub asker_signatures: Vec<(String, String)>,
}

/// Device keys, one-time keys, fallback keys.
#[async_trait]
pub trait Keys: Send + Sync {
    /// Stores an upload. A change of counts is a change for the device, a change of identity keys one of the device list.
    async fn upload_keys(&self, device: &DeviceRef, upload: KeysUpload) -> Result<UploadOutcome>;

    /// The counts of a device; zero for one that is gone. O(1) in the size of the pools.
    async fn key_counts(&self, device: &DeviceRef) -> Result<KeyCounts>;

    /// Takes one key for each wish that can be served: the one-time key uploaded first (OTK-8), else the fallback key
    /// (FBK-3), which also comes first for wishes that spare one-time keys. A key taken is gone for good when this returns, and is never taken twice (OTK-1). Wishes that cannot be
    /// served are absent from the answer (OTK-10).
    async fn claim_keys(&self, wants: &[ClaimWant]) -> Result<Vec<ClaimedKey>>;

    /// Reads the keys of users for an asker, in the order asked, one entry per query.
    async fn query_keys(&self, queries: &[KeyQuery], asker: Option<&UserId>) -> Result<Vec<UserKeys>>;
}
