//! Simplified sliding sync (MSC4186), in the form that clients use.

mod connections;
mod e2ee;
mod extensions;
mod lists;
mod outside;
mod random;
mod rooms;
mod to_device;
mod waking;

use serde_json::{Value, json};

use crate::harness::{Client, Sliding};

/// One list of all rooms, with this many timeline events each.
fn all_rooms(limit: u64) -> Value {
    list(json!([[0, 99]]), limit, json!([]))
}

/// One list named `all`.
fn list(ranges: Value, limit: u64, required_state: Value) -> Value {
    json!({"lists": {"all": {"ranges": ranges, "timeline_limit": limit, "required_state": required_state}}})
}

/// Extensions alone.
fn extensions(extensions: Value) -> Value {
    json!({ "extensions": extensions })
}

/// The bodies of messages in a room's timeline.
fn bodies(sync: &Value, room: &str) -> Vec<String> {
    let events = crate::harness::sliding_timeline(sync, room);
    events.iter().filter_map(|event| event["content"]["body"].as_str().map(str::to_owned)).collect()
}

/// Types and state keys of the required state of a room, sorted.
fn required(sync: &Value, room: &str) -> Vec<(String, String)> {
    let state = sync["rooms"][room]["required_state"].as_array().cloned().unwrap_or_default();
    let text = |event: &Value, member: &str| event[member].as_str().expect("a text").to_owned();
    let mut pairs: Vec<_> = state.iter().map(|event| (text(event, "type"), text(event, "state_key"))).collect();
    pairs.sort();
    pairs
}

/// A room of two in which nothing is encrypted.
async fn room_of(alice: &Client, bob: &Client) -> String {
    let room = alice.create_room(json!({"preset": "public_chat"})).await;
    bob.join(&room).await;
    room
}

/// A connection with its first answer taken.
async fn begun(client: &Client, body: Value) -> Sliding {
    let mut sync = client.sliding(body);
    sync.now().await;
    sync
}
