//! Filters by what relates to an event, by which clients list threads.

use serde_json::{Value, json};

use crate::harness::{Client, Server, at, timeline};

async fn relate(client: &Client, room: &str, rel_type: &str, to: &str) -> String {
    let relation = json!({"rel_type": rel_type, "event_id": to});
    let content = json!({"msgtype": "m.text", "body": "x", "m.relates_to": relation});
    client.send(room, "m.room.message", content).await
}

fn ids(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["event_id"].as_str()).collect()
}

async fn page(client: &Client, room: &str, filter: &Value) -> Vec<Value> {
    let call = client.get(at!("/rooms/{}/messages", room)).query("dir", "b").query("limit", 50).query("filter", filter);
    call.await.ok()["chunk"].as_array().cloned().expect("a chunk")
}

#[tokio::test]
async fn only_events_with_such_relations_pass() {
    let server = Server::shared().await;
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    let first = alice.send_text(&room, "first").await;
    let second = alice.send_text(&room, "second").await;
    let third = alice.send_text(&room, "third").await;
    relate(&alice, &room, "m.thread", &first).await;
    relate(&bob, &room, "m.thread", &second).await;
    relate(&bob, &room, "m.reference", &third).await;

    let threads = json!({"related_by_rel_types": ["m.thread"]});
    assert_eq!(ids(&page(&bob, &room, &threads).await), [&second, &first]);
    let several = json!({"related_by_rel_types": ["m.thread", "m.reference"]});
    assert_eq!(ids(&page(&bob, &room, &several).await), [&third, &second, &first]);
    let of_bob = json!({"related_by_senders": [bob.user_id()]});
    assert_eq!(ids(&page(&bob, &room, &of_bob).await), [&third, &second]);
    let threads_of_bob = json!({"related_by_senders": [bob.user_id()], "related_by_rel_types": ["m.thread"]});
    assert_eq!(ids(&page(&bob, &room, &threads_of_bob).await), [&second]);

    let sync = alice.syncing().filter(&json!({"room": {"timeline": threads}})).now().await;
    assert_eq!(ids(&timeline(&sync, &room)), [&first, &second]);
}

/// A redacted message is in no thread any more.
#[tokio::test]
async fn redacted_relations_do_not_count() {
    let server = Server::shared().await;
    let alice = server.user("alice").await;
    let room = alice.create_room(json!({})).await;
    let root = alice.send_text(&room, "root").await;
    let answer = relate(&alice, &room, "m.thread", &root).await;
    let threads = json!({"related_by_rel_types": ["m.thread"]});
    assert_eq!(ids(&page(&alice, &room, &threads).await), [&root]);
    alice.put(at!("/rooms/{}/redact/{}/1", room, answer), json!({})).await.ok();
    assert!(page(&alice, &room, &threads).await.is_empty());
}
