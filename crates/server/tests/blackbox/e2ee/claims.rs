//! Claims of one-time keys at the same time.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    harness::{Client, Server, keys::DeviceKeys},
    olm::CryptoClient,
};

/// The body of a claim of one key of a device.
fn claim(of: &Client) -> Value {
    json!({"one_time_keys": {of.user_id(): {of.device_id(): "signed_curve25519"}}})
}

/// The claimed key's name and value, if there is one.
fn claimed(answer: &Value, of: &Client) -> Option<(String, Value)> {
    let keys = answer["one_time_keys"][of.user_id()][of.device_id()].as_object()?;
    assert_eq!(keys.len(), 1, "one key at most: {answer}");
    keys.iter().next().map(|(name, key)| (name.clone(), key.clone()))
}

/// OTK-1, OTK-9, OTK-10: each key once, as it was uploaded, and then none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_at_the_same_time_never_get_the_same_key() {
    let server = Server::shared().await;
    let [alice, bob, carol] = server.users(["alice", "bob", "carol"]).await;
    let mut keys = DeviceKeys::new(&alice);
    let uploaded = keys.one_time_keys(20);
    let body = json!({"device_keys": keys.signed(), "one_time_keys": uploaded});
    assert_eq!(alice.post("/keys/upload", body).await.ok()["one_time_key_counts"]["signed_curve25519"], 20);

    let claims = (0..30).map(|n| {
        let claimer = if n % 2 == 0 { &bob } else { &carol };
        let alice = &alice;
        async move { claimed(&claimer.post("/keys/claim", claim(alice)).await.ok(), alice) }
    });
    let got: Vec<_> = join_all(claims).await.into_iter().flatten().collect();
    let names: BTreeSet<_> = got.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!((got.len(), names.len()), (20, 20), "each key once, and none was left");
    for (name, key) in got {
        assert_eq!(key, uploaded[&name], "as it was uploaded");
    }
    let counts = alice.post("/keys/upload", json!({})).await.ok();
    assert_eq!(counts["one_time_key_counts"]["signed_curve25519"].as_u64().unwrap_or(0), 0);
}

/// OTK-1: two senders start a session with one device at once, and both are understood.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_senders_at_once_are_both_understood() {
    let server = Server::shared().await;
    let [alice, bob, carol] = server.users(["alice", "bob", "carol"]).await;
    let room = alice.encrypted_room(&[&bob, &carol]).await;
    let alice = CryptoClient::running(&alice).await;
    let (bob, carol) = (CryptoClient::new(&bob).await, CryptoClient::new(&carol).await);
    // Both must have heard of alice's keys.
    bob.sync().await;
    carol.sync().await;
    tokio::join!(bob.send_text(&room, "from bob"), carol.send_text(&room, "from carol"));
    alice.until_message(&room, "from bob").await;
    alice.until_message(&room, "from carol").await;
    assert!(alice.broken_to_device().is_empty());
}

/// OTK-1: what was claimed before it is never given again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_claimed_before_a_kill_is_not_claimed_after_it() {
    let Some(server) = Server::process().await else { return };
    let [alice, bob] = server.users(["alice", "bob"]).await;
    DeviceKeys::new(&alice).upload(&alice, 20, false).await;
    let mut names = BTreeSet::new();
    let mut count = 0;
    for round in 0..2 {
        for _ in 0..10 {
            let (name, _) = claimed(&bob.post("/keys/claim", claim(&alice)).await.ok(), &alice).expect("a key is left");
            names.insert(name);
            count += 1;
        }
        if round == 0 {
            server.kill().await;
            server.restart().await;
        }
    }
    assert_eq!((count, names.len()), (20, 20));
    assert_eq!(claimed(&bob.post("/keys/claim", claim(&alice)).await.ok(), &alice), None);
}
