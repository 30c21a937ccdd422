//! `POST /_matrix/client/v3/delete_devices`.

use axum::extract::State;
use olmstead_service::devices;
use ruma::OwnedDeviceId;
use serde::Deserialize;

use crate::{
    App,
    auth::{Auth, SuspendedToo},
    error::ApiResult,
    extract::{Empty, ObjectBody},
};

#[derive(Debug, Deserialize)]
struct Wish {
    devices: Vec<OwnedDeviceId>,
}

pub(super) async fn post(State(app): State<App>, auth: Auth<SuspendedToo>, body: ObjectBody) -> ApiResult<Empty> {
    let wish: Wish = body.read()?;
    devices::delete_many(&app.cx, &auth, wish.devices, &body.0).await?;
    Ok(Empty)
}
