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
};

use crate::{App, auth, error, limits, observe, unread_body};

/// Wraps the routes. From the outside in: observation, unread bodies, CORS, panics, rate limits by address, authentication,
/// limits by user.
pub(crate) fn apply(routes: Router<App>, app: &App) -> Router<App> {
    routes.layer(
        ServiceBuilder::new()
            // One span and one measurement a request.
            .layer(middleware::from_fn_with_state(app.clone(), observe::observe))
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
