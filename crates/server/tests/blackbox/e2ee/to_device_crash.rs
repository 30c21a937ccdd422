//! To-device messages and a server that is killed.

use serde_json::json;

use crate::{
    harness::{Server, at, to_device},
    olm::CryptoClient,
};

/// TD-4, TD-6, TD-7, TD-8: what was sent outlives the server, told or not, until it is acknowledged.
#[tokio::test]
async fn to_device_messages_outlive_a_kill_until_they_are_acknowledged() {
    let Some(server) = Server::process().await else { return };
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let mut sync = bob.syncing();
    sync.now().await;
    for n in 0..150 {
        alice.send_to_device("io.example.n", json!({bob.user_id(): {bob.device_id(): {"n": n}}})).await;
    }
    server.kill().await;
    server.restart().await;

    let mut got = Vec::new();
    let first = to_device(&sync.peek(std::time::Duration::ZERO).await);
    assert!(!first.is_empty());
    // Unacknowledged, so they come again, also after another kill.
    server.kill().await;
    server.restart().await;
    while got.len() < 150 {
        let events = to_device(&sync.now().await);
        assert!(!events.is_empty(), "only {} came", got.len());
        if got.is_empty() {
            assert_eq!(events[..first.len().min(events.len())], first[..first.len().min(events.len())]);
        }
        got.extend(events);
    }
    let numbers: Vec<_> = got.iter().map(|event| event["content"]["n"].as_u64()).collect();
    assert_eq!(numbers, (0..150).map(Some).collect::<Vec<_>>(), "each once, in order");
    // The last ones are acknowledged with this.
    assert!(to_device(&sync.now().await).is_empty());
    server.kill().await;
    server.restart().await;
    assert!(to_device(&sync.now().await).is_empty());
}

/// TD-10, GEN-19: over a crash, too: the client that was not answered sends again, and the message comes once.
#[tokio::test]
async fn a_repeated_send_after_a_kill_is_not_delivered_twice() {
    let Some(server) = Server::process().await else { return };
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let room = alice.create_room(json!({"invite": [bob.user_id()]})).await;
    bob.join(&room).await;
    let mut sync = bob.syncing();
    sync.now().await;
    let messages = json!({"messages": {bob.user_id(): {bob.device_id(): {"n": 1}}}});
    let text = json!({"msgtype": "m.text", "body": "once"});
    let send = at!("/rooms/{}/send/m.room.message/same", room);
    alice.put("/sendToDevice/io.example.n/same", messages.clone()).await.ok();
    let event = alice.put(&send, text.clone()).await.ok();
    server.kill().await;
    server.restart().await;
    alice.put("/sendToDevice/io.example.n/same", messages).await.ok();
    assert_eq!(alice.put(&send, text).await.ok(), event, "the same event");

    let came = sync.now().await;
    assert_eq!(to_device(&came).len(), 1);
    assert_eq!(crate::harness::timeline(&came, &room).len(), 1);
}

/// An encrypted message whose key was sent before the kill is decrypted after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_key_sent_before_a_kill_opens_the_message_after_it() {
    let Some(server) = Server::process().await else { return };
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    let bob = CryptoClient::new(&bob).await;
    let alice = CryptoClient::new(&alice).await;
    alice.send_text(&room, "before").await;
    server.kill().await;
    server.restart().await;
    alice.send_text(&room, "after").await;
    bob.sync().await;
    let texts: Vec<_> = bob.messages(&room).into_iter().map(|message| message.body).collect();
    assert_eq!(texts, ["before", "after"]);
    assert!(bob.broken_to_device().is_empty());
}
