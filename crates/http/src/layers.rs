//! The layers every request passes, outermost first.

use std::time::Duration;

use axum::{
    Router,
    http::{HeaderName, Method, header},
    middleware,
};
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{Any, CorsLayer},
    trace::{DefaultOnFailure, DefaultOnRequest, DefaultOnResponse, MakeSpan, TraceLayer},
};
use tracing::{Level, Span};

use crate::{App, auth, error, limits, unread_body};

/// Wraps the routes. From the outside in: trace, unread bodies, CORS, panics, rate limits by address, authentication,
/// limits by user.
pub(crate) fn apply(routes: Router<App>, app: &App) -> Router<App> {
    routes.layer(
        ServiceBuilder::new()
            // One span a request, with the route's template and never its values.
            .layer(
                TraceLayer::new_for_http()
                    .make_span_with(RouteSpan)
                    .on_request(DefaultOnRequest::new().level(Level::TRACE))
                    .on_response(DefaultOnResponse::new().level(Level::DEBUG))
                    .on_failure(DefaultOnFailure::new().level(Level::DEBUG)),
            )
            // A refusal before the body is read must not cost the client its connection.
            .layer(middleware::map_request_with_state(app.clone(), unread_body::keep))
            // Answers every OPTIONS itself and puts CORS headers on all answers, errors too (GEN-8).
            .layer(cors())
            // A bug in one handler is one failed request.
            .layer(CatchPanicLayer::custom(error::broken))
            // Floods of the expensive endpoints stop here, before a token is looked up.
            .layer(middleware::from_fn_with_state(app.clone(), limits::by_address))
            // Who is it? Handlers say whether they need to know.
            .layer(middleware::from_fn_with_state(app.clone(), auth::authenticate))
            // And may they ask for this now?
            .layer(middleware::from_fn_with_state(app.clone(), limits::by_user)),
    )
}

fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::OPTIONS,
            Method::HEAD,
            Method::PATCH,
        ])
        .allow_headers([
            HeaderName::from_static("x-requested-with"),
            header::CONTENT_TYPE,
            header::AUTHORIZATION,
            header::DATE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
        ])
        .expose_headers([header::ETAG, header::LOCATION, header::CONTENT_TYPE, header::RETRY_AFTER])
        .max_age(Duration::from_secs(24 * 60 * 60))
}

/// Names a request by its route.
#[derive(Debug, Clone, Copy)]
struct RouteSpan;

impl<B> MakeSpan<B> for RouteSpan {
    fn make_span(&mut self, request: &axum::http::Request<B>) -> Span {
        let route = request.extensions().get::<axum::extract::MatchedPath>().map_or("", |path| path.as_str());
        tracing::debug_span!("request", method = %request.method(), route)
    }
}
