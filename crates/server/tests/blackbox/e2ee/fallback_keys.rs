//! The life of a fallback key.

use serde_json::{Value, json};

use crate::{
    harness::{
        Client, Server, Syncing,
        keys::{ALGORITHM, DeviceKeys, claim},
        to_device,
    },
    olm::CryptoClient,
};

/// Whether the device has a fallback key that was not given out, by the next sync that brings something.
async fn unused(by: &Client, of: &Client, sync: &mut Syncing) -> bool {
    by.send_to_device("io.example.knock", json!({of.user_id(): {of.device_id(): {}}})).await;
    let knocked = |sync: &Value| to_device(sync).iter().any(|event| event["type"] == "io.example.knock");
    let sync = sync.until("a knock", |sync| knocked(sync).then(|| sync.clone())).await;
    let types = sync["device_unused_fallback_key_types"].as_array().expect("unused types");
    types.iter().any(|kind| kind == ALGORITHM)
}

/// FBK-1, FBK-3, FBK-4, FBK-5, FBK-6: the life of a fallback key, as its device follows it in one line of syncs.
#[tokio::test]
async fn a_fallback_key_is_used_again_and_again_and_then_replaced() {
    let server = Server::shared().await;
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let mut keys = DeviceKeys::new(&alice);
    let one_time = keys.one_time_keys(1);
    let first = keys.fallback_keys();
    let body = json!({"device_keys": keys.signed(), "one_time_keys": one_time, "fallback_keys": first});
    alice.post("/keys/upload", body).await.ok();
    let mut sync = alice.syncing();
    assert!(unused(&bob, &alice, &mut sync).await);

    assert_eq!(claim(&bob, &alice).await, one_time, "one-time keys come first");
    assert!(unused(&bob, &alice, &mut sync).await);
    assert_eq!(claim(&bob, &alice).await, first);
    assert_eq!(claim(&bob, &alice).await, first, "it is not used up");
    assert!(!unused(&bob, &alice, &mut sync).await);

    alice.post("/keys/upload", json!({"fallback_keys": first})).await.ok();
    assert!(!unused(&bob, &alice, &mut sync).await, "the same key again is still a used one");

    let second = keys.fallback_keys();
    alice.post("/keys/upload", json!({"fallback_keys": second})).await.ok();
    assert!(unused(&bob, &alice, &mut sync).await);
    assert_eq!(claim(&bob, &alice).await, second);

    // A fresh one-time key goes before it again.
    let fresh = keys.one_time_keys(1);
    alice.post("/keys/upload", json!({"one_time_keys": fresh})).await.ok();
    assert_eq!(claim(&bob, &alice).await, fresh);
    assert_eq!(claim(&bob, &alice).await, second);
}

/// FBK-3: with all one-time keys claimed, new senders are understood.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_without_one_time_keys_is_still_reached() {
    let server = Server::shared().await;
    let [alice, bob, carol] = server.users(["alice", "bob", "carol"]).await;
    let room = alice.encrypted_room(&[&bob, &carol]).await;
    let alice_keys = CryptoClient::new(&alice).await;
    // Somebody claims all there are, while alice is away.
    let count = alice.post("/keys/upload", json!({})).await.ok()["one_time_key_counts"][ALGORITHM].as_u64();
    for _ in 0..count.expect("one-time keys") {
        assert_eq!(claim(&bob, &alice).await.as_object().map(serde_json::Map::len), Some(1));
    }
    let fallback = claim(&bob, &alice).await;
    assert!(fallback.as_object().unwrap().values().all(|key| key["fallback"] == true), "{fallback}");
    for (client, text) in [(&bob, "from bob"), (&carol, "from carol")] {
        let sender = CryptoClient::new(client).await;
        let sent = sender.send_text(&room, text).await;
        assert!(sent.shared_with.contains(&alice_keys.device()));
    }
    alice_keys.sync().await;
    let texts: Vec<_> = alice_keys.messages(&room).into_iter().map(|message| message.body).collect();
    assert_eq!(texts, ["from bob", "from carol"]);
    // By now the client has uploaded afresh.
    let fresh = claim(&bob, &alice).await;
    assert!(fresh.as_object().unwrap().values().all(|key| key["fallback"] != true), "{fresh}");
}
