//! Fallback keys, which are given out when one-time keys run out.

use serde_json::{Value, json};

use crate::harness::{
    Client, Server,
    keys::{ALGORITHM, DeviceKeys, claim, count},
};

async fn upload(by: &Client, fallback_keys: &Value) {
    by.post("/keys/upload", json!({"fallback_keys": fallback_keys})).await.ok();
}

/// The algorithms whose fallback key was not given out, as the device's next sync says.
async fn unused(of: &Client) -> Value {
    of.sync(None).await["device_unused_fallback_key_types"].clone()
}

/// FBK-1, FBK-3, FBK-6: it comes when no one-time key is left, as it was uploaded, and again and again, until another takes
/// its place.
#[tokio::test]
async fn the_fallback_key_is_given_when_no_other_is_left() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut keys = DeviceKeys::new(&alice);
    let (one_time, first, second) = (keys.one_time_keys(2), keys.fallback_keys(), keys.fallback_keys());
    alice.post("/keys/upload", json!({"one_time_keys": one_time, "fallback_keys": first})).await.ok();
    for _ in 0..2 {
        let claimed = claim(&bob, &alice).await;
        let (name, key) = claimed.as_object().and_then(|claimed| claimed.iter().next()).expect("a key");
        assert_eq!(*key, one_time[name]);
    }
    for _ in 0..3 {
        assert_eq!(claim(&bob, &alice).await, first);
    }
    assert!(first.as_object().unwrap().values().all(|key| key["fallback"] == true));
    upload(&alice, &second).await;
    for _ in 0..2 {
        assert_eq!(claim(&bob, &alice).await, second);
    }
    let fresh = keys.one_time_keys(1);
    alice.post("/keys/upload", json!({"one_time_keys": fresh})).await.ok();
    assert_eq!(claim(&bob, &alice).await, fresh, "one-time keys go first again");
    assert_eq!(claim(&bob, &alice).await, second);
    assert_eq!(count(&alice).await, 0, "it is not counted");
}

/// FBK-2, FBK-6: an upload has one fallback key of an algorithm, and one that says it is none is refused.
#[tokio::test]
async fn an_upload_has_one_fallback_key_of_an_algorithm() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut keys = DeviceKeys::new(&alice);
    let first = keys.fallback_keys();
    upload(&alice, &first).await;
    let mut two = keys.fallback_keys();
    two["signed_curve25519:another"] = json!({"key": "x", "fallback": true, "signatures": {}});
    alice.post("/keys/upload", json!({"fallback_keys": two})).await.error(400, "M_INVALID_PARAM");
    for wrong in [json!(false), json!("true"), json!(1), json!(null)] {
        let key = json!({"signed_curve25519:A": {"key": "x", "fallback": wrong, "signatures": {}}});
        alice.post("/keys/upload", json!({"fallback_keys": key})).await.error(400, "M_INVALID_PARAM");
    }
    assert_eq!(claim(&bob, &alice).await, first);
}

/// FBK-4, FBK-5: once given out it is not unused any more, and sending it again does not make it so; a new one does.
#[tokio::test]
async fn a_fallback_key_is_unused_until_it_is_given_out() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut keys = DeviceKeys::new(&alice);
    let first = keys.fallback_keys();
    assert_eq!(unused(&alice).await, json!([]));
    let mut sync = alice.syncing();
    sync.now().await;
    upload(&alice, &first).await;
    assert_eq!(sync.now().await["device_unused_fallback_key_types"], json!([ALGORITHM]));
    upload(&alice, &first).await;
    assert_eq!(unused(&alice).await, json!([ALGORITHM]));
    claim(&bob, &alice).await;
    assert_eq!(sync.now().await["device_unused_fallback_key_types"], json!([]));
    let mut signed_anew = first.clone();
    for key in signed_anew.as_object_mut().unwrap().values_mut() {
        key["signatures"] = json!({});
    }
    for again in [&first, &signed_anew] {
        upload(&alice, again).await;
        assert_eq!(unused(&alice).await, json!([]));
        assert_eq!(claim(&bob, &alice).await, first);
    }
    let second = keys.fallback_keys();
    upload(&alice, &second).await;
    assert_eq!(sync.now().await["device_unused_fallback_key_types"], json!([ALGORITHM]));
    // Another key under the same id is a new key.
    let mut third = second;
    claim(&bob, &alice).await;
    for key in third.as_object_mut().unwrap().values_mut() {
        key["key"] = json!("another");
    }
    upload(&alice, &third).await;
    assert_eq!(unused(&alice).await, json!([ALGORITHM]));
    assert_eq!(claim(&bob, &alice).await, third);
}

/// FBK-8, FBK-1: a claim of an algorithm gets no key of another; each algorithm has a fallback key of its own.
#[tokio::test]
async fn a_fallback_key_serves_its_algorithm_only() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    upload(&alice, &json!({"curve25519:A": "key"})).await;
    assert_eq!(claim(&bob, &alice).await, Value::Null);
    let other = DeviceKeys::new(&alice).fallback_keys();
    upload(&alice, &other).await;
    assert_eq!(unused(&alice).await, json!(["curve25519", ALGORITHM]), "one does not take the other's place");
    assert_eq!(claim(&bob, &alice).await, other);
    assert_eq!(unused(&alice).await, json!(["curve25519"]));
    let wish = json!({"one_time_keys": {alice.user_id(): {alice.device_id(): "curve25519"}}});
    let answer = bob.post("/keys/claim", wish).await.ok();
    assert_eq!(answer["one_time_keys"][alice.user_id()][alice.device_id()], json!({"curve25519:A": "key"}));
    assert_eq!(unused(&alice).await, json!([]));
}

/// FBK-9: whoever was given it, it was marked before: many claimers at once, and each looks right afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fallback_key_is_marked_before_it_is_given_out() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut keys = DeviceKeys::new(&alice);
    for _ in 0..10 {
        let fallback = keys.fallback_keys();
        upload(&alice, &fallback).await;
        assert_eq!(unused(&alice).await, json!([ALGORITHM]));
        let claims: Vec<_> = (0..4)
            .map(|_| {
                let (alice, bob) = (alice.clone(), bob.clone());
                tokio::spawn(async move { (claim(&bob, &alice).await, unused(&alice).await) })
            })
            .collect();
        for claimed in claims {
            assert_eq!(claimed.await.unwrap(), (fallback.clone(), json!([])));
        }
    }
}

/// FBK-4, FBK-9: a mark of use outlives the server.
#[tokio::test]
async fn a_used_fallback_key_is_used_after_a_kill() {
    let Some(server) = Server::process().await else { return };
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let fallback = DeviceKeys::new(&alice).fallback_keys();
    upload(&alice, &fallback).await;
    assert_eq!(claim(&bob, &alice).await, fallback);
    server.kill().await;
    server.restart().await;
    assert_eq!(unused(&alice).await, json!([]));
    upload(&alice, &fallback).await;
    assert_eq!(unused(&alice).await, json!([]));
    assert_eq!(claim(&bob, &alice).await, fallback);
}
