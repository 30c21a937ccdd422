//! How long a sync waits, and what ends the wait.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{
    Client, Server, Syncing, deadline, device_lists_changed, keys::DeviceKeys, timeline, to_device, within,
};

/// A device that was told everything, so that only news end a wait.
async fn caught_up(client: &Client) -> Syncing {
    let mut sync = client.syncing().filter(&json!({"presence": {"types": []}}));
    sync.now().await;
    sync.now().await;
    sync
}

/// SYNC-15: without a timeout, or with one of 0, the answer comes at once, with what there is; so does a first answer and
/// one with the full state, whatever the timeout.
#[tokio::test]
async fn who_does_not_wait_is_answered_at_once() {
    let alice = Server::shared().await.user("alice").await;
    alice.encrypted_room(&[]).await;
    let token = caught_up(&alice).await.token().to_owned();
    let long = deadline().as_millis() * 3;
    let sync = |since: bool| {
        let call = alice.get("/sync").query("filter", r#"{"presence":{"types":[]}}"#);
        if since { call.query("since", &token) } else { call }
    };
    let calls = [
        sync(true),
        sync(true).query("timeout", 0),
        sync(false).query("timeout", long),
        sync(true).query("timeout", long).query("full_state", true),
    ];
    for call in calls {
        let answer = within("an answer at once", deadline(), call.into_future()).await.ok();
        assert!(answer["next_batch"].is_string());
    }
    for bad in ["-1", "soon", "1.5", ""] {
        sync(true).query("timeout", bad).await.error(400, "M_INVALID_PARAM");
    }
}

/// SYNC-15: who waits in vain is answered when the time is over, not before, with a token to go on from.
#[tokio::test]
async fn who_waits_in_vain_is_answered_in_time() {
    let alice = Server::shared().await.user("alice").await;
    let mut sync = caught_up(&alice).await;
    for time in [1, 300, 1500] {
        let time = Duration::from_millis(time);
        let began = Instant::now();
        let answer = sync.step(time).await;
        assert!(began.elapsed() >= time, "answered after {:?}: {answer}", began.elapsed());
        assert!(answer.get("rooms").is_none() && to_device(&answer).is_empty(), "{answer}");
    }
}

/// SYNC-15: events, messages to the device, device lists and account data end a wait; what concerns others does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_end_a_wait() {
    let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
    let phone = alice.another_device().await;
    let room = alice.encrypted_room(&[&bob]).await;
    let mut sync = caught_up(&alice).await;
    for what in ["event", "message", "device list", "account data", "invitation", "one-time keys"] {
        let write = async {
            // Not for Alice's first device, so it does not end the wait.
            carol.send_to_device("io.example.other", json!({phone.user_id(): {phone.device_id(): {}}})).await;
            carol.create_room(json!({})).await;
            match what {
                "event" => {
                    bob.send_text(&room, "hello").await;
                }
                "message" => bob.send_to_device("io.example", json!({alice.user_id(): {alice.device_id(): {}}})).await,
                "device list" => {
                    bob.post("/keys/upload", json!({"device_keys": DeviceKeys::new(&bob).signed()})).await.ok();
                }
                "account data" => {
                    let path = crate::harness::at!("/user/{}/account_data/io.example", alice.user_id());
                    phone.put(path, json!({})).await.ok();
                }
                "invitation" => {
                    carol.create_room(json!({"invite": [alice.user_id()]})).await;
                }
                _ => {
                    let keys = DeviceKeys::new(&alice).one_time_keys(2);
                    alice.post("/keys/upload", json!({"one_time_keys": keys})).await.ok();
                }
            }
        };
        let is_it = |answer: &Value| match what {
            "event" => !timeline(answer, &room).is_empty(),
            "message" => !to_device(answer).is_empty(),
            "device list" => device_lists_changed(answer) == [bob.user_id()],
            "account data" => answer["account_data"]["events"].is_array(),
            "invitation" => answer["rooms"]["invite"].is_object(),
            _ => answer["device_one_time_keys_count"]["signed_curve25519"] == 2,
        };
        let both = async { tokio::join!(sync.step(deadline() * 2), write) };
        let (answer, ()) = within(what, deadline(), both).await;
        assert!(is_it(&answer), "{what} ended the wait, and nothing else: {answer}");
    }
}
