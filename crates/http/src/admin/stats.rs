//! `GET /_olmstead/admin/v1/stats`

use axum::{Json, Router, extract::State, routing::get};
use olmstead_service::admin::stats;

use crate::{App, error::ApiResult};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/stats", get(handler))
}

/// How much there is of everything.
async fn handler(State(app): State<App>) -> ApiResult<Json<stats::Response>> {
    Ok(Json(stats::read(&app.cx).await?))
}
