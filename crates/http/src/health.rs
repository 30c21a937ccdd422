//! `GET /health`, by which a load balancer tells whether to send requests here.

use std::time::Duration;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};

use crate::{App, error};

/// How long the store may take to answer. Load balancers give a check little more.
const WITHIN: Duration = Duration::from_secs(2);

/// 200 once the server serves and its store answers, until it is about to stop; else 503.
pub(crate) async fn get(State(app): State<App>) -> Response {
    if app.cx.is_leaving() {
        return error::unavailable("The server is about to stop.");
    }
    match tokio::time::timeout(WITHIN, app.cx.storage.ping()).await {
        Ok(Ok(())) => (StatusCode::OK, "OK").into_response(),
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the store does not answer");
            error::unavailable("The store does not answer.")
        }
        Err(_) => {
            tracing::warn!(within = ?WITHIN, "the store does not answer in time");
            error::unavailable("The store does not answer.")
        }
    }
}
