//! `GET /_olmstead/admin/v1/users/{userId}/devices` and `DELETE …/devices/{deviceId}`.

use olmstead_storage::devices::DeviceSelection;
use ruma::{OwnedDeviceId, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    Context, Result,
    admin::audit::{Operator, recorded},
};

/// A device that is logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its id.
    pub device_id: OwnedDeviceId,
    /// Its public name.
    pub display_name: Option<String>,
    /// When it first logged in, milliseconds.
    pub created_at: u64,
    /// When it last made a request, milliseconds, within five minutes.
    pub last_seen_at: Option<u64>,
    /// The address of that request.
    pub last_seen_ip: Option<String>,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// In order of their ids.
    pub devices: Vec<Device>,
}

/// The devices of an account.
///
/// # Errors
/// [`crate::Refusal::NotFound`], and `InvalidParam` for what is no user of this server.
pub async fn list(cx: &Context, user: &str) -> Result<Response> {
    let account = super::account(cx, user).await?;
    Ok(Response { devices: of_user(cx, &account.user_id).await? })
}

/// Logs a device out for good, with all that is its own.
///
/// # Errors
/// [`crate::Refusal::NotFound`], and `InvalidParam` for what is no user of this server.
pub async fn delete(cx: &Context, operator: &Operator, user: &str, device_id: OwnedDeviceId) -> Result<()> {
    let user_id = super::account(cx, user).await?.user_id;
    let unknown = || super::no_device(&user_id, &device_id);
    if cx.storage.device(&user_id, &device_id).await?.is_none() {
        return Err(unknown());
    }
    let target = format!("{user_id} {device_id}");
    recorded(cx, operator, ("device.delete", &target, ""), async {
        let these = DeviceSelection::These(vec![device_id.clone()]);
        if cx.storage.delete_devices(&user_id, these).await?.is_empty() { Err(unknown()) } else { Ok(()) }
    })
    .await
}

/// The devices of a user.
pub(super) async fn of_user(cx: &Context, user_id: &UserId) -> Result<Vec<Device>> {
    let devices = cx.storage.devices(user_id).await?.into_iter();
    Ok(devices
        .map(|device| Device {
            device_id: device.id.device_id,
            display_name: device.display_name,
            created_at: device.created_at,
            last_seen_at: device.last_seen_at,
            last_seen_ip: device.last_seen_ip,
        })
        .collect())
}
