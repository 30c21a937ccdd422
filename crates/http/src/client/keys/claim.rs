//! `POST /_matrix/client/v3/keys/claim`

use axum::extract::State;
use olmstead_service::keys::claim::{self, Request, Response};

use crate::{
    App,
    auth::{AnyActive, Auth},
    error::ApiResult,
    extract::{Json, JsonBody},
};

/// Takes one-time keys of devices.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Auth<AnyActive>,
    JsonBody(request): JsonBody<Request>,
) -> ApiResult<Json<Response>> {
    Ok(Json(claim::claim(&app.cx, &auth.device.user_id, request).await?))
}
