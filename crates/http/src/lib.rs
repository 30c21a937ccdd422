//! The Matrix APIs over HTTP, as an axum router on top of the use cases.
//!
//! A request passes the layers of [`router`] from top to bottom, then one thin handler, named after its endpoint, which
//! calls one use case. Errors become a status and an errcode in [`error`], and nowhere else.

pub mod auth;
pub mod client;
pub mod error;
pub mod extract;
mod layers;
pub mod limits;
pub mod routes;
mod unread_body;

use std::sync::Arc;

use axum::Router;
use olmstead_service::Context;

/// Settings of the HTTP side.
#[derive(Debug, Clone, Copy)]
pub struct HttpConfig {
    /// Whether rate limits apply; off for tests.
    pub limits_enabled: bool,
}

/// What every handler works with. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The use cases' context.
    pub cx: Arc<Context>,
    /// Rate limits.
    pub limits: Arc<limits::Limits>,
}

/// The whole service, ready to be served or mounted.
pub fn router(cx: Arc<Context>, config: HttpConfig) -> Router {
    let app = App { cx, limits: Arc::new(limits::Limits::new(config.limits_enabled)) };
    let routes = Router::new()
        .route("/health", axum::routing::get(health))
        .merge(client::routes())
        .fallback(error::unknown_path)
        .method_not_allowed_fallback(error::unknown_method);
    layers::apply(routes, &app).with_state(app)
}

/// `GET /health`: 200 once the server serves and its store answers.
async fn health(axum::extract::State(app): axum::extract::State<App>) -> Result<&'static str, error::ApiError> {
    app.cx.storage.ping().await.map_err(olmstead_service::ServiceError::from)?;
    Ok("OK")
}
