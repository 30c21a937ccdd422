//! `POST /_matrix/client/v3/user/{userId}/filter`, `GET /_matrix/client/v3/user/{userId}/filter/{filterId}`.

use axum::extract::State;
use olmstead_domain::json::RawJson;
use olmstead_service::filters;
use ruma::OwnedUserId;
use serde_json::{Value, json};

use crate::{
    App,
    auth::{AnyActive, Auth},
    error::ApiResult,
    extract::{Json, ObjectBody, Path},
};

pub(super) async fn post(
    State(app): State<App>,
    auth: Auth<AnyActive>,
    Path(user_id): Path<OwnedUserId>,
    body: ObjectBody,
) -> ApiResult<Json<Value>> {
    Ok(Json(json!({"filter_id": filters::create(&app.cx, &auth, &user_id, body.0).await?})))
}

pub(super) async fn get(
    State(app): State<App>,
    auth: Auth<AnyActive>,
    Path((user_id, filter_id)): Path<(OwnedUserId, String)>,
) -> ApiResult<Json<RawJson>> {
    Ok(Json(filters::get(&app.cx, &auth, &user_id, &filter_id).await?))
}
