//! `POST /_matrix/client/v3/keys/signatures/upload`

use axum::extract::State;
use olmstead_service::keys::signatures::{self, Request, Response};

use crate::{
    App,
    auth::{Auth, SuspendedToo},
    error::ApiResult,
    extract::{Json, JsonBody},
};

/// Adds signatures to keys, and says of each that was not accepted why.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    JsonBody(request): JsonBody<Request>,
) -> ApiResult<Json<Response>> {
    Ok(Json(signatures::upload(&app.cx, &auth.device.user_id, request).await?))
}
