//! `GET /_matrix/client/v3/account/whoami`.

use serde_json::{Value, json};

use crate::{
    auth::{AnyActive, Auth},
    extract::Json,
};

pub(super) async fn get(auth: Auth<AnyActive>) -> Json<Value> {
    let device = &auth.session.device;
    Json(json!({"user_id": device.user_id, "device_id": device.device_id, "is_guest": auth.guest}))
}
