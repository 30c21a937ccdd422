//! The admin API: for operators, at an address of its own. One file per feature; its OpenAPI description is
//! `deploy/openapi/admin.json`.

mod audit;
mod e2ee;
mod operator;
mod registration_tokens;
mod rooms;
mod stats;
mod users;

use std::sync::Arc;

use axum::{Router, middleware};
use olmstead_service::Context;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

pub use self::operator::OperatorToken;
use crate::{App, error, limits::Limits, observe};

/// What all paths begin with.
pub const PREFIX: &str = "/_olmstead/admin/v1";

/// All routes, without [`PREFIX`].
pub fn routes() -> Router<App> {
    Router::new()
        .merge(audit::routes())
        .merge(e2ee::routes())
        .merge(registration_tokens::routes())
        .merge(rooms::routes())
        .merge(stats::routes())
        .merge(users::routes())
}

/// The API for these operators. Without any of them nobody gets in.
pub fn router(cx: Arc<Context>, operators: &[OperatorToken]) -> Router {
    cx.statistics.want();
    let app = App { cx, limits: Arc::new(Limits::new(false)), trusted_proxies: Arc::default() };
    let operators = operator::Operators::new(operators);
    Router::new()
        .nest(PREFIX, routes())
        .fallback(error::unknown_path)
        .method_not_allowed_fallback(error::unknown_method)
        .layer(
            ServiceBuilder::new()
                .layer(middleware::from_fn_with_state(app.clone(), observe::observe))
                .layer(CatchPanicLayer::custom(error::broken))
                // Nobody else learns even which paths there are.
                .layer(middleware::from_fn_with_state(operators, operator::let_in)),
        )
        .with_state(app)
}
