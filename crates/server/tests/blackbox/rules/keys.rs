//! Device keys, one-time keys and fallback keys.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::harness::{Client, Server, keys::DeviceKeys};

const ALGORITHM: &str = "signed_curve25519";

async fn claim(by: &Client, of: &Client) -> Value {
    let body = json!({"one_time_keys": {of.user_id(): {of.device_id(): ALGORITHM}}});
    by.post("/keys/claim", body).await.ok()["one_time_keys"][of.user_id()][of.device_id()].clone()
}

async fn count(of: &Client) -> Value {
    of.post("/keys/upload", json!({})).await.ok()["one_time_key_counts"][ALGORITHM].clone()
}

/// DK-2, DK-7: nothing need be uploaded to get the counts, and none is an explicit zero.
#[tokio::test]
async fn an_empty_upload_answers_the_counts() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    assert_eq!(count(&alice).await, 0);
    DeviceKeys::new(&alice).upload(&alice, 3, false).await;
    assert_eq!(count(&alice).await, 3);
}

/// DK-5, KQ-5: what was uploaded comes back whole, fields nobody knows included, and the name of the device beside it.
#[tokio::test]
async fn device_keys_come_back_as_uploaded() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let keys = DeviceKeys::new(&alice);
    let mut object = keys.signed();
    object.as_object_mut().unwrap().remove("signatures");
    object["org.example.future"] = json!({"deep": [1, {"er": "x"}]});
    object["dehydrated"] = json!(true);
    let uploaded = keys.sign(object);
    alice.post("/keys/upload", json!({"device_keys": uploaded})).await.ok();
    alice.put(format!("/devices/{}", alice.device_id()), json!({"display_name": "Phone"})).await.ok();
    let answer = bob.post("/keys/query", json!({"device_keys": {alice.user_id(): []}})).await.ok();
    let mut served = answer["device_keys"][alice.user_id()][alice.device_id()].clone();
    assert_eq!(served["unsigned"]["device_display_name"], "Phone");
    served.as_object_mut().unwrap().remove("unsigned");
    assert_eq!(served, uploaded);
}

/// DK-3, DK-4, OTK-4, FBK-2, DK-9: one bad part, and no part is stored.
#[tokio::test]
async fn a_bad_upload_stores_nothing() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut keys = DeviceKeys::new(&alice);
    let good = keys.one_time_keys(2);
    let foreign = DeviceKeys::of(bob.user_id(), alice.device_id()).signed();
    let other_device = DeviceKeys::of(alice.user_id(), "OTHER").signed();
    let mut incomplete = keys.signed();
    incomplete.as_object_mut().unwrap().remove("algorithms");
    for device_keys in [foreign, other_device, incomplete, json!("text")] {
        let response = alice.post("/keys/upload", json!({"device_keys": device_keys, "one_time_keys": good})).await;
        assert_eq!(response.status, 400, "{}", response.text());
    }
    let one_fallback = keys.fallback_keys();
    let mut two_fallbacks = keys.fallback_keys();
    two_fallbacks.as_object_mut().unwrap().extend(one_fallback.as_object().unwrap().clone());
    alice
        .post("/keys/upload", json!({"one_time_keys": good, "fallback_keys": two_fallbacks}))
        .await
        .error(400, "M_INVALID_PARAM");
    for bad in [json!({"noname": {"key": "x"}}), json!({"signed_curve25519:AA": 1}), json!([])] {
        let mut one_time_keys = bad;
        if let (Some(bad), Some(good)) = (one_time_keys.as_object_mut(), good.as_object()) {
            bad.extend(good.clone());
        }
        let response = alice.post("/keys/upload", json!({"one_time_keys": one_time_keys})).await;
        assert_eq!(response.status, 400, "{}", response.text());
    }
    assert_eq!(count(&alice).await, 0);
}

/// OTK-5, OTK-6: the same key again is no news; another key under its id is refused by name.
#[tokio::test]
async fn a_key_id_stands_for_one_key() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let mut keys = DeviceKeys::new(&alice);
    let first = keys.one_time_keys(1);
    alice.post("/keys/upload", json!({"one_time_keys": first})).await.ok();
    alice.post("/keys/upload", json!({"one_time_keys": first})).await.ok();
    assert_eq!(count(&alice).await, 1);
    let name = first.as_object().unwrap().keys().next().unwrap().clone();
    let other = keys.one_time_keys(1).as_object().unwrap().values().next().unwrap().clone();
    let response = alice.post("/keys/upload", json!({"one_time_keys": {&name: other}})).await;
    assert_eq!(response.status, 400);
    let error = response.json()["error"].as_str().unwrap().to_owned();
    assert!(error.starts_with(&format!("One time key {name} already exists")), "{error}");
    assert_eq!(count(&alice).await, 1);
}

/// OTK-8: keys of an earlier upload go first.
#[tokio::test]
async fn keys_go_in_the_order_of_their_uploads() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut keys = DeviceKeys::new(&alice);
    let mut uploads = Vec::new();
    for _ in 0..5 {
        let upload = keys.one_time_keys(1);
        alice.post("/keys/upload", json!({"one_time_keys": upload})).await.ok();
        uploads.push(upload);
    }
    for upload in uploads {
        assert_eq!(claim(&bob, &alice).await, upload);
    }
    assert_eq!(claim(&bob, &alice).await, Value::Null, "OTK-10: nothing left is no error");
}

/// OTK-1, OTK-3: parallel claims get different keys, and a late retry of the upload brings none of them back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_given_out_at_most_once() {
    const KEYS: usize = 60;
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut keys = DeviceKeys::new(&alice);
    let upload = json!({"one_time_keys": keys.one_time_keys(KEYS)});
    alice.post("/keys/upload", upload.clone()).await.ok();
    let claims = (0..KEYS + 20).map(|_| {
        let (alice, bob) = (alice.clone(), bob.clone());
        tokio::spawn(async move { claim(&bob, &alice).await })
    });
    let mut seen = HashSet::new();
    for claim in claims.collect::<Vec<_>>() {
        let key = claim.await.unwrap();
        if let Some(name) = key.as_object().and_then(|key| key.keys().next()) {
            assert!(seen.insert(name.clone()), "{name} was given out twice");
        }
    }
    assert_eq!(seen.len(), KEYS);
    alice.post("/keys/upload", upload).await.ok();
    assert_eq!(count(&alice).await, 0);
    assert_eq!(claim(&bob, &alice).await, Value::Null);
}

/// KQ-2, OTK-11: who is not there is not in the answer.
#[tokio::test]
async fn unknown_users_and_devices_are_absent() {
    let server = Server::shared().await;
    let [alice, bob] = server.users(["alice", "bob"]).await;
    DeviceKeys::new(&alice).upload(&alice, 1, false).await;
    let nobody = format!("@nobody-here:{}", server.name().await);
    let query = json!({"device_keys": {&nobody: [], alice.user_id(): ["NOPE"]}});
    let answer = bob.post("/keys/query", query).await.ok();
    assert!(answer["device_keys"][&nobody].as_object().is_none_or(serde_json::Map::is_empty), "{answer}");
    assert!(answer["device_keys"][alice.user_id()].as_object().is_none_or(serde_json::Map::is_empty), "{answer}");
    assert_eq!(answer["failures"], json!({}));
    let claim = json!({"one_time_keys": {&nobody: {"A": ALGORITHM}, alice.user_id(): {"NOPE": ALGORITHM}}});
    let answer = bob.post("/keys/claim", claim).await.ok();
    assert_eq!(answer["one_time_keys"], json!({}));
    assert_eq!(answer["failures"], json!({}));
}

/// KQ-1, OTK-12.
#[tokio::test]
async fn what_is_needed_must_be_there() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    alice.post("/keys/query", json!({})).await.error(400, "M_MISSING_PARAM");
    alice.post("/keys/claim", json!({})).await.error(400, "M_MISSING_PARAM");
    alice.post("/keys/query", json!({"device_keys": []})).await.error(400, "M_BAD_JSON");
    alice.post("/keys/claim", json!({"one_time_keys": {"@a:b": 1}})).await.error(400, "M_BAD_JSON");
}

/// OTK-14: a device made again under an old id starts empty.
#[tokio::test]
async fn a_new_device_of_an_old_id_has_no_keys() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let phone = alice.login("PHONE").await;
    DeviceKeys::new(&phone).upload(&phone, 5, true).await;
    phone.logout().await;
    let phone = alice.login("PHONE").await;
    assert_eq!(count(&phone).await, 0);
    assert_eq!(claim(&bob, &phone).await, Value::Null);
    let answer = bob.post("/keys/query", json!({"device_keys": {alice.user_id(): []}})).await.ok();
    assert_eq!(answer["device_keys"][alice.user_id()]["PHONE"], Value::Null);
}
