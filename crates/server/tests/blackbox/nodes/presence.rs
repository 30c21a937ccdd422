//! What ends by time, ends at whichever node somebody looks, and whichever nodes are still there.

use std::time::Duration;

use serde_json::{Value, json};

use super::support::Plan;
use crate::harness::{Client, Server, at, joined_room};

/// Users of one room.
async fn in_one_room<const N: usize>(node: &Server, names: [&str; N]) -> ([Client; N], String) {
    let users = node.users(names).await;
    let room = users[0].create_room(json!({"preset": "public_chat"})).await;
    for user in &users[1..] {
        user.join(&room).await;
    }
    (users, room)
}

/// Who is told to be typing.
fn typing(sync: &Value, room: &str) -> Option<Vec<String>> {
    let events = joined_room(sync, room)["ephemeral"]["events"].as_array()?.clone();
    let event = events.into_iter().find(|event| event["type"] == "m.typing")?;
    serde_json::from_value(event["content"]["user_ids"].clone()).ok()
}

/// The presence a sync tells of a user.
fn told(sync: &Value, user: &str) -> Option<String> {
    let events = sync["presence"]["events"].as_array()?;
    let event = events.iter().rfind(|event| event["sender"] == user)?;
    event["content"]["presence"].as_str().map(str::to_owned)
}

async fn presence(asker: &Client, user: &Client) -> String {
    let answer = asker.get(at!("/presence/{}/status", user.user_id())).await.ok();
    answer["presence"].as_str().expect("presence").to_owned()
}

/// The end of typing is told by a node that never told of its beginning, after that which did is gone.
#[tokio::test]
async fn typing_ends_when_the_node_that_told_of_it_is_gone() {
    let Some(nodes) = Plan::nodes(2).start().await else { return };
    let (a, b) = nodes.two();
    let ([alice, bob], room) = in_one_room(a, ["alice", "bob"]).await;
    let mut sync = bob.syncing();
    sync.now().await;
    let body = json!({"typing": true, "timeout": 30_000});
    alice.put(at!("/rooms/{}/typing/{}", room, alice.user_id()), body).await.ok();
    let typists = sync.until("typing", |sync| typing(sync, &room)).await;
    assert_eq!(typists, [alice.user_id()]);

    nodes.stop(0).await;
    let mut sync = bob.via(b).syncing().since(sync.token());
    nodes.clock().forward(Duration::from_secs(31));
    let typists = sync.until("the end of typing", |sync| typing(sync, &room)).await;
    assert!(typists.is_empty(), "{typists:?}");
}

/// Who goes on syncing at another node stays online, and who stopped at all nodes does not.
#[tokio::test]
async fn who_syncs_at_another_node_stays_online() {
    let Some(nodes) = Plan::nodes(2).start().await else { return };
    let (a, b) = nodes.two();
    let ([carol, alice, dave, erin], _) = in_one_room(a, ["carol", "alice", "dave", "erin"]).await;
    let mut watch = carol.syncing();
    watch.now().await;
    let mut offline = async |user: &Client| {
        let what = format!("{} is offline", user.user_id());
        watch.until(&what, |sync| told(sync, user.user_id()).filter(|state| state == "offline")).await
    };
    alice.sync(None).await;
    dave.sync(None).await;
    nodes.clock().forward(Duration::from_secs(15));
    erin.sync(None).await;
    nodes.clock().forward(Duration::from_secs(25));
    alice.via(b).sync(None).await;
    nodes.clock().forward(Duration::from_secs(30));
    offline(&dave).await;
    nodes.clock().forward(Duration::from_secs(10));
    // By now every node has looked for who was not seen for a minute, more than once.
    offline(&erin).await;
    assert_eq!(presence(&carol, &alice).await, "online");
    nodes.clock().forward(Duration::from_secs(30));
    offline(&alice).await;
}

/// A node that dies leaves nobody online.
#[tokio::test]
async fn users_of_a_node_that_is_gone_go_offline() {
    let Some(nodes) = Plan::nodes(2).start().await else { return };
    let (a, b) = nodes.two();
    let ([carol, alice], _) = in_one_room(a, ["carol", "alice"]).await;
    let mut watch = carol.via(b).syncing();
    watch.now().await;
    alice.sync(None).await;
    watch.until("Alice is online", |sync| told(sync, alice.user_id()).filter(|state| state == "online")).await;
    nodes.stop(0).await;
    nodes.clock().forward(Duration::from_secs(61));
    watch.until("Alice is offline", |sync| told(sync, alice.user_id()).filter(|state| state == "offline")).await;
}

/// What a user's client says at one node is not held back by what it said at another before.
#[tokio::test]
async fn the_latest_sync_decides_at_whichever_node() {
    let Some(nodes) = Plan::nodes(2).start().await else { return };
    let (a, b) = nodes.two();
    let ([carol, alice], _) = in_one_room(a, ["carol", "alice"]).await;
    let mut watch = carol.syncing();
    watch.now().await;
    for round in 0..3 {
        for (node, state) in [(a, "online"), (b, "unavailable")] {
            let what = format!("{state} in round {round}");
            let tell = async {
                loop {
                    alice.via(node).get("/sync").query("timeout", 0).query("set_presence", state).await.ok();
                    if presence(&carol, &alice).await == state {
                        return;
                    }
                }
            };
            crate::harness::within(&what, crate::harness::deadline(), tell).await;
        }
    }
}
