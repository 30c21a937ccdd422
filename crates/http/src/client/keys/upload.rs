//! `POST /_matrix/client/v3/keys/upload`

use axum::extract::State;
use olmstead_service::keys::upload::{self, Request, Response};

use crate::{
    App,
    auth::{AnyActive, Auth},
    error::ApiResult,
    extract::{Json, JsonBody},
};

/// Stores keys of the caller's device, or with an empty body only counts them.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Auth<AnyActive>,
    JsonBody(request): JsonBody<Request>,
) -> ApiResult<Json<Response>> {
    Ok(Json(upload::upload(&app.cx, &auth.device, request).await?))
}
