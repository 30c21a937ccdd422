//! Uploading the identity keys of a device.

use serde_json::{Value, json};

use crate::harness::{
    Client, Server, Syncing, device_lists_changed,
    keys::{ALGORITHM, CrossSigning, DeviceKeys, claim, count, device_keys, query, verifies},
    to_device,
};

/// Whether a device is told of a change of another user's keys, up to now.
async fn is_told(sync: &mut Syncing, device: &Client, of: &Client) -> bool {
    of.send_to_device("org.example.knock", json!({device.user_id(): {device.device_id(): {}}})).await;
    let mut told = false;
    let mut knocked = |sync: &Value| {
        told |= device_lists_changed(sync).iter().any(|user| user == of.user_id());
        to_device(sync).iter().any(|event| event["type"] == "org.example.knock").then_some(())
    };
    sync.until("a knock", &mut knocked).await;
    told
}

fn without(mut object: Value, member: &str) -> Value {
    object.as_object_mut().unwrap().remove(member).expect("a member");
    object
}

/// DK-1: keys are those of the device whose token it is, whatever the request says.
#[tokio::test]
async fn an_upload_is_for_the_device_of_the_token() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let phone = alice.another_device().await;
    let mut keys = DeviceKeys::new(&alice);
    let body = json!({"device_keys": keys.signed(), "one_time_keys": keys.one_time_keys(2)});
    let upload = alice.post("/keys/upload", body).query("device_id", phone.device_id()).query("user_id", bob.user_id());
    upload.await.ok();
    assert_eq!((count(&alice).await, count(&phone).await, count(&bob).await), (json!(2), json!(0), json!(0)));
    let answer = query(&bob, &alice).await["device_keys"][alice.user_id()].clone();
    assert_eq!(answer.as_object().unwrap().keys().collect::<Vec<_>>(), [alice.device_id()]);
    // Keys of another device are not taken from this one.
    let upload = phone.post("/keys/upload", json!({"device_keys": DeviceKeys::new(&alice).signed()}));
    upload.await.error(400, "M_INVALID_PARAM");
    assert_eq!(device_keys(&bob, &alice).await, keys.signed());
    assert_eq!(device_keys(&bob, &phone).await, Value::Null);
}

/// DK-2, DK-7: every part may be left out, an empty upload only counts, and none is an explicit zero.
#[tokio::test]
async fn every_part_of_an_upload_is_optional() {
    let alice = Server::shared().await.user("alice").await;
    let mut keys = DeviceKeys::new(&alice);
    let (device, fallback) = (keys.signed(), keys.fallback_keys());
    let plain = json!({"curve25519:A": "key"});
    for (body, told) in [
        (json!({}), json!({ALGORITHM: 0})),
        (json!({"device_keys": device}), json!({ALGORITHM: 0})),
        (json!({"fallback_keys": fallback}), json!({ALGORITHM: 0})),
        (json!({"one_time_keys": {}}), json!({ALGORITHM: 0})),
        (json!({"one_time_keys": keys.one_time_keys(2)}), json!({ALGORITHM: 2})),
        (json!({"one_time_keys": plain, "fallback_keys": {}}), json!({ALGORITHM: 2, "curve25519": 1})),
        (json!({"device_keys": null, "one_time_keys": null}), json!({ALGORITHM: 2, "curve25519": 1})),
        (json!({}), json!({ALGORITHM: 2, "curve25519": 1})),
    ] {
        assert_eq!(alice.post("/keys/upload", body).await.ok()["one_time_key_counts"], told);
    }
    let empty = alice.call(http::Method::POST, "/keys/upload").await.ok();
    assert_eq!(empty["one_time_key_counts"][ALGORITHM], 2, "no body at all");
}

/// DK-3: identity keys have all that the specification asks for, of the right types.
#[tokio::test]
async fn identity_keys_must_be_whole() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let good = DeviceKeys::new(&alice).signed();
    let mut bad = vec![json!("text"), json!(1), json!([]), json!([good])];
    for member in ["user_id", "device_id", "algorithms", "keys", "signatures"] {
        bad.push(without(good.clone(), member));
        for wrong in [json!(null), json!(1), json!([1]), json!({"x": 1})] {
            let mut object = good.clone();
            object[member] = wrong;
            bad.push(object);
        }
    }
    for device_keys in bad {
        alice.post("/keys/upload", json!({"device_keys": device_keys})).await.error(400, "M_BAD_JSON");
    }
    assert_eq!(device_keys(&bob, &alice).await, Value::Null);
}

/// DK-4: identity keys name the user and the device of the token.
#[tokio::test]
async fn identity_keys_name_their_own_device() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    for (user, device) in [
        (bob.user_id(), alice.device_id()),
        (alice.user_id(), "OTHER"),
        (alice.user_id(), ""),
        (alice.user_id(), &alice.device_id().to_lowercase()),
        (&alice.user_id().to_uppercase(), alice.device_id()),
    ] {
        let body = json!({"device_keys": DeviceKeys::of(user, device).signed()});
        alice.post("/keys/upload", body).await.error(400, "M_INVALID_PARAM");
    }
    assert_eq!(query(&bob, &alice).await["device_keys"], json!({alice.user_id(): {}}));
    assert_eq!(query(&alice, &bob).await["device_keys"], json!({bob.user_id(): {}}));
}

/// DK-5: what was uploaded comes back whole, fields nobody knows included, so its signature verifies; also after others
/// were added.
#[tokio::test]
async fn identity_keys_come_back_as_uploaded() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let keys = DeviceKeys::new(&alice);
    let mut object = without(keys.signed(), "signatures");
    object["org.example.future"] =
        json!({"deep": [1, {"er": "x"}, null, true, -9_007_199_254_740_991_i64], "ä": "\u{1}🦀"});
    object["dehydrated"] = json!(true);
    let uploaded = keys.sign(object);
    alice.post("/keys/upload", json!({"device_keys": uploaded})).await.ok();
    assert_eq!(device_keys(&bob, &alice).await, uploaded);

    let identity = CrossSigning::new(alice.user_id());
    alice.post("/keys/device_signing/upload", identity.upload()).await.ok();
    let signed = json!({alice.user_id(): {alice.device_id(): identity.sign_device(&uploaded)}});
    assert_eq!(alice.post("/keys/signatures/upload", signed).await.ok()["failures"], json!({}));
    alice.put(format!("/devices/{}", alice.device_id()), json!({"display_name": "Phone"})).await.ok();
    let served = device_keys(&bob, &alice).await;
    assert!(verifies(&served, alice.user_id(), alice.device_id(), &keys.ed25519()));
    let own = identity.self_signing.public_key().to_base64();
    assert!(verifies(&served, alice.user_id(), &own, &own), "{served}");
    assert_eq!(without(without(served, "unsigned"), "signatures"), without(uploaded, "signatures"));
}

/// DK-6: what a client says in `unsigned` is not passed on as if the server said it.
#[tokio::test]
async fn unsigned_is_the_servers() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut uploaded = DeviceKeys::new(&alice).signed();
    uploaded["unsigned"] = json!({"device_display_name": "Not so", "other": 1});
    alice.post("/keys/upload", json!({"device_keys": uploaded})).await.ok();
    assert_eq!(device_keys(&bob, &alice).await, without(uploaded.clone(), "unsigned"));
    alice.put(format!("/devices/{}", alice.device_id()), json!({"display_name": "Phone"})).await.ok();
    alice.post("/keys/upload", json!({"device_keys": uploaded})).await.ok();
    assert_eq!(device_keys(&bob, &alice).await["unsigned"], json!({"device_display_name": "Phone"}));
}

/// DK-8: the same keys again are no news to anybody, and lose no signature that others added.
#[tokio::test]
async fn the_same_identity_keys_again_change_nothing() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    alice.encrypted_room(&[&bob]).await;
    let mut keys = DeviceKeys::new(&alice);
    let uploaded = keys.signed();
    let body =
        json!({"device_keys": uploaded, "one_time_keys": keys.one_time_keys(2), "fallback_keys": keys.fallback_keys()});
    alice.post("/keys/upload", body.clone()).await.ok();
    let identity = CrossSigning::new(alice.user_id());
    alice.post("/keys/device_signing/upload", identity.upload()).await.ok();
    let signed = identity.sign_device(&uploaded);
    let body_of_signatures = json!({alice.user_id(): {alice.device_id(): signed}});
    alice.post("/keys/signatures/upload", body_of_signatures).await.ok();
    let mut sync = bob.syncing();
    sync.now().await;

    let (phone, mut with_unsigned) = (json!({"device_keys": signed}), uploaded.clone());
    with_unsigned["unsigned"] = json!({"device_display_name": "x"});
    for again in [body, json!({"device_keys": uploaded}), json!({"device_keys": with_unsigned}), phone] {
        assert_eq!(alice.post("/keys/upload", again).await.ok()["one_time_key_counts"][ALGORITHM], 2);
        assert!(!is_told(&mut sync, &bob, &alice).await);
        assert_eq!(device_keys(&bob, &alice).await, signed);
    }
    let mut other = without(uploaded, "signatures");
    other["algorithms"] = json!(["m.olm.v1.curve25519-aes-sha2"]);
    alice.post("/keys/upload", json!({"device_keys": keys.sign(other)})).await.ok();
    assert!(is_told(&mut sync, &bob, &alice).await, "something else is news");
}

/// DK-9, OTK-4, OTK-6, FBK-2: when one part is refused, no part is stored.
#[tokio::test]
async fn an_upload_is_stored_whole_or_not_at_all() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut keys = DeviceKeys::new(&alice);
    let there = json!({"signed_curve25519:AAAAAA": {"key": "there", "signatures": {}}});
    alice.post("/keys/upload", json!({"one_time_keys": there})).await.ok();
    let device = keys.signed();
    let (one_time, fallback) = (keys.one_time_keys(2), keys.fallback_keys());
    let and = |keys: &Value, name: &str, key: Value| {
        let mut keys = keys.clone();
        keys[name] = key;
        keys
    };
    let conflict = and(&one_time, "signed_curve25519:AAAAAA", json!({"key": "another", "signatures": {}}));
    let bad_part = [
        (json!({"user_id": alice.user_id()}), one_time.clone(), fallback.clone()),
        (device.clone(), and(&one_time, "noname", json!("x")), fallback.clone()),
        (device.clone(), and(&one_time, "signed_curve25519:A", json!(1)), fallback.clone()),
        (device.clone(), conflict, fallback.clone()),
        (
            device.clone(),
            one_time.clone(),
            and(&fallback, "signed_curve25519:A", json!({"key": "x", "signatures": {}})),
        ),
        (device.clone(), one_time.clone(), and(&fallback, "other:A", json!({"signatures": {}}))),
    ];
    for (device_keys, one_time_keys, fallback_keys) in bad_part {
        let body = json!({"device_keys": device_keys, "one_time_keys": one_time_keys, "fallback_keys": fallback_keys});
        let answer = alice.post("/keys/upload", body).await;
        assert_eq!(answer.status, 400, "{answer}");
    }
    assert_eq!(device_keys(&bob, &alice).await, Value::Null);
    assert_eq!(alice.sync(None).await["device_unused_fallback_key_types"], json!([]));
    assert_eq!(count(&alice).await, 1);
    assert_eq!(claim(&bob, &alice).await, there);
    assert_eq!(claim(&bob, &alice).await, Value::Null);
}

/// DK-10: an upload that races with the end of its device leaves nothing to a later device of the same id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_and_a_logout_at_once_leave_no_keys() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    for round in 0..10 {
        let phone = alice.login("PHONE").await;
        let mut keys = DeviceKeys::new(&phone);
        let body = json!({"device_keys": keys.signed(), "one_time_keys": keys.one_time_keys(3),
            "fallback_keys": keys.fallback_keys()});
        let (first, second) = (phone.clone(), phone.clone());
        let upload = tokio::spawn(async move { first.post("/keys/upload", body).await });
        let logout = async move { second.post("/logout", json!({})).await };
        // Now and then the upload gets a head start.
        for _ in 0..round % 3 {
            tokio::task::yield_now().await;
        }
        logout.await.ok();
        let upload = upload.await.unwrap();
        assert!(upload.status == 200 || upload.status == 401, "{upload}");
        assert_eq!(device_keys(&bob, &phone).await, Value::Null);
        let phone = alice.login("PHONE").await;
        assert_eq!(count(&phone).await, 0);
        assert_eq!(claim(&bob, &phone).await, Value::Null, "no fallback key either");
        assert_eq!(device_keys(&bob, &phone).await, Value::Null);
        phone.logout().await;
    }
}

/// DK-11: signatures of a device on its own keys are a matter between clients; made-up ones are stored and served.
#[tokio::test]
async fn made_up_signatures_of_devices_are_accepted() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut keys = DeviceKeys::new(&alice);
    let made_up = |mut key: Value| {
        key["signatures"] = json!({alice.user_id(): {format!("ed25519:{}", alice.device_id()): "made up"}});
        key
    };
    let device = made_up(keys.signed());
    let one_time = json!({"signed_curve25519:A": made_up(json!({"key": "made up"}))});
    let fallback = json!({"signed_curve25519:B": made_up(json!({"key": "made up", "fallback": true}))});
    alice
        .post("/keys/upload", json!({"device_keys": device, "one_time_keys": one_time, "fallback_keys": fallback}))
        .await
        .ok();
    assert_eq!(device_keys(&bob, &alice).await, device);
    assert_eq!(claim(&bob, &alice).await, one_time);
    assert_eq!(claim(&bob, &alice).await, fallback);
    // They come right with the next upload.
    let good = keys.signed();
    alice.post("/keys/upload", json!({"device_keys": good, "one_time_keys": keys.one_time_keys(1)})).await.ok();
    assert_eq!(device_keys(&bob, &alice).await, good);
}

/// DK-12: other identity keys make another device of it: its one-time and fallback keys and the signatures on it go, and
/// others are told.
#[tokio::test]
async fn a_new_identity_takes_nothing_of_the_old_one_along() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    alice.encrypted_room(&[&bob]).await;
    let mut old = DeviceKeys::new(&alice);
    let uploaded = old.one_time_keys(3);
    let body = json!({"device_keys": old.signed(), "one_time_keys": uploaded, "fallback_keys": old.fallback_keys()});
    alice.post("/keys/upload", body).await.ok();
    let identity = CrossSigning::new(alice.user_id());
    let mut keys = identity.upload();
    keys["master_key"] = old.sign(keys["master_key"].clone());
    alice.post("/keys/device_signing/upload", keys.clone()).await.ok();
    let signed = json!({alice.user_id(): {alice.device_id(): identity.sign_device(&old.signed())}});
    assert_eq!(alice.post("/keys/signatures/upload", signed).await.ok()["failures"], json!({}));
    let mut sync = bob.syncing();
    sync.now().await;

    let mut new = DeviceKeys::new(&alice);
    let answer = alice.post("/keys/upload", json!({"device_keys": new.signed()})).await.ok();
    assert_eq!(answer["one_time_key_counts"][ALGORITHM], 0);
    assert!(is_told(&mut sync, &bob, &alice).await);
    assert_eq!(claim(&bob, &alice).await, Value::Null);
    assert_eq!(alice.sync(None).await["device_unused_fallback_key_types"], json!([]));
    assert_eq!(device_keys(&bob, &alice).await, new.signed(), "without the signature of the self-signing key");
    let master = query(&bob, &alice).await["master_keys"][alice.user_id()].clone();
    assert_eq!(master["signatures"][alice.user_id()], Value::Null, "the old device vouched for it: {master}");
    // Ids are the new identity's own.
    let fresh = json!({"one_time_keys": uploaded});
    assert_eq!(alice.post("/keys/upload", fresh).await.ok()["one_time_key_counts"][ALGORITHM], 3);
    let both = json!({"device_keys": old.signed(), "one_time_keys": new.one_time_keys(1)});
    let answer = alice.post("/keys/upload", both).await.ok();
    assert_eq!(answer["one_time_key_counts"][ALGORITHM], 1, "those of the same upload stay");
}
