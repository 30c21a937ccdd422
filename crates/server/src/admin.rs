//! The address for administration, which only an operator reaches.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use crate::telemetry::Providers;

/// What is served there: the metrics to anybody, and the admin API of a server to its operators.
pub fn router(providers: Arc<Providers>, api: Router) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(providers).fallback_service(api)
}

/// `GET /metrics`, in Prometheus' text format.
async fn metrics(State(providers): State<Arc<Providers>>) -> Response {
    match providers.prometheus() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}
