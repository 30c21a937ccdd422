//! `GET /_matrix/client/versions` (GEN-9).

use serde_json::{Map, Value, json};

use crate::extract::Json;

/// Versions of the specification whose client-server API works here.
const VERSIONS: [&str; 16] = [
    "v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11", "v1.12", "v1.13",
    "v1.14", "v1.15", "v1.16",
];
/// Features beyond the specification that work here.
const UNSTABLE_FEATURES: [&str; 0] = [];

pub(super) async fn get() -> Json<Value> {
    let features: Map<String, Value> =
        UNSTABLE_FEATURES.iter().map(|name| ((*name).to_string(), true.into())).collect();
    Json(json!({"versions": VERSIONS, "unstable_features": features}))
}
