//! `GET /keys/changes` (DL-15…20).

use axum::{Router, extract::State, routing::get};
use olmstead_service::{
    Refusal,
    device_lists::{KeyChanges, changes},
};
use serde::Deserialize;

use crate::{
    App,
    auth::{Auth, SuspendedToo},
    error::{ApiError, ApiResult},
    extract::{Json, Query},
    routes::ClientRoutes as _,
};

pub(super) fn routes() -> Router<App> {
    Router::new().v3_and_unstable("/keys/changes", get(handler))
}

#[derive(Debug, Deserialize)]
struct Parameters {
    from: Option<String>,
    to: Option<String>,
}

async fn handler(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Query(parameters): Query<Parameters>,
) -> ApiResult<Json<KeyChanges>> {
    let from = needed("from", parameters.from)?;
    let to = needed("to", parameters.to)?;
    Ok(Json(changes(&app.cx, &auth.device, &from, &to).await?))
}

fn needed(name: &str, value: Option<String>) -> Result<String, ApiError> {
    value.ok_or_else(|| ApiError::refused(Refusal::MissingParam, format!("`{name}` is needed.")))
}
