//! Reading the keys of users and devices.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{
    Client, Server,
    keys::{ALGORITHM, CrossSigning, DeviceKeys, device_keys, query},
};

/// A user with cross-signing keys, and what was uploaded.
async fn identity(of: &Client) -> (CrossSigning, Value) {
    let identity = CrossSigning::new(of.user_id());
    let upload = identity.upload();
    of.post("/keys/device_signing/upload", upload.clone()).await.ok();
    (identity, upload)
}

/// KQ-1, KQ-6: a query names users and their devices, or no device for all; one without identity keys is not shown.
#[tokio::test]
async fn a_query_names_users_and_devices() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let (phone, tablet) = (alice.login("PHONE").await, alice.login("TABLET").await);
    for device in [&alice, &phone] {
        DeviceKeys::new(device).upload(device, 1, false).await;
    }
    let mut keys = DeviceKeys::new(&tablet);
    let body = json!({"one_time_keys": keys.one_time_keys(1), "fallback_keys": keys.fallback_keys()});
    tablet.post("/keys/upload", body).await.ok();
    let mut all = [alice.device_id(), "PHONE"];
    all.sort_unstable();
    for (asked, shown) in [
        (json!([]), &all[..]),
        (json!(["PHONE"]), &["PHONE"][..]),
        (json!(["PHONE", "NONE", "TABLET", "PHONE"]), &["PHONE"][..]),
        (json!(["TABLET"]), &[][..]),
    ] {
        let answer = bob.post("/keys/query", json!({"device_keys": {alice.user_id(): asked}})).await.ok();
        let mut devices: Vec<_> = answer["device_keys"][alice.user_id()].as_object().unwrap().keys().collect();
        devices.sort_unstable();
        assert_eq!(devices, shown, "{asked}");
    }
    assert_eq!(bob.post("/keys/query", json!({"device_keys": {}})).await.ok()["device_keys"], json!({}));
    bob.post("/keys/query", json!({})).await.error(400, "M_MISSING_PARAM");
    for wrong in [json!([]), json!("x"), json!({alice.user_id(): "PHONE"}), json!({"nobody": []})] {
        bob.post("/keys/query", json!({"device_keys": wrong})).await.error(400, "M_BAD_JSON");
    }
}

/// KQ-2: who is not there is not in the answer, and that is no failure.
#[tokio::test]
async fn unknown_users_and_devices_are_absent() {
    let server = Server::shared().await;
    let [alice, bob] = server.users(["alice", "bob"]).await;
    DeviceKeys::new(&alice).upload(&alice, 1, false).await;
    let nobody = format!("@nobody-here:{}", server.name().await);
    let asked = json!({"device_keys": {&nobody: [], alice.user_id(): ["NOPE"], bob.user_id(): []}});
    let answer = bob.post("/keys/query", asked).await.ok();
    assert!(answer["device_keys"].as_object().unwrap().values().all(|devices| *devices == json!({})), "{answer}");
    assert_eq!(answer["failures"], json!({}));
}

/// KQ-3: a server that cannot be reached is a failure of its own; the rest is answered.
#[tokio::test]
async fn servers_out_of_reach_are_told_beside_the_answer() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    DeviceKeys::new(&alice).upload(&alice, 1, false).await;
    let asked = json!({"device_keys": {alice.user_id(): [], "@x:nowhere.invalid": [], "@y:nowhere.invalid": ["D"],
        "@z:neither.invalid:8448": []}});
    let answer = bob.post("/keys/query", asked).await.ok();
    assert!(answer["device_keys"][alice.user_id()][alice.device_id()].is_object(), "{answer}");
    let failures = answer["failures"].as_object().unwrap();
    assert_eq!(failures.keys().collect::<Vec<_>>(), ["neither.invalid:8448", "nowhere.invalid"]);
    assert!(failures.values().all(Value::is_object), "{answer}");
}

/// KQ-4: how long to wait for other servers is a number of milliseconds in the body, and bounds the wait.
#[tokio::test]
async fn a_query_says_how_long_to_wait() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    DeviceKeys::new(&alice).upload(&alice, 1, false).await;
    let ask = |timeout: Value| {
        bob.post(
            "/keys/query",
            json!({"device_keys": {alice.user_id(): [], "@x:nowhere.invalid": []}, "timeout": timeout}),
        )
    };
    for timeout in [json!(0), json!(1), json!(10_000), json!(null)] {
        let began = Instant::now();
        assert!(ask(timeout).await.ok()["failures"]["nowhere.invalid"].is_object());
        assert!(began.elapsed() < Duration::from_secs(15));
    }
    for wrong in [json!("soon"), json!(-1), json!([]), json!(0.5)] {
        ask(wrong).await.error(400, "M_BAD_JSON");
    }
}

/// KQ-5: a device is shown with the name it has now, and with none if it has none.
#[tokio::test]
async fn devices_are_shown_with_their_names() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    DeviceKeys::new(&alice).upload(&alice, 1, false).await;
    assert_eq!(device_keys(&bob, &alice).await["unsigned"]["device_display_name"], Value::Null);
    for name in ["Phone", "Töröö 🦀"] {
        alice.put(format!("/devices/{}", alice.device_id()), json!({"display_name": name})).await.ok();
        assert_eq!(device_keys(&bob, &alice).await["unsigned"]["device_display_name"], name);
    }
}

/// KQ-7, KQ-8, KQ-9: everyone sees master and self-signing keys; the user-signing key is its owner's to see, when it asks
/// for itself.
#[tokio::test]
async fn cross_signing_keys_are_shown_to_who_may_see_them() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let (_, of_alice) = identity(&alice).await;
    let (by_bob, of_bob) = identity(&bob).await;
    // What Bob says of Alice's master key is for Bob to see.
    let signed = by_bob.sign_user(&of_alice["master_key"]);
    let key = signed["keys"].as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned();
    let answer = bob.post("/keys/signatures/upload", json!({alice.user_id(): {key: signed}})).await.ok();
    assert_eq!(answer["failures"], json!({}));

    let both = json!({"device_keys": {alice.user_id(): [], bob.user_id(): []}});
    for (asker, upload, other, others) in [(&alice, &of_alice, &bob, &of_bob), (&bob, &of_bob, &alice, &of_alice)] {
        let answer = asker.post("/keys/query", both.clone()).await.ok();
        for (keys, uploads) in [("master_keys", "master_key"), ("self_signing_keys", "self_signing_key")] {
            assert_eq!(answer[keys][asker.user_id()], upload[uploads]);
            if asker.user_id() == bob.user_id() && keys == "master_keys" {
                assert_eq!(answer[keys][other.user_id()], signed);
            } else {
                assert_eq!(answer[keys][other.user_id()], others[uploads]);
            }
        }
        assert_eq!(answer["user_signing_keys"], json!({asker.user_id(): upload["user_signing_key"]}));
        let of_other = query(asker, other).await;
        let user_signing = &of_other["user_signing_keys"];
        assert!(user_signing.is_null() || *user_signing == json!({}), "{of_other}");
    }
}

/// KQ-11: an answer given after a write has it, time and again.
#[tokio::test]
async fn a_query_after_a_write_has_it() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    for round in 0..10 {
        let phone = alice.login("PHONE").await;
        let keys = DeviceKeys::new(&phone);
        phone.post("/keys/upload", json!({"device_keys": keys.signed()})).await.ok();
        assert_eq!(device_keys(&bob, &phone).await, keys.signed());
        let name = format!("Phone {round}");
        alice.put("/devices/PHONE", json!({"display_name": name})).await.ok();
        assert_eq!(device_keys(&bob, &phone).await["unsigned"]["device_display_name"], name);
        let identity = CrossSigning::new(alice.user_id());
        let upload = identity.upload();
        alice.post("/keys/device_signing/upload", upload.clone()).with_password().await.ok();
        assert_eq!(query(&bob, &alice).await["master_keys"][alice.user_id()], upload["master_key"]);
        let signed = identity.sign_device(&keys.signed());
        alice.post("/keys/signatures/upload", json!({alice.user_id(): {"PHONE": signed}})).await.ok();
        assert_eq!(device_keys(&bob, &phone).await["signatures"], signed["signatures"]);
        phone.logout().await;
        assert_eq!(device_keys(&bob, &phone).await, Value::Null);
    }
}

/// KQ-12: users who share no room are shown too, since one encrypts to them before they join.
#[tokio::test]
async fn strangers_are_shown() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let keys = DeviceKeys::new(&alice);
    alice.post("/keys/upload", json!({"device_keys": keys.signed(), "one_time_keys": {}})).await.ok();
    let (_, upload) = identity(&alice).await;
    for client in [&alice, &bob] {
        assert_eq!(client.get("/joined_rooms").await.ok()["joined_rooms"], json!([]));
    }
    assert_eq!(device_keys(&bob, &alice).await, keys.signed());
    let answer = query(&bob, &alice).await;
    assert_eq!(answer["master_keys"][alice.user_id()], upload["master_key"]);
    assert_eq!(answer["self_signing_keys"][alice.user_id()], upload["self_signing_key"]);
    let claim = json!({"one_time_keys": {alice.user_id(): {alice.device_id(): ALGORITHM}}});
    assert_eq!(bob.post("/keys/claim", claim).await.ok()["failures"], json!({}));
}
