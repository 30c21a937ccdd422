//! The caller's devices.

mod delete_devices;
mod device;

use axum::{
    Router,
    routing::{get, post},
};
use olmstead_storage::devices::Device;
use serde_json::{Map, Value};

use crate::{App, routes::ClientRoutes as _};

/// The endpoints of devices.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .v3("/devices", get(device::list))
        .v3("/devices/{device_id}", get(device::get).put(device::put).delete(device::delete))
        .v3("/delete_devices", post(delete_devices::post))
}

/// A device as its owner sees it (DEV-1). What is not known is `null`, since some clients refuse a device without it.
fn describe(device: &Device) -> Value {
    let mut members = Map::new();
    members.insert("device_id".to_owned(), device.id.device_id.as_str().into());
    members.insert("display_name".to_owned(), device.display_name.clone().into());
    members.insert("last_seen_ip".to_owned(), device.last_seen_ip.clone().into());
    members.insert("last_seen_ts".to_owned(), device.last_seen_at.into());
    Value::Object(members)
}
