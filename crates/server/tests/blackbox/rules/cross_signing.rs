//! Cross-signing keys, and who sees which signature.

use serde_json::{Value, json};

use crate::harness::{
    Client, Server,
    keys::{CrossSigning, DeviceKeys, sign},
};

async fn query(by: &Client, of: &Client) -> Value {
    by.post("/keys/query", json!({"device_keys": {of.user_id(): []}})).await.ok()
}

async fn identity(of: &Client) -> CrossSigning {
    let identity = CrossSigning::new(of.user_id());
    of.post("/keys/device_signing/upload", identity.upload()).await.ok();
    identity
}

fn signers(object: &Value) -> Vec<String> {
    let users = object["signatures"].as_object().into_iter().flatten();
    users
        .flat_map(|(user, keys)| keys.as_object().into_iter().flatten().map(move |(key, _)| format!("{user} {key}")))
        .collect()
}

/// XS-6, XS-7, XS-8: no authentication for first keys nor for the same again, but for others.
#[tokio::test]
async fn replacing_keys_needs_the_password() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let first = identity(&alice).await;
    alice.post("/keys/device_signing/upload", first.upload()).await.ok();
    let second = CrossSigning::new(alice.user_id());
    let refused = alice.post("/keys/device_signing/upload", second.upload()).await;
    assert_eq!(refused.status, 401);
    assert!(refused.json()["session"].is_string() && refused.json()["flows"].is_array(), "{}", refused.text());
    assert_eq!(query(&alice, &alice).await["master_keys"][alice.user_id()]["keys"], first.master_key()["keys"]);
    alice.post("/keys/device_signing/upload", second.upload()).with_password().await.ok();
    assert_eq!(query(&alice, &alice).await["master_keys"][alice.user_id()]["keys"], second.master_key()["keys"]);
}

/// XS-3, XS-4, XS-2, XS-12.
#[tokio::test]
async fn keys_that_do_not_hold_together_are_refused() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let keys = CrossSigning::new(alice.user_id());
    let upload = |body: Value| alice.post("/keys/device_signing/upload", body);
    upload(json!({"self_signing_key": keys.self_signing_key()})).await.error(400, "M_MISSING_PARAM");
    let other = CrossSigning::new(alice.user_id());
    upload(json!({"master_key": keys.master_key(), "self_signing_key": other.self_signing_key()}))
        .await
        .error(400, "M_INVALID_SIGNATURE");
    upload(json!({"master_key": CrossSigning::new(bob.user_id()).master_key()})).await.error(400, "M_INVALID_PARAM");
    upload(json!({"master_key": keys.self_signing_key()})).await.error(400, "M_INVALID_PARAM");
    assert_eq!(query(&alice, &alice).await["master_keys"][alice.user_id()], Value::Null);
}

/// XS-5, DEV-13: keys and devices share one namespace, both ways round.
#[tokio::test]
async fn a_key_cannot_be_a_device_nor_a_device_a_key() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let keys = CrossSigning::new(alice.user_id());
    let public = keys.master.public_key().to_base64();
    alice.login(&public).await;
    alice.post("/keys/device_signing/upload", keys.upload()).with_password().await.error(403, "M_FORBIDDEN");
    let keys = identity(&alice).await;
    let login = json!({
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": alice.user_id()},
        "password": alice.password(),
        "device_id": keys.self_signing.public_key().to_base64(),
    });
    alice.post("/login", login).token(None).await.error(403, "M_FORBIDDEN");
}

/// KQ-7, KQ-8, KQ-9, SIG-10 to SIG-15: exactly the signatures one may see.
#[tokio::test]
async fn signatures_are_seen_by_those_who_may() {
    let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
    let alice_device = DeviceKeys::new(&alice);
    alice.post("/keys/upload", json!({"device_keys": alice_device.signed()})).await.ok();
    let (alice_keys, bob_keys) = (identity(&alice).await, identity(&bob).await);

    // Alice's device is signed by her self-signing key, her master key by her device, Bob's master key by her.
    let signed = json!({
        alice.user_id(): {
            alice.device_id(): alice_keys.sign_device(&alice_device.signed()),
            alice_keys.master.public_key().to_base64(): alice_device.sign(alice_keys.master_key()),
        },
        bob.user_id(): {bob_keys.master.public_key().to_base64(): alice_keys.sign_user(&bob_keys.master_key())},
    });
    let answer = alice.post("/keys/signatures/upload", signed).await.ok();
    assert_eq!(answer["failures"], json!({}));

    let by = |client: &Client, key: &str| format!("{} ed25519:{key}", client.user_id());
    let ssk = by(&alice, &alice_keys.self_signing.public_key().to_base64());
    let usk = by(&alice, &alice_keys.user_signing.public_key().to_base64());
    for asker in [&alice, &bob, &carol] {
        let answer = query(asker, &alice).await;
        let device = signers(&answer["device_keys"][alice.user_id()][alice.device_id()]);
        assert!(device.contains(&ssk), "SIG-12: {device:?}");
        let master = signers(&answer["master_keys"][alice.user_id()]);
        assert!(master.contains(&by(&alice, alice.device_id())), "SIG-14: {master:?}");
        assert!(answer["self_signing_keys"][alice.user_id()].is_object(), "KQ-8");
        let own = asker.user_id() == alice.user_id();
        assert_eq!(answer["user_signing_keys"][alice.user_id()].is_object(), own, "KQ-9");

        let answer = query(asker, &bob).await;
        let master = signers(&answer["master_keys"][bob.user_id()]);
        assert_eq!(master.contains(&usk), own, "SIG-10, SIG-15: {master:?}");
        assert!(!answer.to_string().contains("user_signing\"") || asker.user_id() == bob.user_id());
    }
}

/// SIG-2, SIG-3, SIG-4, SIG-7: each entry for itself, with its own errcode.
#[tokio::test]
async fn bad_signatures_fail_one_by_one() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let device = DeviceKeys::new(&alice);
    alice.post("/keys/upload", json!({"device_keys": device.signed()})).await.ok();
    let (keys, bobs) = (identity(&alice).await, identity(&bob).await);
    let upload = |body: Value| async { alice.post("/keys/signatures/upload", body).await.ok()["failures"].clone() };

    let unknown = upload(json!({alice.user_id(): {"NOPE": keys.sign_device(&device.signed())}})).await;
    assert_eq!(unknown[alice.user_id()]["NOPE"]["errcode"], "M_NOT_FOUND", "SIG-7");

    let stranger = CrossSigning::new(alice.user_id());
    let forged = sign(device.signed(), alice.user_id(), &stranger.self_signing);
    let failures = upload(json!({alice.user_id(): {alice.device_id(): forged}})).await;
    assert_eq!(failures[alice.user_id()][alice.device_id()]["errcode"], "M_INVALID_SIGNATURE", "SIG-4");

    let mut changed = device.signed();
    changed["algorithms"] = json!(["m.other"]);
    let failures = upload(json!({alice.user_id(): {alice.device_id(): keys.sign_device(&changed)}})).await;
    assert!(failures[alice.user_id()][alice.device_id()]["errcode"].is_string(), "SIG-2: {failures}");

    // A good one beside a bad one is stored.
    let bob_master = bobs.master.public_key().to_base64();
    let failures = upload(json!({
        alice.user_id(): {"NOPE": keys.sign_device(&device.signed())},
        bob.user_id(): {&bob_master: keys.sign_user(&bobs.master_key())},
    }))
    .await;
    assert_eq!(failures[bob.user_id()], Value::Null);
    let usk = keys.user_signing.public_key().to_base64();
    let master = query(&alice, &bob).await["master_keys"][bob.user_id()].clone();
    assert!(signers(&master).contains(&format!("{} ed25519:{usk}", alice.user_id())), "SIG-3: {master}");
}

/// XS-14: after a new master key, what the old one held together is gone.
#[tokio::test]
async fn a_new_master_key_leaves_nothing_of_the_old() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let (old, bobs) = (identity(&alice).await, identity(&bob).await);
    let master = old.master.public_key().to_base64();
    let signed = json!({alice.user_id(): {&master: bobs.sign_user(&old.master_key())}});
    assert_eq!(bob.post("/keys/signatures/upload", signed).await.ok()["failures"], json!({}));
    let new = CrossSigning::new(alice.user_id());
    let body = json!({"master_key": new.master_key()});
    alice.post("/keys/device_signing/upload", body).with_password().await.ok();
    let answer = query(&bob, &alice).await;
    assert_eq!(answer["master_keys"][alice.user_id()]["keys"], new.master_key()["keys"]);
    assert_eq!(answer["self_signing_keys"][alice.user_id()], Value::Null);
    assert!(!answer.to_string().contains(&bobs.user_signing.public_key().to_base64()));
}
