//! `POST /_matrix/client/v3/keys/device_signing/upload`

use axum::extract::State;
use olmstead_domain::json::RawJson;
use olmstead_service::keys::device_signing;

use crate::{
    App,
    auth::{Auth, SuspendedToo},
    error::ApiResult,
    extract::{Empty, JsonBody},
};

/// Stores the caller's cross-signing keys.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    JsonBody(body): JsonBody<RawJson>,
) -> ApiResult<Empty> {
    device_signing::upload(&app.cx, &auth, &body).await?;
    Ok(Empty)
}
