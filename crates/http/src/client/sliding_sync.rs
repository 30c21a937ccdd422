//! `POST /unstable/org.matrix.simplified_msc3575/sync` (MSC4186, SSS-1…8).

use axum::{
    Router,
    extract::State,
    http::{HeaderValue, header},
    response::IntoResponse,
    routing::post,
};
use olmstead_service::sliding_sync::sync;
use ruma::api::client::sync::sync_events::v5::Request;

use crate::{
    App,
    auth::{AnyActive, Auth},
    error::ApiResult,
    extract::Ruma,
    routes::ClientRoutes as _,
};

/// The flag in `/versions`.
pub(super) const FEATURE: &str = "org.matrix.simplified_msc3575";
/// The largest body, bytes. Beyond what any client sends by far, and it comes with each poll.
const LIMIT: usize = 1024 * 1024;

pub(super) fn routes() -> Router<App> {
    Router::new().unstable(&format!("/{FEATURE}/sync"), post(handler))
}

async fn handler(
    State(app): State<App>,
    auth: Auth<AnyActive>,
    Ruma(request): Ruma<Request, LIMIT>,
) -> ApiResult<impl IntoResponse> {
    let body = sync(&app.cx, &auth.device, request).await?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body))
}
