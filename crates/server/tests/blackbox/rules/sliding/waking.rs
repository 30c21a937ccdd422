//! A poll that waits is answered when there is something.

use std::time::Duration;

use serde_json::{Value, json};

use super::{all_rooms, begun, room_of};
use crate::harness::{Client, Server, Sliding, at, deadline, keys::DeviceKeys, within};

/// Longer than a test may take.
const LONG: Duration = Duration::from_secs(280);

/// Waits for an answer that something makes, and that `check` is content with.
async fn woken(what: &str, sync: &mut Sliding, by: impl Future<Output = ()>, check: impl Fn(&Value) -> bool) -> Value {
    let waiting = async {
        loop {
            let answer = sync.step(LONG).await;
            if check(&answer) {
                return answer;
            }
        }
    };
    within(what, deadline(), async { tokio::join!(waiting, by) }).await.0
}

fn all_extensions() -> Value {
    let on = || json!({"enabled": true});
    json!({"to_device": on(), "e2ee": on(), "account_data": on(), "receipts": on(), "typing": on()})
}

/// SSS-1, SSS-5: rooms, messages, device lists, key counts, account data, receipts and typing wake.
#[tokio::test]
async fn everything_wakes() {
    let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    let mut keys = DeviceKeys::new(&bob);
    keys.upload(&bob, 1, false).await;
    let mut body = all_rooms(5);
    body["extensions"] = all_extensions();
    let mut sync = begun(&bob, body).await;

    let mut event = String::new();
    let by = async { event = alice.send_text(&room, "hello").await };
    let hello = |sync: &Value| sync["rooms"][&room]["timeline"][0]["content"]["body"] == "hello";
    woken("a message", &mut sync, by, hello).await;

    let by = async { alice.send_to_device("io.example", json!({bob.user_id(): {"*": {}}})).await };
    let message = |sync: &Value| sync["extensions"]["to_device"]["events"][0]["type"] == "io.example";
    woken("a to-device message", &mut sync, by, message).await;

    let by = async {
        DeviceKeys::new(&alice).upload(&alice, 1, false).await;
    };
    let changed = |sync: &Value| sync["extensions"]["e2ee"]["device_lists"]["changed"] == json!([alice.user_id()]);
    woken("a device list", &mut sync, by, changed).await;

    let by = async {
        let body = json!({"one_time_keys": {bob.user_id(): {bob.device_id(): "signed_curve25519"}}});
        alice.post("/keys/claim", body).await.ok();
    };
    let count = |sync: &Value| sync["extensions"]["e2ee"]["device_one_time_keys_count"]["signed_curve25519"] == 0;
    woken("a count", &mut sync, by, count).await;

    let data = |sync: &Value| sync["extensions"]["account_data"]["global"][0]["content"]["n"] == 1;
    woken("account data", &mut sync, set_data(&bob, 1), data).await;

    let by = async {
        alice.post(at!("/rooms/{}/receipt/m.read/{}", room, event), json!({})).await.ok();
    };
    let receipt = |sync: &Value| sync["extensions"]["receipts"]["rooms"][&room].is_object();
    woken("a receipt", &mut sync, by, receipt).await;

    let by = async {
        let path = at!("/rooms/{}/typing/{}", room, alice.user_id());
        alice.put(path, json!({"typing": true, "timeout": 60_000})).await.ok();
    };
    let typing = |sync: &Value| sync["extensions"]["typing"]["rooms"][&room].is_object();
    woken("typing", &mut sync, by, typing).await;

    let by = async {
        carol.create_room(json!({"invite": [bob.user_id()]})).await;
    };
    let invitation = |sync: &Value| {
        let rooms = sync["rooms"].as_object().cloned().unwrap_or_default();
        rooms.values().any(|room| room["invite_state"].is_array())
    };
    woken("an invitation", &mut sync, by, invitation).await;
}

/// SSS-1: what is no news to the client does not end its poll: a room outside of its window, an extension it does not want.
/// Its news are told when somebody asks for them, and those that it waits for wake it.
#[tokio::test]
async fn what_is_not_wanted_does_not_wake() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let (a, b) = (room_of(&alice, &bob).await, room_of(&alice, &bob).await);
    let body = json!({"room_subscriptions": {&b: {"timeline_limit": 5}}});
    let mut both = all_rooms(5);
    both["room_subscriptions"] = body["room_subscriptions"].clone();
    let mut sync = begun(&bob, both.clone()).await;
    sync.body = body;
    let noise = async |number: usize| {
        alice.send_text(&a, &number.to_string()).await;
        alice.send_to_device("io.example", json!({bob.user_id(): {"*": {}}})).await;
        set_data(&bob, number).await;
    };
    let by = async {
        for number in 0..5 {
            noise(number).await;
        }
        alice.send_text(&b, "wanted").await;
    };
    // The first answer is the one.
    let came = woken("the message", &mut sync, by, |_| true).await;
    assert_eq!(came["rooms"].as_object().unwrap().len(), 1, "{came}");
    assert_eq!(came["rooms"][&b]["timeline"][0]["content"]["body"], "wanted");
    // A poll that ends by its time goes on from where it was.
    noise(5).await;
    assert_eq!(sync.step(Duration::from_millis(50)).await["rooms"], json!({}));
    sync.body = both;
    let came = sync.now().await;
    let bodies = super::bodies(&came, &a);
    assert_eq!(bodies, ["1", "2", "3", "4", "5"], "{came}");
}

async fn set_data(client: &Client, number: usize) {
    client.put(at!("/user/{}/account_data/org.example", client.user_id()), json!({ "n": number })).await.ok();
}

/// SSS-1: a device that is deleted while it waits is told so.
#[tokio::test]
async fn a_deleted_device_is_woken() {
    let alice = Server::shared().await.user("alice").await;
    let phone = alice.another_device().await;
    let sync = begun(&phone, all_rooms(1)).await;
    let poll = async { sync.ask(LONG).await.error(401, "M_UNKNOWN_TOKEN") };
    let by = async {
        alice
            .call(http::Method::DELETE, at!("/devices/{}", phone.device_id()))
            .json(json!({}))
            .with_password()
            .await
            .ok();
    };
    within("the answer", deadline(), async { tokio::join!(poll, by) }).await;
}
