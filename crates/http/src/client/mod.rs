//! The client-server API: one file per endpoint or tight pair of endpoints.
//!
//! Each feature module has `routes()`; [`routes`] merges them.

use axum::Router;

use crate::App;

/// All client endpoints.
pub fn routes() -> Router<App> {
    Router::new()
}
