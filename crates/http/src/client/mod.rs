//! The client-server API: one file per endpoint or tight pair of endpoints.
//!
//! Each feature module has `routes()`; [`routes`] merges them.

mod dehydrated_device;
mod keys;
mod room_keys;
mod send_to_device;

use axum::Router;

use crate::App;

/// All client endpoints.
pub fn routes() -> Router<App> {
    Router::new()
        .merge(dehydrated_device::routes())
        .merge(keys::routes())
        .merge(room_keys::routes())
        .merge(send_to_device::routes())
}
