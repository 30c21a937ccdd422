//! How many keys of a device are left.

use serde_json::{Value, json};

use super::{STATES, limited, sync};
use crate::harness::{Client, Server, keys::DeviceKeys};

const COUNTS: &str = "device_one_time_keys_count";
const UNUSED: &str = "device_unused_fallback_key_types";

async fn claim(by: &Client, of: &Client) -> Value {
    let body = json!({"one_time_keys": {of.user_id(): {of.device_id(): "signed_curve25519"}}});
    by.post("/keys/claim", body).await.ok()
}

/// Requires both counts, in a first answer and in later ones, whatever else is asked for.
async fn check(of: &Client, since: &str, count: usize, unused: &[&str]) {
    for since in [None, Some(since)] {
        for filter in [json!({}), limited(0), json!({"room": {"rooms": []}})] {
            for (flag, _) in STATES {
                let answer = sync(of, since, &filter, flag).await;
                assert_eq!(answer[COUNTS]["signed_curve25519"], count, "{answer}");
                assert_eq!(answer[UNUSED], json!(unused), "{answer}");
            }
        }
    }
}

/// SYNC-1, SYNC-2, SYNC-3: every answer says how many one-time keys are left, 0 in so many words, and which fallback keys are
/// unused, none in so many words: a client cannot tell silence from "all gone".
#[tokio::test]
async fn every_answer_says_what_keys_are_left() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let since = alice.sync(None).await["next_batch"].as_str().unwrap().to_owned();
    check(&alice, &since, 0, &[]).await;
    let mut keys = DeviceKeys::new(&alice);
    keys.upload(&alice, 3, false).await;
    check(&alice, &since, 3, &[]).await;
    alice.post("/keys/upload", json!({"fallback_keys": keys.fallback_keys()})).await.ok();
    check(&alice, &since, 3, &["signed_curve25519"]).await;
    for left in [2, 1, 0] {
        claim(&bob, &alice).await;
        check(&alice, &since, left, &["signed_curve25519"]).await;
    }
    claim(&bob, &alice).await;
    check(&alice, &since, 0, &[]).await;
    keys.upload(&alice, 2, true).await;
    check(&alice, &since, 2, &["signed_curve25519"]).await;
    // Each device has its own.
    check(&alice.another_device().await, &since, 0, &[]).await;
}

/// SYNC-1, SYNC-3: what is claimed while a client waits ends its wait, so that it refills in time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_ends_a_wait() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    DeviceKeys::new(&alice).upload(&alice, 1, true).await;
    let mut syncing = alice.syncing().filter(&json!({"presence": {"types": []}}));
    syncing.now().await;
    syncing.now().await;
    let mut told = (json!(1), json!(["signed_curve25519"]));
    for expected in [(json!(0), json!(["signed_curve25519"])), (json!(0), json!([]))] {
        let wait = async {
            loop {
                let answer = syncing.step(crate::harness::deadline() * 2).await;
                let now = (answer[COUNTS]["signed_curve25519"].clone(), answer[UNUSED].clone());
                if now == expected {
                    return now;
                }
                // Counts are of now, also while the place of their change is not passed: then they are told again.
                assert_eq!(now, told, "{answer}");
            }
        };
        let both = async { tokio::join!(wait, claim(&bob, &alice)) };
        told = crate::harness::within("the count", crate::harness::deadline(), both).await.0;
    }
}
