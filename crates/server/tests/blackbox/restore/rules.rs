//! What clients get from a store that was restored.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{
    Client, Server, Syncing, at, deadline, device_lists_changed,
    keys::{self, DeviceKeys},
    timeline, to_device,
};

/// The key itself: one-time keys and fallback keys may have the same names.
fn key(claimed: &Value) -> String {
    let signed = claimed.as_object().expect("a key").values().next().expect("a key");
    signed["key"].as_str().expect("a key").to_owned()
}

fn counts(sync: &Value) -> Value {
    sync["device_one_time_keys_count"]["signed_curve25519"].clone()
}

/// A sync that waits, answered at once although nobody did anything.
async fn at_once(sync: &mut Syncing) -> Value {
    let began = Instant::now();
    let answer = sync.step(deadline() * 2).await;
    assert!(began.elapsed() < deadline(), "it waited");
    answer
}

async fn say(client: &Client, room: &str, transaction: &str) -> Value {
    let path = at!("/rooms/{}/send/m.room.message/{}", room, transaction);
    client.put(path, json!({"msgtype": "m.text", "body": transaction})).await.ok()
}

fn bodies(sync: &Value, room: &str) -> Vec<String> {
    let events = timeline(sync, room).into_iter();
    events.filter_map(|event| event["content"]["body"].as_str().map(str::to_owned)).collect()
}

/// OTK-1, OTK-2, FBK-2: one-time keys of before are not given out, whoever was given them since; fallback keys are. Each
/// device is told at once that it has none, also by an incremental sync with any token of before.
#[tokio::test]
async fn a_restored_store_gives_out_no_key_of_before_and_tells_everybody() {
    let Some(server) = Server::process().await else { return };
    let [alice, bob, carol] = server.users(["alice", "bob", "carol"]).await;
    let room = bob.encrypted_room(&[&alice]).await;
    let mut bobs = DeviceKeys::new(&bob);
    bobs.upload(&bob, 10, true).await;
    DeviceKeys::new(&alice).upload(&alice, 7, false).await;
    let mut old = bob.syncing();
    old.now().await;
    let mut alices = alice.syncing();
    alices.now().await;
    let place = TempDir::new().unwrap();
    let backup = place.path().join("backup");
    server.backup(&backup).await;

    let mut spent = BTreeSet::new();
    for _ in 0..4 {
        spent.insert(key(&keys::claim(&carol, &bob).await));
    }
    say(&alice, &room, "lost").await;
    let mut late = bob.syncing();
    late.now().await;
    server.go_back_to(&backup).await;

    for sync in [&mut old, &mut late, &mut alices] {
        let told = at_once(sync).await;
        assert_eq!(counts(&told), 0, "{told}");
        assert!(!sync.token().starts_with("s1_"), "tokens of now name another life");
    }
    assert_eq!(keys::count(&bob).await, 0);
    let fallback: BTreeSet<_> = [key(&keys::claim(&carol, &bob).await), key(&keys::claim(&alice, &bob).await)].into();
    assert!(fallback.len() == 1 && spent.is_disjoint(&fallback), "the fallback key, each time: {fallback:?}");
    assert_eq!(keys::claim(&bob, &alice).await, Value::Null, "who has no fallback key has none");

    bob.post("/keys/upload", json!({"one_time_keys": bobs.one_time_keys(5)})).await.ok();
    assert_eq!(keys::count(&bob).await, 5);
    let fresh = key(&keys::claim(&carol, &bob).await);
    assert!(!spent.contains(&fresh) && !fallback.contains(&fresh), "a new key");
}

/// SYNC-4, TD-7: a token of before is answered from the beginning, once: with all that the store has, whether the client was
/// told of it or not; then syncs go on as ever and skip nothing.
#[tokio::test]
async fn tokens_of_before_skip_nothing_that_a_restored_store_has() {
    let Some(server) = Server::process().await else { return };
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let room = bob.encrypted_room(&[&alice]).await;
    DeviceKeys::new(&alice).upload(&alice, 1, false).await;
    let mut old = bob.syncing();
    old.now().await;
    say(&alice, &room, "kept").await;
    alice.send_to_device("io.example.kept", json!({bob.user_id(): {bob.device_id(): {}}})).await;
    let place = TempDir::new().unwrap();
    let backup = place.path().join("backup");
    server.backup(&backup).await;
    // Read and acknowledged after the backup, so it waits in the inbox again.
    let mut late = bob.syncing();
    late.now().await;
    say(&alice, &room, "lost").await;
    late.now().await;

    for restore in 1..=2 {
        server.go_back_to(&backup).await;
        // Both are the one device: what the first was given and acknowledged, the second is not given.
        for (sync, waiting) in [(&mut old, 1), (&mut late, 0)] {
            let answer = at_once(sync).await;
            assert_eq!(bodies(&answer, &room), ["kept"], "restore {restore}: {answer}");
            assert_eq!(to_device(&answer).len(), waiting, "what waits is delivered: {answer}");
            assert!(device_lists_changed(&answer).iter().any(|user| user == alice.user_id()), "{answer}");
            let quiet = sync.peek(Duration::ZERO).await;
            assert!(timeline(&quiet, &room).is_empty() && to_device(&quiet).is_empty(), "no loop: {quiet}");
        }
        // The token that acknowledged nothing before this one.
        let next = format!("next {restore}");
        say(&alice, &room, &next).await;
        alice.send_to_device("io.example.next", json!({bob.user_id(): {bob.device_id(): {}}})).await;
        for sync in [&mut old, &mut late] {
            // Whether the first message is acknowledged by now, the second is told, and so is the event.
            let answer = sync.step(deadline()).await;
            assert_eq!(bodies(&answer, &room), std::slice::from_ref(&next), "{answer}");
            assert!(to_device(&answer).iter().any(|event| event["type"] == "io.example.next"), "{answer}");
        }
    }
}

/// TD-10, GEN-19: what was sent before the backup is not sent again.
#[tokio::test]
async fn a_restored_store_remembers_transactions() {
    let Some(server) = Server::process().await else { return };
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let room = bob.encrypted_room(&[&alice]).await;
    let mut sync = bob.syncing();
    sync.now().await;
    let messages = json!({"messages": {bob.user_id(): {bob.device_id(): {}}}});
    let event = say(&alice, &room, "same").await;
    alice.put("/sendToDevice/io.example.n/same", messages.clone()).await.ok();
    let place = TempDir::new().unwrap();
    let backup = place.path().join("backup");
    server.backup(&backup).await;
    server.go_back_to(&backup).await;
    assert_eq!(say(&alice, &room, "same").await, event, "the same event");
    alice.put("/sendToDevice/io.example.n/same", messages).await.ok();
    let answer = sync.now().await;
    assert_eq!((bodies(&answer, &room).len(), to_device(&answer).len()), (1, 1), "{answer}");
}
