//! A connection of sliding sync is no node's own.

use std::time::Duration;

use serde_json::{Value, json};

use super::support::Plan;
use crate::harness::{Client, SLIDING_SYNC, Server, keys::DeviceKeys, sliding_timeline, sliding_to_device};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn room_of(alice: &Client, bob: &Client) -> String {
    let room = alice.encrypted_room(&[bob]).await;
    alice.send_text(&room, "hello").await;
    room
}

fn body() -> Value {
    json!({
        "lists": {"all": {"ranges": [[0, 1]], "timeline_limit": 10, "required_state": [["m.room.topic", ""]]}},
        "extensions": {"to_device": {"enabled": true}, "e2ee": {"enabled": true}},
    })
}

/// SSS-1, SSS-3, SSS-5, SSS-7: each request of a connection goes to another node, which goes on where the last one was; what is
/// told is what the answers before did not tell, and a lost answer is given again by another node.
#[tokio::test]
async fn a_connection_goes_on_at_any_node() {
    let Some(nodes) = Plan::deaf(3).start().await else { return };
    let [alice, bob] = nodes.all()[0].users(["alice", "bob"]).await;
    let mut rooms = vec![room_of(&alice, &bob).await];
    let mut sync = bob.sliding(body());
    sync.now().await;
    for round in 0..9 {
        let at = |number: usize| -> &Server { &nodes.all()[(round + number) % 3] };
        let alice = alice.via(at(0));
        let text = format!("message {round}");
        if round % 3 == 1 {
            rooms.push(room_of(&alice, &bob.via(at(1))).await);
        }
        let room = rooms.last().unwrap();
        alice.send_text(room, &text).await;
        alice.send_state(room, "m.room.topic", "", json!({"topic": text})).await;
        alice.send_to_device("org.example", json!({bob.user_id(): {"*": {"round": round}}})).await;
        let device = alice.another_device().await;
        DeviceKeys::new(&device).upload(&device, 0, false).await;

        let lost = sync.via(at(1)).peek().await;
        sync = sync.via(at(2));
        let came = sync.now().await;
        for sync in [&lost, &came] {
            let last = sliding_timeline(sync, room);
            assert!(last.iter().any(|event| event["content"]["body"] == text.as_str()), "{sync}");
            assert_eq!(sync["rooms"][room]["initial"] == true, round % 3 == 1, "{sync}");
            assert_eq!(sync["rooms"].as_object().unwrap().len(), 1, "{sync}");
            assert_eq!(sync["rooms"][room]["required_state"][0]["content"]["topic"], text.as_str());
            assert_eq!(sliding_to_device(sync)[0]["content"]["round"], round);
            assert_eq!(sliding_to_device(sync).len(), 1, "{sync}");
            assert_eq!(sync["extensions"]["e2ee"]["device_lists"]["changed"], json!([alice.user_id()]));
        }
        let quiet = sync.via(at(0)).peek().await;
        assert_eq!((&quiet["rooms"], sliding_to_device(&quiet).len()), (&json!({}), 0), "{quiet}");
    }
}

/// SSS-2: a connection that nobody uses is forgotten after a month; one that is used is not.
#[tokio::test]
async fn an_unused_connection_is_forgotten() {
    let Some(nodes) = Plan::nodes(2).start().await else { return };
    let (a, b) = nodes.two();
    let [alice, bob] = a.users(["alice", "bob"]).await;
    room_of(&alice, &bob).await;
    let mut used = bob.sliding(body());
    used.now().await;
    let unused = {
        let mut body = body();
        body["conn_id"] = json!("unused");
        let mut sync = bob.sliding(body);
        sync.now().await;
        sync
    };
    for days in [16, 10, 10, 20] {
        nodes.clock().forward(DAY * days);
        assert_eq!(used.via(b).now().await["rooms"], json!({}));
        used.now().await;
    }
    unused.ask(Duration::ZERO).await.error(400, "M_UNKNOWN_POS");
    nodes.clock().forward(DAY * 31);
    used.ask(Duration::ZERO).await.error(400, "M_UNKNOWN_POS");
}

/// SSS-1: turned off, the path is unknown and the flag is not there.
#[tokio::test]
async fn sliding_sync_can_be_turned_off() {
    let Some(nodes) = Plan::nodes(1).without_sliding_sync().start().await else { return };
    let server = &nodes.all()[0];
    let alice = server.user("alice").await;
    alice.post(SLIDING_SYNC, json!({})).await.error(404, "M_UNRECOGNIZED");
    alice.get(SLIDING_SYNC).await.error(404, "M_UNRECOGNIZED");
    let features = server.versions().await["unstable_features"].clone();
    assert!(features.get("org.matrix.simplified_msc3575").is_none(), "{features}");
}
