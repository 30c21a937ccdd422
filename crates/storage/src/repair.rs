//! What an operator mends.

use async_trait::async_trait;
use ruma::UserId;

use crate::{Result, devices::DeviceRef};

/// Commands by which an operator makes clients do what they failed to do.
#[async_trait]
pub trait Repair: Send + Sync {
    /// All one-time keys of a device leave their pools as if they had been claimed: none of them is ever given out, and
    /// their ids stay spent. Its fallback keys count as given out. So the device uploads new ones of both, and until then
    /// a fallback key is still there for others. How many one-time keys there were; `None` when the device is gone. It is a
    /// change for the device, also if there was nothing to drop: the device may not know what it should.
    async fn drop_one_time_keys(&self, device: &DeviceRef) -> Result<Option<u64>>;

    /// The device list of a user is told as changed to everyone who may see it, though it did not change. `false` when
    /// there is no such account.
    async fn announce_device_list(&self, user_id: &UserId) -> Result<bool>;
}
