//! `GET /_matrix/client/versions` (GEN-9).

use axum::extract::State;
use serde_json::{Map, Value, json};

use crate::{App, client::sliding_sync, extract::Json};

/// Versions of the specification whose client-server API works here.
const VERSIONS: [&str; 16] = [
    "v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11", "v1.12", "v1.13",
    "v1.14", "v1.15", "v1.16",
];

pub(super) async fn get(State(app): State<App>) -> Json<Value> {
    // Features beyond the specification that work here.
    let mut features = Map::new();
    if app.cx.config.sliding_sync {
        features.insert(sliding_sync::FEATURE.to_owned(), true.into());
    }
    Json(json!({"versions": VERSIONS, "unstable_features": features}))
}
