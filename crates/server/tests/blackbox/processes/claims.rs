//! Claims of one-time keys over all nodes.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Client, Server, deadline, keys::DeviceKeys};

const KEYS: usize = 2_000;
const CLAIMERS: usize = 64;

/// A key that was claimed, and the time between whose ends that happened.
struct Claimed {
    name: String,
    fallback: bool,
    asked: Instant,
    answered: Instant,
}

async fn claim(by: &Client, of: &Client) -> Claimed {
    let asked = Instant::now();
    let body = json!({"one_time_keys": {of.user_id(): {of.device_id(): "signed_curve25519"}}});
    let answer = by.post("/keys/claim", body).within(deadline() * 3).await.ok();
    let answered = Instant::now();
    let keys = answer["one_time_keys"][of.user_id()][of.device_id()].as_object().expect("a key");
    assert_eq!(keys.len(), 1, "{answer}");
    let (name, key) = keys.iter().next().expect("a key");
    Claimed { name: name.clone(), fallback: key["fallback"] == true, asked, answered }
}

/// OTK-1, FBK-3: every key is given out once, and the fallback key only when none is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claimers_on_all_nodes_empty_a_device_and_then_get_its_fallback_key() {
    let Some(server) = Server::nodes(3).await else { return };
    let alice = server.user("alice").await;
    let mut keys = DeviceKeys::new(&alice);
    keys.upload(&alice, 0, true).await;
    let mut uploaded = BTreeSet::new();
    for _ in 0..KEYS / 100 {
        let some = keys.one_time_keys(100);
        uploaded.extend(some.as_object().expect("keys").keys().cloned());
        let counts: Value = alice.post("/keys/upload", json!({"one_time_keys": some})).await.ok();
        assert_eq!(counts["one_time_key_counts"]["signed_curve25519"], uploaded.len());
    }
    // The answer to a claim says nothing about the claimer: a few accounts do for all.
    let users = join_all((0..CLAIMERS / 8).map(|_| server.user("claimer"))).await;

    let began = Instant::now();
    let claimers = (0..CLAIMERS).map(|n| {
        let by = &users[n % users.len()];
        let alice = &alice;
        async move {
            let mut claimed: Vec<Claimed> = Vec::new();
            while claimed.last().is_none_or(|last| !last.fallback) {
                claimed.push(claim(by, alice).await);
            }
            claimed
        }
    });
    let claimed: Vec<Claimed> = join_all(claimers).await.into_iter().flatten().collect();
    let took = began.elapsed();

    let (fallbacks, once): (Vec<_>, Vec<_>) = claimed.iter().partition(|claimed| claimed.fallback);
    let names: BTreeSet<String> = once.iter().map(|claimed| claimed.name.clone()).collect();
    assert_eq!(once.len(), KEYS, "no key twice, none left behind");
    assert_eq!(names, uploaded);
    assert_eq!(fallbacks.iter().map(|claimed| &claimed.name).collect::<BTreeSet<_>>().len(), 1);
    // Who asked after somebody was given the fallback key found no other key any more.
    let first_fallback = fallbacks.iter().map(|claimed| claimed.answered).min().expect("a fallback key");
    let late = once.iter().filter(|claimed| claimed.asked > first_fallback).count();
    assert_eq!(late, 0, "one-time keys that were given out after the fallback key");
    assert_eq!(server.claimed_twice(), Vec::<String>::new());
    let rate = claimed.len() as f64 / took.max(Duration::from_millis(1)).as_secs_f64();
    println!("{} claims by {CLAIMERS} claimers over three nodes in {took:.1?}: {rate:.0} a second", claimed.len());
}
