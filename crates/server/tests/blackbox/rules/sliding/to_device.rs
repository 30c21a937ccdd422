//! The extension `to_device`.

use std::time::Duration;

use serde_json::{Value, json};

use super::{begun, extensions};
use crate::harness::{Client, Server, sliding_to_device, to_device};

const KIND: &str = "io.example.seq";

fn wanted(limit: u64) -> Value {
    extensions(json!({"to_device": {"enabled": true, "limit": limit}}))
}

async fn send(by: &Client, to: &Client, numbers: std::ops::Range<u64>) {
    for number in numbers {
        by.send_to_device(KIND, json!({to.user_id(): {to.device_id(): {"number": number}}})).await;
    }
}

fn numbers_of(events: &[Value]) -> Vec<u64> {
    events.iter().filter_map(|event| event["content"]["number"].as_u64()).collect()
}

fn numbers(sync: &Value) -> Vec<u64> {
    numbers_of(&sliding_to_device(sync))
}

fn next_batch(sync: &Value) -> String {
    sync["extensions"]["to_device"]["next_batch"].as_str().expect("next_batch").to_owned()
}

/// SSS-6: pages of at most `limit`, in order; `next_batch` is there without events as well, and apart from `pos`.
#[tokio::test]
async fn messages_come_in_pages() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut sync = bob.sliding(wanted(3));
    let first = sync.now().await;
    assert_eq!(numbers(&first), Vec::<u64>::new());
    next_batch(&first);
    send(&alice, &bob, 0..8).await;
    for page in [vec![0, 1, 2], vec![3, 4, 5], vec![6, 7], vec![]] {
        let came = sync.now().await;
        assert_eq!(numbers(&came), page);
        next_batch(&came);
    }
    // None at all, which is no reason to forget them, nor to answer at once.
    send(&alice, &bob, 8..10).await;
    let before = sync.since.clone();
    sync.body = wanted(0);
    for _ in 0..2 {
        assert_eq!(numbers(&sync.step(Duration::from_millis(100)).await), Vec::<u64>::new());
    }
    sync.body = wanted(5);
    assert_eq!(numbers(&sync.now().await), [8, 9]);
    assert_ne!(sync.since, before);
    // Not more than a hundred, whatever is asked for.
    send(&alice, &bob, 10..120).await;
    sync.body = wanted(100_000);
    assert_eq!(numbers(&sync.now().await).len(), 100);
    assert_eq!(numbers(&sync.now().await).len(), 10);
}

/// SSS-7: messages come again until the new `since` is used, whatever becomes of `pos`; then never again, also for an
/// older `since` or none.
#[tokio::test]
async fn only_the_new_since_deletes() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut sync = begun(&bob, wanted(2)).await;
    send(&alice, &bob, 0..4).await;
    let old = sync.since.clone();
    for _ in 0..3 {
        // The `pos` goes on, the to-device token does not.
        let came = sync.now().await;
        assert_eq!(numbers(&came), [0, 1]);
        sync.since = old.clone();
    }
    let mut again = bob.sliding(wanted(2));
    let came = again.now().await;
    assert_eq!(numbers(&came), [0, 1], "a new connection has the same inbox");
    let first_page = next_batch(&came);
    let came = again.now().await;
    assert_eq!(numbers(&came), [2, 3]);
    for since in [None, old.clone(), Some(first_page)] {
        sync.since = since.clone();
        assert_eq!(numbers(&sync.peek().await), [2, 3], "{since:?}");
    }
    again.now().await;
    for since in [None, old, again.since.clone()] {
        sync.since = since.clone();
        assert_eq!(numbers(&sync.peek().await), Vec::<u64>::new(), "{since:?}");
    }
}

/// SSS-7: a request that does not ask for messages deletes none, nor does the token of another device.
#[tokio::test]
async fn other_requests_delete_nothing() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let phone = bob.another_device().await;
    let sync = begun(&bob, wanted(10)).await;
    send(&alice, &bob, 0..2).await;
    send(&alice, &phone, 0..2).await;
    let came = sync.peek().await;
    let mut off = sync.clone();
    off.body = extensions(json!({"to_device": {"enabled": false, "since": next_batch(&came)}}));
    assert!(off.peek().await["extensions"].get("to_device").is_none());
    let mut at_phone = phone.sliding(wanted(10));
    at_phone.since = Some(next_batch(&came));
    assert_eq!(numbers(&at_phone.peek().await), [0, 1]);
    assert_eq!(numbers(&sync.peek().await), [0, 1]);
}

/// SSS-8: a client that goes from one sync to the other with the token of its last answer gets each message once; without
/// it, none is lost.
#[tokio::test]
async fn moving_between_the_syncs_loses_and_doubles_nothing() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut got = Vec::new();
    let mut sent = 0;
    let mut old = bob.syncing();
    old.now().await;
    let mut token = old.token().to_owned();
    for _ in 0..3 {
        // Old sync, the last answer of which is acknowledged by the other.
        let mut old = bob.syncing().since(&token);
        for _ in 0..2 {
            send(&alice, &bob, sent..sent + 3).await;
            sent += 3;
            got.extend(numbers_of(&to_device(&old.now().await)));
        }
        let mut new = bob.sliding(wanted(2));
        new.since = Some(old.token().to_owned());
        for _ in 0..4 {
            send(&alice, &bob, sent..sent + 1).await;
            sent += 1;
            got.extend(numbers(&new.now().await));
        }
        token = new.since.clone().unwrap();
    }
    got.extend(numbers_of(&to_device(&bob.sync(Some(&token)).await)));
    assert_eq!(got, (0..sent).collect::<Vec<_>>());

    // Without the token: what was not acknowledged comes again, what was does not.
    let mut old = bob.syncing();
    old.now().await;
    send(&alice, &bob, 100..102).await;
    old.now().await;
    send(&alice, &bob, 102..104).await;
    old.now().await;
    let mut new = bob.sliding(wanted(10));
    assert_eq!(numbers(&new.now().await), [102, 103]);
    new.now().await;
    send(&alice, &bob, 104..105).await;
    assert_eq!(numbers(&new.now().await), [104]);
    assert_eq!(numbers_of(&to_device(&old.now().await)), [104]);
}

/// SSS-8: both at once on one device: each sees what the other has not acknowledged.
#[tokio::test]
async fn both_syncs_share_the_inbox() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let (mut old, mut new) = (bob.syncing(), begun(&bob, wanted(10)).await);
    old.now().await;
    send(&alice, &bob, 0..2).await;
    assert_eq!(numbers_of(&to_device(&old.now().await)), [0, 1]);
    assert_eq!(numbers(&new.now().await), [0, 1]);
    // One of them acknowledges.
    new.now().await;
    assert_eq!(numbers_of(&to_device(&bob.sync(None).await)), Vec::<u64>::new());
    send(&alice, &bob, 2..3).await;
    assert_eq!(numbers_of(&to_device(&old.now().await)), [2]);
    assert_eq!(numbers(&new.now().await), [2]);
}
