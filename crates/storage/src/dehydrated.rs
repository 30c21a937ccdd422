//! Dehydrated devices (MSC3814): at most one a user, with keys and an inbox but no session.

use async_trait::async_trait;
use olmstead_domain::json::RawJson;
use ruma::{OwnedDeviceId, UserId};

use crate::{
    Result,
    devices::DeviceRef,
    keys::{KeysUpload, UploadOutcome},
};

/// A dehydrated device.
#[derive(Debug, Clone, PartialEq)]
pub struct DehydratedDevice {
    /// The device.
    pub device: DeviceRef,
    /// The opaque pickled device.
    pub device_data: RawJson,
}

/// Dehydrated devices.
#[async_trait]
pub trait DehydratedDevices: Send + Sync {
    /// Stores the device with its keys in one commit, in place of the one before, which is deleted as any device is.
    /// `None` when the device id is that of an ordinary device or of a cross-signing key, [`UploadOutcome::DeviceGone`]
    /// when there is no such active account; nothing was stored then.
    async fn put_dehydrated_device(
        &self,
        user_id: &UserId,
        device_id: OwnedDeviceId,
        device_data: RawJson,
        display_name: Option<String>,
        keys: KeysUpload,
        now: u64,
    ) -> Result<Option<UploadOutcome>>;

    /// The user's dehydrated device.
    async fn dehydrated_device(&self, user_id: &UserId) -> Result<Option<DehydratedDevice>>;

    /// Deletes it as any device is deleted; returns its id if there was one.
    async fn delete_dehydrated_device(&self, user_id: &UserId) -> Result<Option<OwnedDeviceId>>;
}
