//! Cross-signing keys, the signatures between keys, and who sees which of them.

mod authentication;
mod names;
mod signatures;
mod told;
mod uploads;
mod visibility;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{
    Call, Client,
    keys::{CrossSigning, DeviceKeys},
};

/// All keys of a user as somebody sees them.
async fn query(by: &Client, of: &Client) -> Value {
    by.post("/keys/query", json!({"device_keys": {of.user_id(): []}})).await.ok()
}

/// The public master key that everybody sees, or null.
async fn master_of(of: &Client) -> Value {
    query(of, of).await["master_keys"][of.user_id()]["keys"].clone()
}

fn upload(by: &Client, body: Value) -> Call {
    by.post("/keys/device_signing/upload", body)
}

/// A user's first cross-signing keys.
async fn identity(of: &Client) -> CrossSigning {
    let identity = CrossSigning::new(of.user_id());
    upload(of, identity.upload()).await.ok();
    identity
}

/// A device's identity keys, uploaded.
async fn device_keys(of: &Client) -> DeviceKeys {
    let keys = DeviceKeys::new(of);
    of.post("/keys/upload", json!({"device_keys": keys.signed()})).await.ok();
    keys
}

/// Uploads signed objects, user to key to object; what failed.
async fn sign_up(by: &Client, objects: Value) -> Value {
    let answer = by.post("/keys/signatures/upload", objects).await.ok();
    assert!(answer["failures"].is_object(), "{answer}");
    answer["failures"].clone()
}

/// As [`sign_up`], and nothing fails.
async fn sign_well(by: &Client, objects: Value) {
    assert_eq!(sign_up(by, objects).await, json!({}));
}

/// The signatures on an object, each as `user key`.
fn signers(object: &Value) -> BTreeSet<String> {
    let users = object["signatures"].as_object().into_iter().flatten();
    users
        .flat_map(|(user, keys)| keys.as_object().into_iter().flatten().map(move |(key, _)| format!("{user} {key}")))
        .collect()
}

/// A signature as [`signers`] has it; `key` is a device id or a public key.
fn by(user: &Client, key: &str) -> String {
    format!("{} ed25519:{key}", user.user_id())
}

fn public(key: &vodozemac::Ed25519SecretKey) -> String {
    key.public_key().to_base64()
}

/// An object with a signature under a name that did not make it.
fn forged(mut object: Value, user: &Client, key: &str) -> Value {
    let nonsense = vodozemac::Ed25519SecretKey::new().sign(b"something else").to_base64();
    object["signatures"][user.user_id()][format!("ed25519:{key}")] = json!(nonsense);
    object
}

fn without(mut object: Value, member: &str) -> Value {
    object.as_object_mut().unwrap().remove(member);
    object
}

fn with(mut object: Value, member: &str, value: Value) -> Value {
    object[member] = value;
    object
}
