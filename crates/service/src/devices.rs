//! A user's devices (DEV-1 to DEV-6).

use olmstead_domain::json::RawJson;
use olmstead_storage::devices::{Device, DeviceSelection, Session};
use ruma::{DeviceId, OwnedDeviceId};

use crate::{
    Context, Result, ServiceError,
    accounts::tokens,
    uia::{self, PASSWORD},
};

/// The caller's devices (DEV-1).
///
/// # Errors
/// Only the store's.
pub async fn list(cx: &Context, session: &Session) -> Result<Vec<Device>> {
    Ok(cx.storage.devices(&session.device.user_id).await?)
}

/// One device of the caller.
///
/// # Errors
/// [`crate::Refusal::NotFound`] (DEV-2).
pub async fn get(cx: &Context, session: &Session, device_id: &DeviceId) -> Result<Device> {
    cx.storage.device(&session.device.user_id, device_id).await?.ok_or_else(unknown)
}

/// Sets a device's public name; `None` leaves it (DEV-3).
///
/// # Errors
/// [`crate::Refusal::NotFound`], and `InvalidParam` for a name over its limit.
pub async fn rename(cx: &Context, session: &Session, device_id: &DeviceId, name: Option<String>) -> Result<()> {
    tokens::check_device_name(name.as_deref())?;
    let user_id = &session.device.user_id;
    let known = match name {
        Some(name) => cx.storage.set_device_name(user_id, device_id, Some(name)).await?,
        None => cx.storage.device(user_id, device_id).await?.is_some(),
    };
    if known { Ok(()) } else { Err(unknown()) }
}

/// Deletes one device; that it is gone already is success (DEV-5).
///
/// # Errors
/// The 401 of user-interactive authentication.
pub async fn delete(cx: &Context, session: &Session, device_id: OwnedDeviceId, body: &RawJson) -> Result<()> {
    uia::authorise(cx, session, &format!("DELETE /devices/{device_id}"), body, PASSWORD).await?;
    remove(cx, session, vec![device_id]).await
}

/// Deletes several devices (DEV-6).
///
/// # Errors
/// The 401 of user-interactive authentication.
pub async fn delete_many(cx: &Context, session: &Session, devices: Vec<OwnedDeviceId>, body: &RawJson) -> Result<()> {
    uia::authorise(cx, session, "POST /delete_devices", body, PASSWORD).await?;
    remove(cx, session, devices).await
}

async fn remove(cx: &Context, session: &Session, devices: Vec<OwnedDeviceId>) -> Result<()> {
    cx.storage.delete_devices(&session.device.user_id, DeviceSelection::These(devices)).await?;
    Ok(())
}

fn unknown() -> ServiceError {
    ServiceError::not_found("There is no such device.")
}
