//! Transaction ids.

use serde_json::{Value, json};

use crate::harness::{Client, Server, at, timeline, to_device};

fn text(body: &str) -> Value {
    json!({"msgtype": "m.text", "body": body})
}

async fn send(by: &Client, room: &str, kind: &str, body: &str) -> Value {
    by.put(at!("/rooms/{}/send/{}/same", room, kind), text(body)).await.ok()["event_id"].clone()
}

/// GEN-19: a repeat is answered as the first time and does nothing; another device, path or room is another transaction.
#[tokio::test]
async fn a_transaction_is_of_one_device_and_one_path() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let phone = alice.another_device().await;
    let (room, other) =
        (alice.create_room(json!({"invite": [bob.user_id()]})).await, alice.create_room(json!({})).await);
    bob.join(&room).await;
    let mut sync = bob.syncing();
    sync.now().await;

    let first = send(&alice, &room, "m.room.message", "first").await;
    assert_eq!(send(&alice, &room, "m.room.message", "first").await, first);
    assert_eq!(send(&alice, &room, "m.room.message", "something else").await, first, "the path is the same");
    let again = alice.put(at!("/_matrix/client/r0/rooms/{}/send/m.room.message/same", room), text("r0")).await.ok();
    assert_eq!(again["event_id"], first, "the old name of the path is the same endpoint");
    let others = [
        send(&phone, &room, "m.room.message", "another device").await,
        send(&alice, &room, "org.example", "another type").await,
        send(&alice, &other, "m.room.message", "another room").await,
    ];
    assert!(!others.contains(&first), "{others:?}");
    let redact = at!("/rooms/{}/redact/{}/same", room, first.as_str().unwrap());
    let redaction = alice.put(&redact, json!({})).await.ok();
    assert_eq!(alice.put(&redact, json!({"reason": "again"})).await.ok(), redaction);
    for device in [&alice, &alice, &phone] {
        let messages = json!({"messages": {bob.user_id(): {"*": {"by": device.device_id()}}}});
        device.put("/sendToDevice/org.example/same", messages).await.ok();
    }

    let sync = sync.now().await;
    let events: Vec<_> = timeline(&sync, &room).iter().map(|event| event["event_id"].clone()).collect();
    assert_eq!(events, [&first, &others[0], &others[1], &redaction["event_id"]].map(Clone::clone));
    assert_eq!(to_device(&sync).len(), 2, "one of each device");
}

/// GEN-20: a refresh of the tokens does not begin a new life, a new login does.
#[tokio::test]
async fn transactions_outlive_tokens_and_not_devices() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.create_room(json!({})).await;
    let login = json!({"type": "m.login.password", "identifier": {"type": "m.id.user", "user": alice.user_id()},
        "password": alice.password(), "device_id": "PHONE", "refresh_token": true});
    let tokens = alice.post("/login", login.clone()).token(None).await.ok();
    let phone = alice.with_token(tokens["access_token"].as_str().unwrap());
    let messages = json!({"messages": {bob.user_id(): {"*": {}}}});
    let first = send(&phone, &room, "m.room.message", "first").await;
    phone.put("/sendToDevice/org.example/same", messages.clone()).await.ok();

    let tokens = alice.post("/refresh", json!({"refresh_token": tokens["refresh_token"]})).token(None).await.ok();
    let phone = alice.with_token(tokens["access_token"].as_str().unwrap());
    assert_eq!(send(&phone, &room, "m.room.message", "first").await, first);
    phone.put("/sendToDevice/org.example/same", messages.clone()).await.ok();
    assert_eq!(to_device(&bob.sync(None).await).len(), 1);

    phone.logout().await;
    let tokens = alice.post("/login", login).token(None).await.ok();
    let phone = alice.with_token(tokens["access_token"].as_str().unwrap());
    assert_ne!(send(&phone, &room, "m.room.message", "first").await, first);
    phone.put("/sendToDevice/org.example/same", messages).await.ok();
    assert_eq!(to_device(&bob.sync(None).await).len(), 2);
}
