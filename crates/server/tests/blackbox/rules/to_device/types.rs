//! All types of messages are alike to the server.

use serde_json::{Value, json};

use super::put;
use crate::harness::{Server, to_device, unique};

/// What clients send to each other, and what nobody sends yet.
const TYPES: [&str; 18] = [
    "m.room.encrypted",
    "m.room_key",
    "m.room_key_request",
    "m.room_key.withheld",
    "m.forwarded_room_key",
    "m.room_key_bundle",
    "m.dummy",
    "m.secret.request",
    "m.secret.send",
    "m.key.verification.request",
    "m.key.verification.ready",
    "m.key.verification.start",
    "m.key.verification.accept",
    "m.key.verification.mac",
    "m.key.verification.cancel",
    "org.matrix.msc3061.x",
    "type with / and % and \u{e4}",
    "m.room.message",
];

/// TD-14, TD-18: whatever its type, a message passes as it is. Nothing is dropped for being old, or for there being many of
/// its kind: no request for a key either.
#[tokio::test]
async fn every_type_passes_alike() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let content = json!({"action": "request_cancellation", "request_id": "1", "requesting_device_id": "X", "algorithm": 1,
        "ciphertext": {}, "body": {"type": "m.room_key_request"}, "timestamp": 0, "x": [null, "\u{0}"]});
    for kind in TYPES {
        put(&alice, kind, &unique(), json!({bob.user_id(): {"*": content}})).await.ok();
    }
    let mut expected: Vec<Value> = TYPES.iter().map(|kind| event(&alice, kind, &content)).collect();
    assert_eq!(to_device(&bob.sync(None).await), expected);
    // The same request for a key over and over, and its end: all of them come.
    for number in 0..30 {
        let action = if number % 2 == 0 { "request" } else { "request_cancellation" };
        let content = json!({"action": action, "request_id": "same", "requesting_device_id": alice.device_id()});
        put(&alice, "m.room_key_request", &unique(), json!({bob.user_id(): {"*": content}})).await.ok();
        expected.push(event(&alice, "m.room_key_request", &content));
    }
    assert_eq!(to_device(&bob.sync(None).await), expected);
}

fn event(sender: &crate::harness::Client, kind: &str, content: &Value) -> Value {
    json!({"sender": sender.user_id(), "type": kind, "content": content})
}
