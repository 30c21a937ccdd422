//! Devices and cross-signing keys share one space of names.

use serde_json::{Value, json};

use super::{device_keys, identity, master_of, public, query, upload, with};
use crate::{
    harness::{
        Call, Client, Server,
        keys::{CrossSigning, DeviceKeys, sign},
    },
    rules::dehydrated::dehydrate,
};

fn login(user: &Client, device_id: &str) -> Call {
    let body = json!({
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user.user_id()},
        "password": user.password(),
        "device_id": device_id,
    });
    user.post("/login", body).token(None)
}

/// XS-5: no public key may be the id of a device of the user, whatever the role of the one and the kind of the other.
#[tokio::test]
async fn a_key_cannot_be_called_like_a_device() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    for role in 0..3 {
        let keys = CrossSigning::new(alice.user_id());
        let name = public([&keys.master, &keys.self_signing, &keys.user_signing][role]);
        let device = alice.login(&name).await;
        upload(&alice, keys.upload()).await.error(403, "M_FORBIDDEN");
        device_keys(&device).await;
        upload(&alice, keys.upload()).await.error(403, "M_FORBIDDEN");
        device.logout().await;
        dehydrate(&alice, &name).await.ok();
        upload(&alice, keys.upload()).await.error(403, "M_FORBIDDEN");
        assert_eq!(master_of(&alice).await, Value::Null);
    }
    // Names are of one user: those of another do not matter.
    let first = CrossSigning::new(alice.user_id());
    bob.login(&public(&first.master)).await;
    upload(&alice, first.upload()).await.ok();
    // The same beside keys that are stored, and before the password is asked for.
    let next = CrossSigning::new(alice.user_id());
    alice.login(&public(&next.self_signing)).await;
    upload(&alice, next.upload()).await.error(403, "M_FORBIDDEN");
    assert_eq!(master_of(&alice).await, first.master_key()["keys"]);
}

/// XS-5: a key and a device that come at once do not both stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_and_a_device_of_one_name_do_not_both_come() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    for _ in 0..10 {
        let keys = CrossSigning::new(alice.user_id());
        let name = public(&keys.user_signing);
        let begun = {
            let (alice, name) = (alice.clone(), name.clone());
            tokio::spawn(async move { login(&alice, &name).await.status })
        };
        let uploaded = upload(&alice, keys.upload()).with_password().await;
        let logged_in = begun.await.unwrap();
        assert!(matches!((uploaded.status, logged_in), (200, 403) | (403, 200)), "{logged_in} {uploaded}");
        let is_device = alice.get(format!("/devices/{}", crate::harness::segment(&name))).await.status == 200;
        let is_key = query(&alice, &alice).await["user_signing_keys"][alice.user_id()] == keys.user_signing_key();
        assert!(is_device != is_key);
    }
}

/// XS-17, DEV-13, DEV-14: no device may be called like one of the user's keys, nor like one that was replaced.
#[tokio::test]
async fn a_device_cannot_be_called_like_a_key() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let first = identity(&alice).await;
    let names = [&first.master, &first.self_signing, &first.user_signing].map(public);
    let refused = async || {
        for name in &names {
            login(&alice, name).await.error(403, "M_FORBIDDEN");
            dehydrate(&alice, name).await.error(403, "M_FORBIDDEN");
        }
        let devices = alice.get("/devices").await.ok();
        assert_eq!(devices["devices"].as_array().map(Vec::len), Some(1), "{devices}");
        assert_eq!(query(&bob, &alice).await["device_keys"][alice.user_id()], json!({}));
    };
    refused().await;
    upload(&alice, CrossSigning::new(alice.user_id()).upload()).with_password().await.ok();
    refused().await;
    bob.login(&names[0]).await;
}

/// XS-17: one public key has one role.
#[tokio::test]
async fn a_key_has_one_role() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let keys = CrossSigning::new(alice.user_id());
    let as_role = |role: &str, key: &vodozemac::Ed25519SecretKey| {
        let name = public(key);
        let object = json!({"user_id": alice.user_id(), "usage": [role], "keys": {format!("ed25519:{name}"): name}});
        sign(object, alice.user_id(), &keys.master)
    };
    for (member, key) in [
        ("user_signing_key", as_role("user_signing", &keys.self_signing)),
        ("user_signing_key", as_role("user_signing", &keys.master)),
        ("self_signing_key", as_role("self_signing", &keys.master)),
    ] {
        upload(&alice, with(keys.upload(), member, key)).await.error(400, "M_INVALID_PARAM");
    }
    assert_eq!(master_of(&alice).await, Value::Null);
    upload(&alice, keys.upload()).await.ok();
    let body = json!({"master_key": as_role("master", &keys.self_signing)});
    upload(&alice, body).with_password().await.error(400, "M_INVALID_PARAM");
    let body = json!({"user_signing_key": as_role("user_signing", &keys.self_signing)});
    upload(&alice, body).with_password().await.error(400, "M_INVALID_PARAM");
    assert_eq!(master_of(&alice).await, keys.master_key()["keys"]);
}

/// XS-5: a device's own signing key is no name: only ids are.
#[tokio::test]
async fn a_device_key_is_no_name() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let keys = CrossSigning::new(alice.user_id());
    let name = public(&keys.master);
    let device = DeviceKeys::new(&alice).signed();
    let device = with(device, "keys", json!({format!("ed25519:{}", alice.device_id()): name}));
    alice.post("/keys/upload", json!({"device_keys": device})).await.ok();
    upload(&alice, keys.upload()).await.ok();
    assert_eq!(master_of(&alice).await, keys.master_key()["keys"]);
}
