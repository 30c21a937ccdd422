//! The client-server API: one file per endpoint or tight pair of endpoints.
//!
//! Each feature module has `routes()`; [`routes`] merges them.

mod account_data;
mod accounts;
mod dehydrated_device;
mod devices;
mod keys;
mod keys_changes;
mod media;
mod presence;
mod profile;
mod push_rules;
mod room_keys;
mod rooms;
mod send_to_device;
mod server;
mod sliding_sync;
mod sync;
mod user_directory;

use axum::{Router, http::Uri, response::Response};
use bytes::Bytes;
use olmstead_service::ServiceConfig;

use crate::App;

/// Reads a query as `/sync` does, for fuzzers.
pub(crate) fn fuzz_query(uri: &Uri) {
    sync::fuzz_query(uri);
}

/// The answer that carries content, for fuzzers.
pub(crate) fn fuzz_media(content: Bytes, content_type: &str, file_name: Option<String>) -> Response {
    media::reply::content(content, Some(content_type), file_name)
}

/// All client endpoints, those left out that the settings turn off.
pub fn routes(config: &ServiceConfig) -> Router<App> {
    let sliding_sync = if config.sliding_sync { sliding_sync::routes() } else { Router::new() };
    Router::new()
        .merge(account_data::routes())
        .merge(accounts::routes())
        .merge(dehydrated_device::routes())
        .merge(devices::routes())
        .merge(keys::routes())
        .merge(keys_changes::routes())
        .merge(media::routes())
        .merge(presence::routes())
        .merge(profile::routes())
        .merge(push_rules::routes())
        .merge(room_keys::routes())
        .merge(rooms::routes())
        .merge(send_to_device::routes())
        .merge(server::routes())
        .merge(sliding_sync)
        .merge(sync::routes())
        .merge(user_directory::routes())
}
