//! Cross-signing keys and signatures, and who hears of which.

use serde_json::{Value, json};
use vodozemac::Ed25519SecretKey;

use super::{Told::*, Watch, upload_identity, upload_keys};
use crate::harness::{Client, Server, keys::CrossSigning};

async fn sign(by: &Client, of: &Client, id: &str, object: Value) {
    let answer = by.post("/keys/signatures/upload", json!({of.user_id(): {id: object}})).await.ok();
    assert!(answer["failures"].as_object().is_none_or(|failures| failures.is_empty()), "{answer}");
}

fn public(key: &Ed25519SecretKey) -> String {
    key.public_key().to_base64()
}

/// DL-11: a new user-signing key is nobody's business but the owner's.
#[tokio::test]
async fn a_user_signing_key_is_told_to_its_owner_only() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    alice.encrypted_room(&[&bob]).await;
    let phone = alice.another_device().await;
    let mut identity = upload_identity(&alice).await;
    let (mut own, mut other) = ([Watch::start(&alice).await, Watch::start(&phone).await], Watch::start(&bob).await);
    identity.user_signing = Ed25519SecretKey::new();
    let body = json!({"user_signing_key": identity.user_signing_key()});
    alice.post("/keys/device_signing/upload", body).with_password().await.ok();
    for watch in &mut own {
        watch.peek().await.tell(&alice, Changed, "own devices use the key");
        watch.next().await.tell(&alice, Changed, "also after a lost answer");
        watch.next().await.are_empty("once");
    }
    other.next().await.are_empty("others never see the key");
    // With keys that others see, others hear of it.
    upload_identity(&alice).await;
    other.next().await.tell(&alice, Changed, "a new master key");
}

/// DL-12: that Alice verified Bob is told to Alice's devices, and to nobody else, Bob included.
#[tokio::test]
async fn a_signature_on_another_user_is_told_to_the_signer_only() {
    let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
    let room = alice.encrypted_room(&[&bob, &carol]).await;
    let phone = alice.another_device().await;
    let (by, of) = (upload_identity(&alice).await, upload_identity(&bob).await);
    let mut own = [Watch::start(&alice).await, Watch::start(&phone).await];
    let mut others = [Watch::start(&bob).await, Watch::start(&carol).await];
    let signed = by.sign_user(&of.master_key());
    sign(&alice, &bob, &public(&of.master), signed.clone()).await;
    for watch in &mut own {
        watch.next().await.tell(&bob, Changed, "verified").tell(&alice, Nothing, "Alice did not change");
    }
    // The same signature again is no news.
    sign(&alice, &bob, &public(&of.master), signed.clone()).await;
    for watch in own.iter_mut().chain(&mut others) {
        watch.next().await.are_empty("nothing more to tell");
    }
    // Who was verified and left at once is not tracked any more, and not told of both ways.
    let other = upload_identity(&bob).await;
    own[0].next().await;
    sign(&alice, &bob, &public(&other.master), by.sign_user(&other.master_key())).await;
    bob.leave(&room).await;
    own[0].next().await.tell(&bob, Left, "the end decides");
}

/// DL-13: a device that was signed by its user's key, and a master key that was signed by a device, are changes of that
/// user for everyone who may see them.
#[tokio::test]
async fn a_new_signature_on_own_keys_is_a_change() {
    let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
    alice.encrypted_room(&[&bob]).await;
    let device = upload_keys(&alice).await;
    let identity: CrossSigning = upload_identity(&alice).await;
    let mut told = [Watch::start(&bob).await, Watch::start(&alice).await];
    let mut untold = Watch::start(&carol).await;
    let by_identity = identity.sign_device(&device.signed());
    let by_device = device.sign(identity.master_key());
    for (what, id, object) in [
        ("a device", alice.device_id().to_owned(), by_identity),
        ("the master key", public(&identity.master), by_device),
    ] {
        sign(&alice, &alice, &id, object.clone()).await;
        for watch in &mut told {
            watch.next().await.tell(&alice, Changed, what);
        }
        sign(&alice, &alice, &id, object).await;
        for watch in &mut told {
            watch.next().await.are_empty("the same signature again is no news");
        }
        untold.next().await.are_empty("who shares no room hears nothing");
    }
}
