//! Nodes come and go without a loss.

use std::time::Duration;

use serde_json::json;

use super::support::Plan;
use crate::harness::{Server, at, deadline, to_device, unique, within};

/// Asks for a node's health until it has this status.
async fn until_health(node: &Server, status: u16) {
    let asking = async {
        let mut again = tokio::time::interval(Duration::from_millis(10));
        while node.anonymous().get("/health").await.status != status {
            again.tick().await;
        }
    };
    within(&format!("health is {status}"), deadline(), asking).await;
}

/// A node that is to stop says so first, and serves on for the time a load balancer takes to notice: long-polls too.
#[tokio::test]
async fn a_node_that_drains_fails_its_health_and_serves_on() {
    let Some(nodes) = Plan::nodes(2).draining_for(Duration::from_secs(5)).start().await else { return };
    let (a, b) = nodes.two();
    let [alice, bob] = a.users(["alice", "bob"]).await;
    let mut sync = alice.syncing();
    sync.now().await;
    until_health(a, 200).await;
    let wait = sync.until_to_device("org.example");
    let meanwhile = async {
        drop(nodes.stop(0));
        until_health(a, 503).await;
        alice.get("/account/whoami").await.ok();
        let body = json!({"errcode": "M_UNKNOWN", "error": "The server is about to stop."});
        assert_eq!(a.anonymous().get("/health").await.json(), body);
        until_health(b, 200).await;
        bob.via(b).send_to_device("org.example", json!({ alice.user_id(): { "*": {} } })).await;
    };
    tokio::join!(wait, meanwhile);
}

/// A long-poll at a node that stops is answered at once, with a token to go on with at another node.
#[tokio::test]
async fn a_node_that_stops_answers_its_long_polls() {
    let Some(nodes) = Plan::nodes(2).start().await else { return };
    let (a, b) = nodes.two();
    let [alice, bob] = a.users(["alice", "bob"]).await;
    let room = alice.create_room(json!({"preset": "public_chat"})).await;
    bob.join(&room).await;
    let quiet = json!({"presence": {"not_types": ["*"]}});
    let mut sync = alice.syncing().filter(&quiet);
    sync.now().await;
    // Longer than a test may take.
    let poll = alice.get("/sync").query("since", sync.token()).query("filter", &quiet).query("timeout", 290_000);
    let poll = async { poll.query("set_presence", "unavailable").await.ok() };
    let stop = async {
        // What the request does before it waits tells that it has come.
        let path = at!("/presence/{}/status", alice.user_id());
        while bob.get(&path).await.ok()["presence"] != "unavailable" {}
        nodes.stop(0).await;
    };
    let (answer, ()) = within("the answer", deadline(), async { tokio::join!(poll, stop) }).await;
    assert!(to_device(&answer).is_empty() && answer["rooms"].is_null(), "{answer}");
    let mut sync = alice.via(b).syncing().since(answer["next_batch"].as_str().expect("next_batch"));
    let bob = bob.via(b);
    let send = bob.send_to_device("org.example", json!({ alice.user_id(): { "*": {} } }));
    tokio::join!(sync.until_to_device("org.example"), send);
}

/// While the store does not answer, health says so to load balancers, and clients are told what they try again on.
#[tokio::test]
async fn without_its_store_a_node_answers_503() {
    let Some(nodes) = Plan::nodes(2).start().await else { return };
    let alice = nodes.all()[0].user("alice").await;
    let room = alice.create_room(json!({})).await;
    nodes.close_stores().await;
    for node in nodes.all() {
        let refused = node.anonymous().get("/health").await;
        refused.error(503, "M_UNKNOWN");
        let path = at!("/rooms/{}/send/m.room.message/{}", room, unique());
        let refused = alice.via(node).put(path, json!({"body": "hello"})).await;
        refused.error(503, "M_UNKNOWN");
        assert_eq!(refused.header("retry-after"), "1");
    }
}
