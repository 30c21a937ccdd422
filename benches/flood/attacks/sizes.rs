//! Requests that are too large.

use std::time::Instant;

use reqwest::{Body, Method};
use serde_json::{Map, Value, json};

use super::{Found, WORKERS, World, flood, refused};
use crate::{client::Client, tally::Tally};

/// A backup of so many keys; an answer with all of it has some 30 MB.
const ROOMS: usize = 4;
const KEYS: usize = 5_000;
const KEY_BYTES: usize = 1_500;

/// Bodies that are too large and say so; that are too large and do not say so; and that are as large as a backup may be.
pub(super) async fn huge_bodies(world: &World, end: Instant, tally: &Tally) -> Found {
    // Made once: what is sent is no memory of this program's.
    let text = |mib: usize| bytes_of(format!("{{\"rooms\":\"{}\"}}", "x".repeat(mib << 20)));
    let (announced, largest) = (text(120), text(90));
    flood(WORKERS, end, tally, |worker, _| {
        let by = &world.gang[worker % 4];
        let body = if worker % 2 == 0 { announced } else { largest };
        async move {
            let answer = by.send_bytes(Method::PUT, "/room_keys/keys?version=1", Some(Body::from(body))).await;
            answer.map_or_else(|word| word, |answer| answer.status.to_string())
        }
    })
    .await;
    // Who goes on sending after the answer may see only that the connection is closed.
    if tally.of("200") == 0 { Ok(None) } else { Err("a body that is no backup was taken for one".to_owned()) }
}

fn bytes_of(text: String) -> &'static [u8] {
    // For the rest of the run, a few seconds.
    text.leak().as_bytes()
}

pub(super) async fn deep_json(world: &World, end: Instant, tally: &Tally) -> Found {
    let deep = bytes_of(format!("{{\"device_keys\":{}", "[".repeat(7 << 20)));
    flood(WORKERS, end, tally, |_, _| async {
        let answer = world.mallory.send_bytes(Method::POST, "/keys/query", Some(Body::from(deep))).await;
        answer.map_or_else(|word| word, |answer| answer.status.to_string())
    })
    .await;
    refused(tally, "400")
}

pub(super) async fn backups(world: &World, end: Instant, tally: &Tally) -> Found {
    let keys = rooms(1, 1_000);
    // One at a time each: keys are taken for the newest version only.
    flood(world.gang.len(), end, tally, |worker, _| {
        let (by, keys) = (&world.gang[worker], &keys);
        async move {
            match version(by).await {
                Ok(version) => {
                    tally.add("200 version");
                    by.outcome(Method::PUT, &format!("/room_keys/keys?version={version}"), Some(keys)).await
                }
                Err(outcome) => outcome,
            }
        }
    })
    .await;
    Ok(None)
}

/// A backup that is large to ask for; its version.
pub(super) async fn large_backup(of: &Client) -> Result<String, String> {
    let version = version(of).await.map_err(|outcome| format!("a backup version: {outcome}"))?;
    of.done(Method::PUT, &format!("/room_keys/keys?version={version}"), Some(&rooms(ROOMS, KEYS))).await?;
    Ok(version)
}

async fn version(by: &Client) -> Result<String, String> {
    let body = json!({"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2",
        "auth_data": {"public_key": "a", "signatures": {}}});
    let answer = by.send(Method::POST, "/room_keys/version", Some(&body)).await?;
    answer.body["version"].as_str().map(str::to_owned).ok_or_else(|| answer.status.to_string())
}

fn rooms(rooms: usize, keys: usize) -> Value {
    let session = json!({"first_message_index": 0, "forwarded_count": 0, "is_verified": true,
        "session_data": {"ciphertext": "x".repeat(KEY_BYTES), "ephemeral": "e", "mac": "m"}});
    let sessions: Map<_, _> = (0..keys).map(|n| (format!("session{n}"), session.clone())).collect();
    let room = json!({"sessions": sessions});
    let rooms: Map<_, _> = (0..rooms).map(|n| (format!("!room{n}:localhost"), room.clone())).collect();
    json!({"rooms": rooms})
}
