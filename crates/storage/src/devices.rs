//! Devices and the sessions that log them in. Everything that belongs to a device carries its generation.

use async_trait::async_trait;
use olmstead_domain::position::Position;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};

use crate::Result;

/// SHA-256 of a token. Tokens themselves are never stored.
pub type TokenHash = [u8; 32];

/// One life of a device id: a device deleted and made again under the same id has another generation, so nothing of
/// the old one can reach the new one (OTK-14, TD-13).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceRef {
    /// The owner.
    pub user_id: OwnedUserId,
    /// The id, unique per user only (DEV-20).
    pub device_id: OwnedDeviceId,
    /// Unique in the store, never used again.
    pub generation: u64,
}

/// A device as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Which device.
    #[serde(flatten)]
    pub id: DeviceRef,
    /// The public name.
    pub display_name: Option<String>,
    /// When it was created, milliseconds since the Unix epoch.
    pub created_at: u64,
    /// When it last made a request, milliseconds; kept with a coarse grain.
    pub last_seen_at: Option<u64>,
    /// The address of that request.
    pub last_seen_ip: Option<String>,
}

/// A session to begin: a new device, or new tokens for a known one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// The device to log in.
    pub device_id: OwnedDeviceId,
    /// Name for the device if it is new; ignored for a known one (DEV-15).
    pub initial_display_name: Option<String>,
    /// Hash of the access token.
    pub access: TokenHash,
    /// When the access token stops working, milliseconds; `None` is never.
    pub access_expires_at: Option<u64>,
    /// Hash of the refresh token, if one is given out.
    pub refresh: Option<TokenHash>,
    /// Now, milliseconds.
    pub now: u64,
    /// A new device is refused when the user has so many; a dehydrated one does not count.
    pub most_devices: usize,
}

/// How a login went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginOutcome {
    /// Logged in, to a new device or (`existing`) to a known one whose older tokens are now dead, its keys and inbox kept.
    LoggedIn {
        /// The device.
        device: DeviceRef,
        /// Whether the device was there before.
        existing: bool,
    },
    /// The id equals a public cross-signing key that the user has or had (DEV-13). Nothing was written.
    IdIsCrossSigningKey,
    /// The device would be new, and the user has [`NewSession::most_devices`]. Nothing was written.
    TooManyDevices,
    /// No such account, or it is deactivated. Nothing was written.
    NoAccount,
}

/// Who a token stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The device.
    pub device: DeviceRef,
    /// When the access token stops working, milliseconds; `None` is never.
    pub access_expires_at: Option<u64>,
    /// This access token came from a refresh whose older tokens still live; its first use ends them (AUTH-5).
    pub retires_previous: bool,
    /// Account flags, so that authentication is one read.
    pub guest: bool,
    /// See [`crate::accounts::Account::locked`].
    pub locked: bool,
    /// See [`crate::accounts::Account::suspended`].
    pub suspended: bool,
    /// See [`crate::accounts::Account::admin`].
    pub admin: bool,
    /// When the device was last seen as stored, milliseconds.
    pub last_seen_at: Option<u64>,
}

/// Which devices a deletion takes. A dehydrated device is one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceSelection {
    /// These, where they exist.
    These(Vec<OwnedDeviceId>),
    /// All but this one.
    AllBut(OwnedDeviceId),
    /// All.
    All,
}

/// Devices and sessions. Deleting a device takes with it, in one step: access and refresh tokens, identity keys,
/// one-time and fallback keys, inbox, transaction memory, pushers, signatures on and by it (DEV-10); if it had identity
/// keys, the user's device list changes in the same commit (DEV-11), else not (DEV-23). It is a change for the device
/// itself too: a request of the device that waits at any node has nothing to wait for any more.
#[async_trait]
pub trait Devices: Send + Sync {
    /// Begins a session.
    async fn login(&self, user_id: &UserId, session: NewSession) -> Result<LoginOutcome>;

    /// Whose access token this is, expired or not; `None` when unknown.
    async fn session(&self, access: &TokenHash) -> Result<Option<Session>>;

    /// Replaces tokens: the refresh token stays usable until the new access or refresh token is first used (AUTH-5), so
    /// that a lost answer can be asked for again. `None` when the refresh token is unknown or spent (AUTH-6).
    async fn refresh_session(
        &self,
        old_refresh: &TokenHash,
        new_access: TokenHash,
        new_refresh: TokenHash,
        access_expires_at: Option<u64>,
    ) -> Result<Option<DeviceRef>>;

    /// Ends the tokens that this access token replaced. Called on the first use of a token whose session says so.
    async fn retire_previous_tokens(&self, access: &TokenHash) -> Result<()>;

    /// Whether an access or refresh token that works no more was of a device that is still there: a later login or refresh
    /// of the device ended it, so its client may come back to the device (AUTH-1). The last few of each device are known.
    async fn was_replaced(&self, token: &TokenHash) -> Result<bool>;

    /// The user's devices, in order of their ids. Dehydrated devices are not among them.
    async fn devices(&self, user_id: &UserId) -> Result<Vec<Device>>;

    /// One device.
    async fn device(&self, user_id: &UserId, device_id: &DeviceId) -> Result<Option<Device>>;

    /// Sets the public name; `false` when there is no such device. Counts as a device-list change if the device has keys.
    async fn set_device_name(&self, user_id: &UserId, device_id: &DeviceId, name: Option<String>) -> Result<bool>;

    /// Notes when and from where a device was seen. Need not be durable; does nothing for a device that is gone.
    async fn device_seen(&self, device: &DeviceRef, at: u64, ip: Option<String>) -> Result<()>;

    /// Deletes devices. Returns those that were there.
    async fn delete_devices(&self, user_id: &UserId, selection: DeviceSelection) -> Result<Vec<OwnedDeviceId>>;

    /// Users whose device list changed at `from` and after, strictly below `to`, each once. The caller decides who may
    /// be told (DL-16, DL-19).
    async fn device_list_changes(&self, from: Position, to: Position) -> Result<Vec<OwnedUserId>>;
}
