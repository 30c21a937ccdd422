//! End-to-end encryption keys.

mod claim;
mod device_signing_upload;
mod query;
mod signatures_upload;
mod upload;

use axum::{Router, routing::post};

use crate::{App, routes::ClientRoutes as _};

/// `/keys/…`, also under the unstable names that clients used for long.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .v3_and_unstable("/keys/upload", post(upload::handler))
        .v3_and_unstable("/keys/query", post(query::handler))
        .v3_and_unstable("/keys/claim", post(claim::handler))
        .v3_and_unstable("/keys/device_signing/upload", post(device_signing_upload::handler))
        .v3_and_unstable("/keys/signatures/upload", post(signatures_upload::handler))
}
