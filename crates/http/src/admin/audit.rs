//! `GET /_olmstead/admin/v1/audit`

use axum::{Json, Router, extract::State, routing::get};
use olmstead_service::admin::audit;

use crate::{App, error::ApiResult, extract::Query};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/audit", get(handler))
}

/// The record of what operators did.
async fn handler(State(app): State<App>, Query(request): Query<audit::Request>) -> ApiResult<Json<audit::Response>> {
    Ok(Json(audit::read(&app.cx, &request).await?))
}
