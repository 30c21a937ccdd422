//! Server-side key backups.

mod keys;
mod limits;
mod owners;
mod races;
mod rule;
mod versions;

use serde_json::{Value, json};

use crate::harness::{Call, Client, segment};

const ALGORITHM: &str = "m.megolm_backup.v1.curve25519-aes-sha2";
const ROOM: &str = "!room:example.org";
const KEYS: &str = "/room_keys/keys";

async fn new_version(of: &Client) -> String {
    let body = json!({"algorithm": ALGORITHM, "auth_data": {"public_key": "abc"}});
    of.post("/room_keys/version", body).await.ok()["version"].as_str().expect("a string").to_owned()
}

/// The path of one version.
fn at_version(version: &str) -> String {
    format!("/room_keys/version/{}", segment(version))
}

/// What the user hears of a version.
async fn info(of: &Client, version: &str) -> Value {
    of.get(at_version(version)).await.ok()
}

/// A key with these ranks, which its `session_data` tells.
fn key(first: u64, forwarded: u64, verified: bool) -> Value {
    json!({
        "first_message_index": first, "forwarded_count": forwarded, "is_verified": verified,
        "session_data": {"ciphertext": format!("{first}-{forwarded}-{verified}"), "ephemeral": "e", "mac": "m"},
    })
}

fn room_path(room: &str) -> String {
    format!("{KEYS}/{}", segment(room))
}

fn path(session: &str) -> String {
    in_room(ROOM, session)
}

fn in_room(room: &str, session: &str) -> String {
    format!("{}/{}", room_path(room), segment(session))
}

/// A request with the version it is about.
fn of_version(call: Call, version: &str) -> Call {
    call.query("version", version)
}

async fn put(of: &Client, version: &str, session: &str, key: &Value) -> Value {
    of_version(of.put(path(session), key.clone()), version).await.ok()
}

async fn get(of: &Client, version: &str, session: &str) -> Value {
    of_version(of.get(path(session)), version).await.ok()
}

/// All keys of a version.
async fn all(of: &Client, version: &str) -> Value {
    of_version(of.get(KEYS), version).await.ok()
}
