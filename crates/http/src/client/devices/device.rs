//! `GET /_matrix/client/v3/devices`; `GET`, `PUT` and `DELETE /_matrix/client/v3/devices/{deviceId}`.

use axum::extract::State;
use olmstead_service::devices;
use ruma::OwnedDeviceId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::describe;
use crate::{
    App,
    auth::{AnyActive, Auth, SuspendedToo},
    error::ApiResult,
    extract::{Empty, Json, JsonBody, ObjectBody, Path},
};

pub(super) async fn list(State(app): State<App>, auth: Auth<AnyActive>) -> ApiResult<Json<Value>> {
    let devices: Vec<Value> = devices::list(&app.cx, &auth).await?.iter().map(describe).collect();
    Ok(Json(json!({ "devices": devices })))
}

pub(super) async fn get(
    State(app): State<App>,
    auth: Auth<AnyActive>,
    Path(device_id): Path<OwnedDeviceId>,
) -> ApiResult<Json<Value>> {
    Ok(Json(describe(&devices::get(&app.cx, &auth, &device_id).await?)))
}

#[derive(Debug, Deserialize)]
pub(super) struct Name {
    display_name: Option<String>,
}

pub(super) async fn put(
    State(app): State<App>,
    auth: Auth<AnyActive>,
    Path(device_id): Path<OwnedDeviceId>,
    JsonBody(name): JsonBody<Name>,
) -> ApiResult<Empty> {
    devices::rename(&app.cx, &auth, &device_id, name.display_name).await?;
    Ok(Empty)
}

pub(super) async fn delete(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path(device_id): Path<OwnedDeviceId>,
    body: ObjectBody,
) -> ApiResult<Empty> {
    devices::delete(&app.cx, &auth, device_id, &body.0).await?;
    Ok(Empty)
}
