//! What a client learns about the server before and besides everything else.

mod capabilities;
mod turn_server;
mod versions;
mod well_known;

use axum::{Router, routing::get};

use crate::{App, routes::ClientRoutes as _};

/// The endpoints that describe the server. `GET /auth_metadata` is not among them: without the OAuth API its answer is
/// that of an unknown path (AUTH-8).
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/_matrix/client/versions", get(versions::get))
        .route("/.well-known/matrix/client", get(well_known::get))
        .v3("/capabilities", get(capabilities::get))
        .v3("/voip/turnServer", get(turn_server::get))
}
