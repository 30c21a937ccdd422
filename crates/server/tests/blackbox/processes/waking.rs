//! Long polls that wait on one node for what is sent through another.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Client, Server, at, deadline, setting, timeline, to_device, within};

/// Lets `from` send to-device messages, one at a time, to a device that waits; how long each took to arrive.
async fn knock(from: &Client, to: &Client) -> Vec<Duration> {
    let mut sync = to.syncing();
    sync.now().await;
    let mut times = Vec::new();
    for n in 0..setting("BLACKBOX_KNOCKS", 50) {
        let waiting = async {
            loop {
                // The poll's own end comes after the deadline of the test: it must be woken.
                let events = to_device(&sync.step(deadline() * 2).await);
                if !events.is_empty() {
                    return (events, Instant::now());
                }
            }
        };
        let sending = async {
            let began = Instant::now();
            from.send_to_device("io.example.knock", json!({to.user_id(): {to.device_id(): {"n": n}}})).await;
            began
        };
        let both = async { tokio::join!(waiting, sending) };
        let ((events, came), began) = within("waking a long poll", deadline(), both).await;
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0]["content"]["n"], n);
        times.push(came - began);
    }
    times.sort_unstable();
    times
}

/// A message to a device is sent through one node and received from another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_poll_is_woken_by_what_another_node_was_sent() {
    let Some(server) = Server::nodes(2).await else { return };
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let (here, there) = (server.node(0), server.node(1));
    for (what, other) in [("the same node", &here), ("another node", &there)] {
        let times = knock(&alice.via(&here), &bob.via(other)).await;
        let part_of = |part: f64| times[((times.len() - 1) as f64 * part).round() as usize];
        println!("from send to long poll on {what}: p50 {:.1?}, p99 {:.1?}", part_of(0.5), part_of(0.99));
    }
}

/// So are typing, receipts and messages, which take other ways through the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_and_shown_on_one_node_is_seen_on_another() {
    let Some(server) = Server::nodes(2).await else { return };
    let (here, there) = (server.node(0), server.node(1));
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let (alice, bob) = (alice.via(&here), bob.via(&there));
    let room = alice.encrypted_room(&[&bob]).await;
    let mut sync = bob.syncing();
    sync.now().await;
    let ephemeral = |kind: &'static str, room: String| {
        move |sync: &serde_json::Value| {
            let events = sync["rooms"]["join"][&room]["ephemeral"]["events"].as_array().cloned().unwrap_or_default();
            events.into_iter().find(|event| event["type"] == kind)
        }
    };
    let path = at!("/rooms/{}/typing/{}", room, alice.user_id());
    alice.put(path, json!({"typing": true, "timeout": 30_000})).await.ok();
    let typing = sync.until("typing", ephemeral("m.typing", room.clone())).await;
    assert_eq!(typing["content"]["user_ids"], json!([alice.user_id()]));
    let event = alice.send_text(&room, "hello").await;
    let hello =
        |sync: &serde_json::Value| timeline(sync, &room).into_iter().find(|other| other["event_id"] == event.as_str());
    sync.until("the message", hello).await;
    alice.post(at!("/rooms/{}/receipt/m.read/{}", room, event), json!({})).await.ok();
    let receipt = sync.until("the receipt", ephemeral("m.receipt", room.clone())).await;
    assert!(receipt["content"][&event]["m.read"][alice.user_id()].is_object(), "{receipt}");
    // A token works everywhere, until it works nowhere.
    alice.logout().await;
    alice.via(&there).get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
}
