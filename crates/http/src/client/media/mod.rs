//! The content repository.

mod config;
mod create;
mod download;
pub(super) mod reply;
mod thumbnail;
mod upload;

use axum::{
    Router,
    routing::{get, post, put},
};

use crate::{App, routes::ClientRoutes as _};

/// The endpoints of media. The old paths without a token serve only media from before they were frozen (MED-4), and
/// `preview_url` is not there.
pub(super) fn routes() -> Router<App> {
    let mut routes = Router::new()
        .v1("/media/config", get(config::get))
        .v1("/media/download/{server}/{media_id}", get(download::get))
        .v1("/media/download/{server}/{media_id}/{file_name}", get(download::get_named))
        .v1("/media/thumbnail/{server}/{media_id}", get(thumbnail::get))
        .route("/_matrix/media/v1/create", post(create::post))
        .route("/_matrix/media/v3/upload/{server}/{media_id}", put(upload::put));
    for version in ["v3", "r0", "v1"] {
        let path = |rest: &str| format!("/_matrix/media/{version}/{rest}");
        routes = routes
            .route(&path("upload"), post(upload::post))
            .route(&path("config"), get(config::get))
            .route(&path("download/{server}/{media_id}"), get(download::get_frozen))
            .route(&path("download/{server}/{media_id}/{file_name}"), get(download::get_frozen_named))
            .route(&path("thumbnail/{server}/{media_id}"), get(thumbnail::get_frozen));
    }
    routes
}
