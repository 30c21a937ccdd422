//! `POST /logout` and `POST /logout/all`: the end of devices with all that is theirs (DEV-8, DEV-9, DEV-10). It is a
//! change like any other, so a sync of the device that waits, at whichever node, is woken and finds that it is gone.

use olmstead_storage::devices::{DeviceSelection, Session};

use crate::{Context, Result};

/// Ends one session and its device.
///
/// # Errors
/// Only the store's.
pub async fn logout(cx: &Context, session: &Session) -> Result<()> {
    let device = &session.device;
    cx.storage.delete_devices(&device.user_id, DeviceSelection::These(vec![device.device_id.clone()])).await?;
    Ok(())
}

/// Ends all sessions of the user and their devices.
///
/// # Errors
/// Only the store's.
pub async fn logout_all(cx: &Context, session: &Session) -> Result<()> {
    cx.storage.delete_devices(&session.device.user_id, DeviceSelection::All).await?;
    Ok(())
}
