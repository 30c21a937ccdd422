//! Each request is a span and a measurement, by its route's template and never by what is in it.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request, State},
    http::HeaderMap,
    middleware::Next,
    response::Response,
};
use olmstead_telemetry::trace;
use ruma::UserId;
use tracing::{Instrument as _, Span, field::Empty};

use crate::App;

/// The W3C header that says in which trace a request is.
const TRACEPARENT: &str = "traceparent";
/// For paths that no route has.
const NO_ROUTE: &str = "none";

/// The layer.
pub(crate) async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let telemetry = app.cx.telemetry.clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let method = request.method().clone();
    let measured = telemetry.meters().request(method.as_str(), route);
    let span = tracing::debug_span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = %method,
        http.route = route,
        http.response.status_code = Empty,
        olmstead.engine = app.cx.storage.engine(),
        enduser.pseudo.id = Empty,
    );
    if let Some(parent) = parent(request.headers()) {
        trace::continue_from(&span, parent);
    }
    let began = Instant::now();
    let answered = async {
        tracing::trace!("begun");
        let response = next.run(request).await;
        let (status, took) = (response.status().as_u16(), began.elapsed());
        tracing::debug!(status, milliseconds = took.as_secs_f64() * 1_000.0, "answered");
        response
    };
    let response = answered.instrument(span.clone()).await;
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    measured.answered(status.as_u16());
    response
}

fn parent(headers: &HeaderMap) -> Option<trace::SpanContext> {
    trace::parse(headers.get(TRACEPARENT)?.to_str().ok()?)
}

/// Notes in the span of the request who makes it.
pub(crate) fn by_user(app: &App, user_id: &UserId) {
    let span = Span::current();
    if !span.is_disabled() {
        span.record("enduser.pseudo.id", app.cx.telemetry.pseudonym(user_id));
    }
}
