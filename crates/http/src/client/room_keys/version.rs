//! `/_matrix/client/v3/room_keys/version` and `/_matrix/client/v3/room_keys/version/{version}`

use axum::extract::State;
use olmstead_domain::json::RawJson;
use olmstead_service::backups::{self, Created, Described};

use crate::{
    App,
    auth::{Auth, SuspendedToo},
    error::ApiResult,
    extract::{Empty, Json, JsonBody, Path},
};

/// `POST /room_keys/version`
pub(super) async fn create(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    JsonBody(body): JsonBody<RawJson>,
) -> ApiResult<Json<Created>> {
    Ok(Json(backups::create(&app.cx, &auth.device.user_id, &body).await?))
}

/// `GET /room_keys/version`
pub(super) async fn latest(State(app): State<App>, auth: Auth<SuspendedToo>) -> ApiResult<Json<Described>> {
    Ok(Json(backups::describe(&app.cx, &auth.device.user_id, None).await?))
}

/// `GET /room_keys/version/{version}`
pub(super) async fn describe(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path(version): Path<String>,
) -> ApiResult<Json<Described>> {
    Ok(Json(backups::describe(&app.cx, &auth.device.user_id, Some(&version)).await?))
}

/// `PUT /room_keys/version/{version}`
pub(super) async fn update(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path(version): Path<String>,
    JsonBody(body): JsonBody<RawJson>,
) -> ApiResult<Empty> {
    backups::update(&app.cx, &auth.device.user_id, &version, &body).await?;
    Ok(Empty)
}

/// `DELETE /room_keys/version/{version}`
pub(super) async fn delete(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path(version): Path<String>,
) -> ApiResult<Empty> {
    backups::delete(&app.cx, &auth.device.user_id, &version).await?;
    Ok(Empty)
}
