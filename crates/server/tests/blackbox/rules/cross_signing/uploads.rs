//! What an upload of cross-signing keys must look like, and what becomes of it.

use serde_json::{Value, json};
use vodozemac::Ed25519SecretKey;

use super::{by, device_keys, identity, master_of, public, query, signers, upload, with, without};
use crate::harness::{
    Client, Server,
    keys::{CrossSigning, DeviceKeys, sign},
};

/// XS-1: keys come together or one after the other, and the answer is an empty object.
#[tokio::test]
async fn keys_may_come_one_by_one() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let keys = CrossSigning::new(alice.user_id());
    let parts = [
        ("master_key", keys.master_key()),
        ("self_signing_key", keys.self_signing_key()),
        ("user_signing_key", keys.user_signing_key()),
    ];
    for (member, key) in parts {
        assert_eq!(upload(&alice, json!({member: key})).with_password().await.ok(), json!({}));
    }
    let answer = query(&alice, &alice).await;
    assert_eq!(answer["master_keys"][alice.user_id()], keys.master_key());
    assert_eq!(answer["self_signing_keys"][alice.user_id()], keys.self_signing_key());
    assert_eq!(answer["user_signing_keys"][alice.user_id()], keys.user_signing_key());
    let together = CrossSigning::new(bob.user_id());
    assert_eq!(upload(&bob, together.upload()).await.ok(), json!({}));
    assert_eq!(query(&alice, &bob).await["master_keys"][bob.user_id()], together.master_key());
}

/// Whether nothing of the user's is served.
async fn has_nothing(user: &Client) -> bool {
    let answer = query(user, user).await;
    ["master_keys", "self_signing_keys", "user_signing_keys"]
        .iter()
        .all(|member| answer[member][user.user_id()] == Value::Null)
}

/// XS-2: the key's owner, its one role and its one public key under its own name must be right.
#[tokio::test]
async fn a_key_says_whose_it_is_and_what_for() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let keys = CrossSigning::new(alice.user_id());
    let good = keys.master_key();
    let own = public(&keys.master);
    let other = public(&Ed25519SecretKey::new());
    let mut bad: Vec<Value> = ["user_id", "usage", "keys"].map(|member| without(good.clone(), member)).to_vec();
    bad.extend([
        with(good.clone(), "user_id", json!(bob.user_id())),
        with(good.clone(), "usage", json!([])),
        with(good.clone(), "usage", json!("master")),
        with(good.clone(), "usage", json!(["self_signing"])),
        with(good.clone(), "usage", json!(["master", "user_signing"])),
        with(good.clone(), "keys", json!({})),
        with(good.clone(), "keys", json!({format!("ed25519:{own}"): own, format!("ed25519:{other}"): other})),
        with(good.clone(), "keys", json!({format!("ed25519:{own}"): other})),
        with(good.clone(), "keys", json!({format!("ed25519:{own}="): format!("{own}=")})),
        with(good.clone(), "keys", json!({&own: own})),
        with(good.clone(), "keys", json!({format!("ed25519:{own}"): 1})),
    ]);
    for key in bad {
        upload(&alice, json!({"master_key": key})).await.error(400, "M_INVALID_PARAM");
    }
    // The other roles are looked at as the first is.
    let body = json!({"master_key": good, "self_signing_key": keys.user_signing_key()});
    upload(&alice, body).await.error(400, "M_INVALID_PARAM");
    let body = json!({"master_key": good, "user_signing_key": keys.self_signing_key()});
    upload(&alice, body).await.error(400, "M_INVALID_PARAM");
    for body in [json!({"master_key": []}), json!({"master_key": "text"}), json!([])] {
        upload(&alice, body).await.error(400, "M_BAD_JSON");
    }
    assert!(has_nothing(&alice).await);
}

/// XS-3, XS-12: the other two keys are signed by the master key of the request, else by the stored one; one that is not
/// takes the whole request with it.
#[tokio::test]
async fn the_master_key_signs_the_other_two() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let keys = CrossSigning::new(alice.user_id());
    let stranger = Ed25519SecretKey::new();
    let roles = [("self_signing_key", keys.self_signing_key()), ("user_signing_key", keys.user_signing_key())];
    for (member, good) in &roles {
        let bare = without(good.clone(), "signatures");
        let mut wrong = good.clone();
        let signature = sign(json!({"other": "object"}), alice.user_id(), &keys.master)["signatures"].clone();
        wrong["signatures"] = signature;
        let bad = [
            bare.clone(),
            wrong,
            sign(bare.clone(), alice.user_id(), &stranger),
            sign(bare.clone(), bob.user_id(), &keys.master),
            with(good.clone(), "org.example.added", json!("later")),
        ];
        for key in bad {
            let mut body = keys.upload();
            body[*member] = key;
            upload(&alice, body).await.error(400, "M_INVALID_SIGNATURE");
            assert!(has_nothing(&alice).await, "all or none");
        }
    }
    upload(&alice, json!({"master_key": keys.master_key()})).await.ok();
    // By the stored key.
    for (member, good) in &roles {
        upload(&alice, json!({*member: good})).with_password().await.ok();
    }
    // The stored key does not count where the request brings another.
    let next = CrossSigning::new(alice.user_id());
    let body = json!({"master_key": next.master_key(), "self_signing_key": keys.self_signing_key()});
    upload(&alice, body).with_password().await.error(400, "M_INVALID_SIGNATURE");
    assert_eq!(master_of(&alice).await, keys.master_key()["keys"]);
}

/// XS-12: of keys that replace others, too, all are stored or none.
#[tokio::test]
async fn a_replacement_is_whole() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let old = identity(&alice).await;
    let before = query(&alice, &alice).await;
    let new = CrossSigning::new(alice.user_id());
    let mut body = new.upload();
    body["user_signing_key"] = old.user_signing_key();
    upload(&alice, body).with_password().await.error(400, "M_INVALID_SIGNATURE");
    let mut body = new.upload();
    body["self_signing_key"]["usage"] = json!(["master"]);
    upload(&alice, body).with_password().await.error(400, "M_INVALID_PARAM");
    assert_eq!(query(&alice, &alice).await, before);
    upload(&alice, new.upload()).with_password().await.ok();
    let after = query(&alice, &alice).await;
    assert_eq!(after["master_keys"][alice.user_id()], new.master_key());
    assert_eq!(after["self_signing_keys"][alice.user_id()], new.self_signing_key());
    assert_eq!(after["user_signing_keys"][alice.user_id()], new.user_signing_key());
}

/// XS-4: without any master key there is nothing to hold the others together.
#[tokio::test]
async fn a_master_key_comes_first() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let keys = CrossSigning::new(alice.user_id());
    for body in [
        json!({"self_signing_key": keys.self_signing_key()}),
        json!({"user_signing_key": keys.user_signing_key()}),
        json!({"self_signing_key": keys.self_signing_key(), "user_signing_key": keys.user_signing_key()}),
    ] {
        upload(&alice, body).await.error(400, "M_MISSING_PARAM");
    }
    assert!(has_nothing(&alice).await);
}

/// XS-11, KQ-7, KQ-8, KQ-9: keys come back with members that nobody here knows, so their signatures still hold; what is
/// not signed is the server's.
#[tokio::test]
async fn keys_come_back_as_they_were_uploaded() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let keys = CrossSigning::new(alice.user_id());
    let more = |key: Value, depth: u64| with(key, "org.example.future", json!({"deep": [depth, {"er": null}]}));
    let master = more(keys.master_key(), 1);
    let signed = |key: Value, depth| sign(more(without(key, "signatures"), depth), alice.user_id(), &keys.master);
    let self_signing = signed(keys.self_signing_key(), 2);
    let user_signing = signed(keys.user_signing_key(), 3);
    let body = json!({
        "master_key": with(master.clone(), "unsigned", json!({"mine": true})),
        "self_signing_key": self_signing,
        "user_signing_key": user_signing,
    });
    upload(&alice, body).await.ok();
    for asker in [&alice, &bob] {
        let answer = query(asker, &alice).await;
        assert_eq!(answer["master_keys"][alice.user_id()], master);
        assert_eq!(answer["self_signing_keys"][alice.user_id()], self_signing);
        let own = asker.user_id() == alice.user_id();
        let expected = if own { user_signing.clone() } else { Value::Null };
        assert_eq!(answer["user_signing_keys"][alice.user_id()], expected);
    }
}

/// XS-15, SIG-14: a device may sign the master key before it is uploaded.
#[tokio::test]
async fn a_device_signature_may_come_inside_the_master_key() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let device = device_keys(&alice).await;
    let keys = CrossSigning::new(alice.user_id());
    let master = device.sign(keys.master_key());
    upload(&alice, with(keys.upload(), "master_key", master.clone())).await.ok();
    for asker in [&alice, &bob] {
        assert_eq!(query(asker, &alice).await["master_keys"][alice.user_id()], master);
    }
    // The bare key again is the same key: it asks for nothing and loses nothing.
    upload(&alice, keys.upload()).await.ok();
    assert_eq!(query(&bob, &alice).await["master_keys"][alice.user_id()], master);
    // A further device's signature needs no password either.
    let tablet = alice.another_device().await;
    let further = device_keys(&tablet).await.sign(keys.master_key());
    upload(&alice, json!({"master_key": further})).await.ok();
    let signed = signers(&query(&bob, &alice).await["master_keys"][alice.user_id()]);
    assert_eq!(signed, [by(&alice, alice.device_id()), by(&alice, tablet.device_id())].into());
}

/// XS-14: with another master key, what the old one held together is gone, for everybody.
#[tokio::test]
async fn a_new_master_key_leaves_nothing_of_the_old() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let device = device_keys(&alice).await;
    let (old, bobs) = (identity(&alice).await, identity(&bob).await);
    let signed = json!({alice.user_id(): {
        alice.device_id(): old.sign_device(&device.signed()),
        public(&old.master): device.sign(old.master_key()),
    }});
    super::sign_well(&alice, signed).await;
    super::sign_well(&bob, json!({alice.user_id(): {public(&old.master): bobs.sign_user(&old.master_key())}})).await;
    super::sign_well(&alice, json!({bob.user_id(): {public(&bobs.master): old.sign_user(&bobs.master_key())}})).await;

    let new = CrossSigning::new(alice.user_id());
    upload(&alice, json!({"master_key": new.master_key()})).with_password().await.ok();
    let gone = [public(&old.master), public(&old.self_signing), public(&old.user_signing), public(&bobs.user_signing)];
    for asker in [&alice, &bob] {
        let answer = query(asker, &alice).await;
        assert_eq!(answer["master_keys"][alice.user_id()], new.master_key(), "without any signature");
        assert_eq!(answer["self_signing_keys"][alice.user_id()], Value::Null);
        assert_eq!(answer["user_signing_keys"][alice.user_id()], Value::Null);
        let text = answer.to_string();
        assert!(gone.iter().all(|key| !text.contains(key.as_str())), "{text}");
    }
    // What the old user-signing key said of others counts no more either.
    let master = query(&alice, &bob).await["master_keys"][bob.user_id()].clone();
    assert_eq!(master, bobs.master_key());
    // And does not come back with the old keys.
    upload(&alice, old.upload()).with_password().await.ok();
    assert_eq!(signers(&query(&bob, &alice).await["master_keys"][alice.user_id()]), [].into());
}

/// XS-14: a new self-signing key starts without the signatures of the one before.
#[tokio::test]
async fn a_new_self_signing_key_has_signed_nothing_yet() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let device = device_keys(&alice).await;
    let old = identity(&alice).await;
    super::sign_well(&alice, json!({alice.user_id(): {alice.device_id(): old.sign_device(&device.signed())}})).await;
    let mut new = CrossSigning::new(alice.user_id());
    new.master = Ed25519SecretKey::from_slice(&old.master.to_bytes());
    let body = json!({"self_signing_key": new.self_signing_key(), "user_signing_key": new.user_signing_key()});
    upload(&alice, body).with_password().await.ok();
    for asker in [&alice, &bob] {
        let answer = query(asker, &alice).await;
        assert_eq!(answer["device_keys"][alice.user_id()][alice.device_id()], device.signed());
        assert_eq!(answer["self_signing_keys"][alice.user_id()], new.self_signing_key());
    }
    super::sign_well(&alice, json!({alice.user_id(): {alice.device_id(): new.sign_device(&device.signed())}})).await;
    let signed = signers(&query(&bob, &alice).await["device_keys"][alice.user_id()][alice.device_id()]);
    assert_eq!(signed, [by(&alice, alice.device_id()), by(&alice, &public(&new.self_signing))].into());
}

/// DEV-18: with the account its keys go, and nobody sees any of them.
#[tokio::test]
async fn with_the_account_all_its_keys_go() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let (keys, bobs) = (identity(&alice).await, identity(&bob).await);
    let device = keys.sign_device(&DeviceKeys::new(&alice).signed());
    alice.post("/keys/upload", json!({"device_keys": device})).await.ok();
    super::sign_well(&bob, json!({alice.user_id(): {public(&keys.master): bobs.sign_user(&keys.master_key())}})).await;
    let before = query(&bob, &alice).await;
    assert_eq!(signers(&before["master_keys"][alice.user_id()]), [by(&bob, &public(&bobs.user_signing))].into());
    assert_eq!(before["device_keys"][alice.user_id()][alice.device_id()], device);
    alice.post("/account/deactivate", json!({})).with_password().await.ok();
    let after = query(&bob, &alice).await;
    assert!(after["device_keys"][alice.user_id()].as_object().is_none_or(serde_json::Map::is_empty), "{after}");
    for keys in ["master_keys", "self_signing_keys", "user_signing_keys"] {
        assert_eq!(after[keys][alice.user_id()], Value::Null);
    }
    assert_eq!(after["failures"], json!({}));
}
