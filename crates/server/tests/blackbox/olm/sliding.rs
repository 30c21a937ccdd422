//! A device that follows sliding sync. What its machine and its rooms take in is what `/sync` would have said.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::harness::{Client, Sliding};

/// A connection with all that a crypto client needs.
pub(super) fn connection(client: &Client) -> Sliding {
    let on = || json!({"enabled": true});
    client.sliding(json!({
        "conn_id": "all",
        "lists": {"all": {"ranges": [[0, 99]], "timeline_limit": 20, "required_state": [["*", "*"]]}},
        "extensions": {"to_device": on(), "e2ee": on()},
    }))
}

/// One sync, in the shape of `/sync`.
pub(super) async fn sync(connection: &tokio::sync::Mutex<Sliding>, wait: Duration) -> Value {
    let mut connection = connection.lock().await;
    let answer = connection.step(wait).await;
    let mut rooms = Map::new();
    for (room, part) in answer["rooms"].as_object().into_iter().flatten() {
        if part["invite_state"].is_null() {
            let list = |name: &str| part[name].as_array().cloned().unwrap_or_default();
            let timeline = json!({"events": list("timeline"), "limited": part["limited"] == true,
                "prev_batch": part["prev_batch"]});
            rooms.insert(room.clone(), json!({"state": {"events": list("required_state")}, "timeline": timeline}));
        }
    }
    let mut sync = answer["extensions"]["e2ee"].clone();
    sync["next_batch"] = answer["pos"].clone();
    sync["rooms"] = json!({ "join": rooms });
    sync["to_device"] = json!({"events": answer["extensions"]["to_device"]["events"]});
    sync
}
