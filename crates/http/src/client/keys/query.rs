//! `POST /_matrix/client/v3/keys/query`

use axum::extract::State;
use olmstead_service::keys::query::{self, Request, Response};

use crate::{
    App,
    auth::{AnyActive, Auth},
    error::ApiResult,
    extract::{Json, JsonBody},
};

/// Reads identity keys and cross-signing keys of users.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Auth<AnyActive>,
    JsonBody(request): JsonBody<Request>,
) -> ApiResult<Json<Response>> {
    Ok(Json(query::query(&app.cx, &auth.device.user_id, request).await?))
}
