//! The Matrix APIs over HTTP, as an axum router on top of the use cases.
//!
//! A request passes the layers of [`router`] from top to bottom, then one thin handler, named after its endpoint, which
//! calls one use case. Errors become a status and an errcode in [`error`], and nowhere else.

mod address;
pub mod admin;
pub mod auth;
pub mod client;
pub mod error;
pub mod extract;
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod layers;
pub mod limits;
mod observe;
pub mod routes;
mod unread_body;

use std::sync::Arc;

use axum::Router;
use olmstead_service::Context;

pub use self::address::{InvalidNetwork, Network};

/// Settings of the HTTP side.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Whether rate limits apply; off for tests.
    pub limits_enabled: bool,
    /// Proxies and load balancers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
}

/// What every handler works with. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The use cases' context.
    pub cx: Arc<Context>,
    /// Rate limits.
    pub limits: Arc<limits::Limits>,
    /// See [`HttpConfig::trusted_proxies`].
    pub trusted_proxies: Arc<[Network]>,
}

/// The whole service, ready to be served or mounted.
pub fn router(cx: Arc<Context>, config: HttpConfig) -> Router {
    let app = App {
        cx,
        limits: Arc::new(limits::Limits::new(config.limits_enabled)),
        trusted_proxies: config.trusted_proxies.into(),
    };
    let routes = Router::new()
        .route("/health", axum::routing::get(health::get))
        .merge(client::routes(&app.cx.config))
        .fallback(error::unknown_path)
        .method_not_allowed_fallback(error::unknown_method);
    layers::apply(routes, &app).with_state(app)
}
