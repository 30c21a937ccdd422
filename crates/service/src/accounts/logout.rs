//! `POST /logout` and `POST /logout/all`: the end of devices with all that is theirs (DEV-8, DEV-9, DEV-10).

use olmstead_storage::devices::{DeviceSelection, Session};

use crate::{Context, Result};

/// Ends one session and its device.
///
/// # Errors
/// Only the store's.
pub async fn logout(cx: &Context, session: &Session) -> Result<()> {
    let device = &session.device;
    cx.storage.delete_devices(&device.user_id, DeviceSelection::These(vec![device.device_id.clone()])).await?;
    // A long-poll of the device has nothing to wait for any more.
    cx.notifier.wake_device(&device.user_id, &device.device_id);
    Ok(())
}

/// Ends all sessions of the user and their devices.
///
/// # Errors
/// Only the store's.
pub async fn logout_all(cx: &Context, session: &Session) -> Result<()> {
    cx.storage.delete_devices(&session.device.user_id, DeviceSelection::All).await?;
    cx.notifier.wake_user(&session.device.user_id);
    Ok(())
}
