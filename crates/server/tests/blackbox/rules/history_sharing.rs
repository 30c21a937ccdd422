//! Sharing the keys of a room's history with who is invited: to-device messages, claims and media that a bundle of room
//! keys rests on.

use std::{sync::Arc, time::Duration};

use http::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Clock, Server, at, keys::DeviceKeys, to_device};

async fn upload(by: &Client, content: &[u8]) -> String {
    let reply = by.call(Method::POST, "/_matrix/media/v3/upload").bytes(content, "application/octet-stream").await;
    let uri = reply.ok()["content_uri"].as_str().expect("a URI").to_owned();
    uri.strip_prefix("mxc://").expect("an mxc URI").to_owned()
}

fn path(media: &str) -> String {
    format!("/_matrix/client/v1/media/download/{media}")
}

/// HKS-1: the message that announces a bundle is passed on as any other.
#[tokio::test]
async fn the_announcement_of_a_bundle_is_opaque() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let contents = [
        json!({"room_id": "!r:x", "file": {"v": "v2", "url": "mxc://x/y", "key": {"k": "…"}, "hashes": {"sha256": "…"}}}),
        json!({"algorithm": "m.olm.v1.curve25519-aes-sha2", "ciphertext": {"key": {"type": 0, "body": "AwogL+"}}}),
        json!({"unknown": [null, {"deep": {}}], "": "\u{1d11e}"}),
    ];
    for content in &contents {
        let messages = json!({bob.user_id(): {bob.device_id(): content}});
        alice.send_to_device("m.room_key_bundle", messages).await;
    }
    let events = to_device(&bob.sync(None).await);
    let expected: Vec<_> = contents
        .iter()
        .map(|content| json!({"type": "m.room_key_bundle", "sender": alice.user_id(), "content": content}))
        .collect();
    assert_eq!(events, expected);
}

/// HKS-2: whoever has a token and the address gets the bundle, in whatever room they are.
#[tokio::test]
async fn a_bundle_is_downloaded_with_a_token_alone() {
    let server = Server::shared().await;
    let [alice, bob] = server.users(["alice", "bob"]).await;
    alice.encrypted_room(&[]).await;
    let bundle: Vec<u8> = (0..40_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    let media = upload(&alice, &bundle).await;
    let reply = bob.get(path(&media)).await;
    assert_eq!((reply.status, reply.bytes == bundle), (200, true));
    assert_eq!(server.guest().await.get(path(&media)).await.bytes, bundle);
    bob.get(path(&media)).token(None).await.error(401, "M_MISSING_TOKEN");
}

/// HKS-3, KQ-12: keys of a user are queried and claimed without any room in common.
#[tokio::test]
async fn strangers_can_be_encrypted_for() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut keys = DeviceKeys::new(&bob);
    keys.upload(&bob, 1, true).await;
    let answer = alice.post("/keys/query", json!({"device_keys": {bob.user_id(): []}})).await.ok();
    let device = &answer["device_keys"][bob.user_id()][bob.device_id()];
    assert_eq!(device["keys"][format!("ed25519:{}", bob.device_id())], keys.ed25519());
    for fallback in [false, true] {
        let claim = json!({"one_time_keys": {bob.user_id(): {bob.device_id(): "signed_curve25519"}}});
        let answer = alice.post("/keys/claim", claim).await.ok();
        let given = answer["one_time_keys"][bob.user_id()][bob.device_id()].as_object().expect("a key").clone();
        let key = given.values().next().expect("a key");
        assert_eq!(key.get("fallback").is_some(), fallback, "{answer}");
    }
}

/// HKS-4: what was sent before an invitation comes no later than it, also to a device that was away.
#[tokio::test]
async fn a_bundle_comes_with_the_invitation() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let away = bob.login("AWAY").await;
    let (mut at_bob, mut at_away) = (bob.syncing(), away.syncing());
    at_bob.now().await;
    at_away.now().await;
    let room = alice.encrypted_room(&[]).await;
    alice.send_text(&room, "history").await;
    let messages = json!({bob.user_id(): {"*": {"room_id": room}}});
    alice.send_to_device("m.room_key_bundle", messages).await;
    alice.invite(&room, &bob).await;
    // Much else happens meanwhile.
    for _ in 0..30 {
        alice.send_text(&room, "more").await;
    }
    for sync in [&mut at_bob, &mut at_away] {
        let sync = sync.now().await;
        let invited = &sync["rooms"]["invite"][&room]["invite_state"]["events"];
        assert!(invited.as_array().is_some_and(|events| !events.is_empty()), "{sync}");
        let bundles: Vec<Value> = to_device(&sync);
        assert_eq!(bundles.len(), 1, "{sync}");
        assert_eq!(
            (&bundles[0]["type"], &bundles[0]["content"]["room_id"]),
            (&json!("m.room_key_bundle"), &json!(room))
        );
    }
    // A first sync of who was never here has both as well.
    let sync = away.sync(None).await;
    assert!(sync["rooms"]["invite"][&room].is_object() && to_device(&sync).len() == 1, "{sync}");
}

/// HKS-4: the bundle alone is not held back until the invitation comes.
#[tokio::test]
async fn a_bundle_does_not_wait_for_the_invitation() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut sync = bob.syncing();
    sync.now().await;
    alice.send_to_device("m.room_key_bundle", json!({bob.user_id(): {"*": {"room_id": "!r:x"}}})).await;
    let event = sync.until_to_device("m.room_key_bundle").await;
    assert_eq!(event["sender"], alice.user_id());
    let room = alice.encrypted_room(&[]).await;
    alice.invite(&room, &bob).await;
    sync.until("the invitation", |sync| sync["rooms"]["invite"][&room].is_object().then_some(())).await;
}

/// HKS-5: media do not end here, so that an invited user may come for a bundle whenever.
#[tokio::test]
async fn a_bundle_is_there_years_later() {
    let clock = Arc::new(Clock::default());
    let environment = clock.clone();
    let server = Server::with_settings(move |builder| builder.without_limits().environment(environment)).await;
    let Some(server) = server else { return };
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let media = upload(&alice, b"ciphertext of a bundle").await;
    alice.send_to_device("m.room_key_bundle", json!({bob.user_id(): {"*": {"file": {"url": media}}}})).await;
    clock.forward(Duration::from_secs(5 * 365 * 24 * 3600));
    assert_eq!(bob.get(at!("/devices/{}", bob.device_id())).await.status, 200);
    let events = to_device(&bob.sync(None).await);
    assert_eq!(events.len(), 1);
    let reply = bob.get(path(events[0]["content"]["file"]["url"].as_str().unwrap())).await;
    assert_eq!((reply.status, reply.bytes.as_slice()), (200, b"ciphertext of a bundle".as_slice()));
}
