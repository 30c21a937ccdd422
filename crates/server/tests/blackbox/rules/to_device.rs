//! To-device messages.

use serde_json::{Value, json};

use crate::harness::{Client, Server, to_device};

const KIND: &str = "io.example.seq";

async fn send(by: &Client, transaction: &str, to: &Client, number: usize) {
    let body = json!({"messages": {to.user_id(): {to.device_id(): {"number": number}}}});
    by.put(format!("/sendToDevice/{KIND}/{transaction}"), body).await.ok();
}

fn numbers(sync: &Value) -> Vec<u64> {
    to_device(sync)
        .iter()
        .filter(|event| event["type"] == KIND)
        .filter_map(|event| event["content"]["number"].as_u64())
        .collect()
}

/// TD-5 to TD-9: at most a hundred at a time, in order, again until acknowledged, and never after.
#[tokio::test]
async fn messages_come_in_pages_and_in_order() {
    const COUNT: u64 = 250;
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut since = bob.sync(None).await["next_batch"].as_str().unwrap().to_owned();
    for number in 0..COUNT {
        send(&alice, &format!("t{number}"), &bob, usize::try_from(number).unwrap()).await;
    }
    let mut seen = Vec::new();
    while seen.len() < usize::try_from(COUNT).unwrap() {
        let page = bob.sync(Some(&since)).await;
        let repeated = bob.sync(Some(&since)).await;
        assert_eq!(numbers(&page), numbers(&repeated), "TD-7");
        assert!(numbers(&page).len() <= 100 && !numbers(&page).is_empty(), "TD-9");
        seen.extend(numbers(&page));
        since = page["next_batch"].as_str().unwrap().to_owned();
    }
    assert_eq!(seen, (0..COUNT).collect::<Vec<_>>());
    assert!(numbers(&bob.sync(Some(&since)).await).is_empty(), "TD-6");
    assert!(numbers(&bob.sync(None).await).is_empty(), "what was acknowledged is gone");
}

/// TD-10, GEN-19: one transaction id of one device and path sends once.
#[tokio::test]
async fn a_repeated_request_sends_once() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    for _ in 0..3 {
        send(&alice, "same", &bob, 1).await;
    }
    // Another path and another device are other transactions.
    let body = json!({"messages": {bob.user_id(): {bob.device_id(): {}}}});
    alice.put("/sendToDevice/io.example.other/same", body).await.ok();
    send(&alice.another_device().await, "same", &bob, 2).await;
    let sync = bob.sync(None).await;
    assert_eq!(numbers(&sync), [1, 2]);
    assert_eq!(to_device(&sync).len(), 3);
}

/// TD-2, TD-3, TD-12: `*` is every device once; unknown ones are passed over.
#[tokio::test]
async fn a_star_is_every_device() {
    let server = Server::shared().await;
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let tablet = bob.another_device().await;
    let nobody = format!("@nobody-here:{}", server.name().await);
    let messages = json!({bob.user_id(): {"*": {"number": 7}, "NOPE": {"number": 8}}, nobody: {"*": {}}});
    alice.put(format!("/sendToDevice/{KIND}/t"), json!({"messages": messages})).await.ok();
    for device in [&bob, &tablet] {
        let events = to_device(&device.sync(None).await);
        let expected = json!({"sender": alice.user_id(), "type": KIND, "content": {"number": 7}});
        assert_eq!(events, [expected], "TD-3");
    }
}

/// TD-13: a new device of an old id gets nothing of the old one's.
#[tokio::test]
async fn a_deleted_device_takes_its_messages_along() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let phone = bob.login("PHONE").await;
    send(&alice, "t", &phone, 1).await;
    phone.logout().await;
    let phone = bob.login("PHONE").await;
    assert!(to_device(&phone.sync(None).await).is_empty());
}

/// TD-1, TD-17.
#[tokio::test]
async fn bad_messages_are_refused_whole() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let path = format!("/sendToDevice/{KIND}/t");
    alice.put(&path, json!({})).await.error(400, "M_BAD_JSON");
    let body = json!({"messages": {bob.user_id(): {bob.device_id(): {"number": 1}, "*": "text"}}});
    alice.put(&path, body).await.error(400, "M_BAD_JSON");
    let long = "x".repeat(70_000);
    let body = json!({"messages": {bob.user_id(): {bob.device_id(): {"number": 1}, "OTHER": {"long": long}}}});
    alice.put(&path, body).await.error(413, "M_TOO_LARGE");
    assert!(to_device(&bob.sync(None).await).is_empty());
}
