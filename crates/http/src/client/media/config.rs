//! `GET /_matrix/client/v1/media/config` and its older path.

use axum::extract::State;
use serde_json::{Value, json};

use crate::{
    App,
    auth::{AnyActive, Auth},
    extract::Json,
};

pub(super) async fn get(State(app): State<App>, _: Auth<AnyActive>) -> Json<Value> {
    Json(json!({"m.upload.size": app.cx.config.max_upload_size}))
}
