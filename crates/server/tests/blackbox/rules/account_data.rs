//! Account data, in which clients keep their secret storage.

use http::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Server, at, joined_room};

fn global(of: &Client, kind: &str) -> String {
    at!("/user/{}/account_data/{}", of.user_id(), kind)
}

fn in_room(of: &Client, room: &str, kind: &str) -> String {
    at!("/user/{}/rooms/{}/account_data/{}", of.user_id(), room, kind)
}

fn find(events: &Value, kind: &str) -> Option<Value> {
    let events = events["events"].as_array()?;
    events.iter().find(|event| event["type"] == kind).map(|event| event["content"].clone())
}

/// AD-1, AD-2: one sets and reads one's own, and nobody else's.
#[tokio::test]
async fn account_data_is_for_oneself() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    for (path, other) in [
        (global(&alice, "io.example.one"), global(&alice, "io.example.two")),
        (in_room(&alice, &room, "io.example.one"), in_room(&alice, &room, "io.example.two")),
    ] {
        alice.get(&path).await.error(404, "M_NOT_FOUND");
        assert_eq!(alice.put(&path, json!({"n": 1})).await.ok(), json!({}));
        assert_eq!(alice.another_device().await.get(&path).await.ok(), json!({"n": 1}));
        alice.put(&path, json!({"n": 2})).await.ok();
        assert_eq!(alice.get(&path).await.ok(), json!({"n": 2}));
        alice.get(&other).await.error(404, "M_NOT_FOUND");

        bob.get(&path).await.error(403, "M_FORBIDDEN");
        bob.put(&path, json!({"n": 3})).await.error(403, "M_FORBIDDEN");
        bob.get(&other).await.error(403, "M_FORBIDDEN");
        alice.get(&path).token(None).await.error(401, "M_MISSING_TOKEN");
        assert_eq!(alice.get(&path).await.ok(), json!({"n": 2}));
    }
    // The room's and the global one are two things.
    alice.put(global(&alice, "io.example.both"), json!({"global": true})).await.ok();
    alice.get(in_room(&alice, &room, "io.example.both")).await.error(404, "M_NOT_FOUND");
}

/// AD-3: only a JSON object is account data.
#[tokio::test]
async fn account_data_is_an_object() {
    let alice = Server::shared().await.user("alice").await;
    let room = alice.create_room(json!({})).await;
    for path in [global(&alice, "io.example.x"), in_room(&alice, &room, "io.example.x")] {
        alice.put(&path, json!({"kept": true})).await.ok();
        for bad in [json!([]), json!("text"), json!(1), json!(null), json!(true)] {
            alice.put(&path, bad).await.error(400, "M_BAD_JSON");
        }
        for bad in ["", "{", "{\"a\":}", "nonsense", "{\"a\":\"\u{1}\"}"] {
            alice.call(Method::PUT, &path).bytes(bad, "application/json").await.error(400, "M_NOT_JSON");
        }
        assert_eq!(alice.get(&path).await.ok(), json!({"kept": true}));
    }
}

/// AD-4: what the server keeps itself is read here and set elsewhere.
#[tokio::test]
async fn what_the_server_manages_is_only_read() {
    let alice = Server::shared().await.user("alice").await;
    let room = alice.create_room(json!({})).await;
    let event = alice.send_text(&room, "read").await;
    alice.post(at!("/rooms/{}/read_markers", room), json!({"m.fully_read": event})).await.ok();
    for kind in ["m.fully_read", "m.push_rules"] {
        for path in [global(&alice, kind), in_room(&alice, &room, kind)] {
            alice.put(&path, json!({"event_id": "$other", "global": {}})).await.error(405, "M_BAD_JSON");
        }
    }
    assert_eq!(alice.get(in_room(&alice, &room, "m.fully_read")).await.ok()["event_id"], event.as_str());
    let rules = alice.get(global(&alice, "m.push_rules")).await.ok();
    assert_eq!(rules["global"], alice.get("/pushrules/").await.ok()["global"]);
    assert!(rules["global"]["underride"].as_array().is_some_and(|rules| !rules.is_empty()), "{rules}");
}

/// AD-5: a room has the id of a room.
#[tokio::test]
async fn a_bad_room_id_is_refused() {
    let alice = Server::shared().await.user("alice").await;
    for bad in ["nonsense", "#alias:localhost", "@user:localhost", "$event", "!", "room:localhost"] {
        let path = in_room(&alice, bad, "io.example.x");
        alice.put(&path, json!({})).await.error(400, "M_INVALID_PARAM");
        alice.get(&path).await.error(400, "M_INVALID_PARAM");
    }
    let unknown = in_room(&alice, "!unknown:localhost", "io.example.x");
    alice.get(&unknown).await.error(404, "M_NOT_FOUND");
}

/// AD-6, AD-7: secret storage and all else comes back unchanged, to the one who asks and in the sync of other devices.
#[tokio::test]
async fn secrets_come_back_unchanged() {
    let alice = Server::shared().await.user("alice").await;
    let room = alice.create_room(json!({})).await;
    let mut other = alice.another_device().await.syncing();
    other.now().await;
    let encrypted = json!({"iv": "abc+/=", "ciphertext": "def", "mac": "ghi", "io.example.more": [null, 1]});
    let entries = [
        ("m.secret_storage.default_key", json!({"key": "a/b+c="})),
        (
            "m.secret_storage.key.a/b+c=",
            json!({"algorithm": "m.secret_storage.v1.aes-hmac-sha2", "iv": "x", "mac": "y",
            "name": "ключ \u{1d11e}", "passphrase": {"algorithm": "m.pbkdf2", "iterations": 500_000, "salt": "s"}}),
        ),
        ("m.cross_signing.master", json!({"encrypted": {"a/b+c=": encrypted}})),
        ("m.cross_signing.self_signing", json!({"encrypted": {"other": {"unknown": {}}}})),
        ("m.cross_signing.user_signing", json!({"encrypted": {}})),
        ("m.megolm_backup.v1", json!({"encrypted": {"k": encrypted}, "passthrough": true})),
        ("m.key_backup", json!({"enabled": false})),
        ("m.org.matrix.custom.backup_disabled", json!({"disabled": true})),
        (
            "io.example.odd",
            json!({"": {"a": [0.5, -1.25e-7, 18_446_744_073_709_551_615_u64, "\u{0}"]}, "z": 1, "a": 2}),
        ),
        ("io.example.empty", json!({})),
    ];
    for (kind, content) in &entries {
        for path in [global(&alice, kind), in_room(&alice, &room, kind)] {
            alice.put(&path, content.clone()).await.ok();
            assert_eq!(alice.get(&path).await.ok(), *content);
        }
    }
    let sync = other.now().await;
    for (kind, content) in &entries {
        assert_eq!(find(&sync["account_data"], kind).as_ref(), Some(content), "{kind}: {sync}");
        let of_room = joined_room(&sync, &room)["account_data"].clone();
        assert_eq!(find(&of_room, kind).as_ref(), Some(content), "{kind}: {sync}");
    }
    // Numbers and escapes stay as they were written.
    let text = r#"{"float":1.0,"big":123456789012345678901234567890,"escaped":"\u0041","spaced" : [ 1 ] }"#;
    let path = global(&alice, "io.example.raw");
    alice.call(Method::PUT, &path).bytes(text, "application/json").await.ok();
    assert!(alice.get(&path).await.text().contains("123456789012345678901234567890"));
    assert!(alice.get(&path).await.text().contains("1.0"));
}

/// AD-7: the preference about key backups is told to other devices as it changes.
#[tokio::test]
async fn the_backup_preference_reaches_other_devices() {
    let alice = Server::shared().await.user("alice").await;
    let mut other = alice.another_device().await.syncing();
    other.now().await;
    for enabled in [true, false, true] {
        alice.put(global(&alice, "m.key_backup"), json!({ "enabled": enabled })).await.ok();
        let told = other.until("the preference", |sync| find(&sync["account_data"], "m.key_backup")).await;
        assert_eq!(told, json!({ "enabled": enabled }));
    }
    assert_eq!(find(&other.now().await["account_data"], "m.key_backup"), None, "told once");
}

/// AD-8: who asks to be erased leaves no account data behind; who does not, does.
#[tokio::test]
async fn erasing_removes_account_data() {
    let server = Server::shared().await;
    let bob = server.user("bob").await;
    let room = bob.create_room(json!({})).await;
    for erase in [false, true] {
        let alice = server.user("alice").await;
        // Nobody can read the data of who is gone, but it works on: who takes no invitations cannot be invited.
        alice.put(global(&alice, "m.invite_permission_config"), json!({"default_action": "block"})).await.ok();
        let invite = async || bob.post(at!("/rooms/{}/invite", room), json!({"user_id": alice.user_id()})).await;
        invite().await.error(403, "M_INVITE_BLOCKED");
        alice.post("/account/deactivate", json!({ "erase": erase })).with_password().await.ok();
        if erase {
            assert_ne!(invite().await.errcode(), "M_INVITE_BLOCKED");
        } else {
            invite().await.error(403, "M_INVITE_BLOCKED");
        }
    }
}

/// AD-9: who reads after a write sees it, and of writes at the same time one stays whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_are_seen_and_whole() {
    let alice = Server::shared().await.user("alice").await;
    let path = global(&alice, "io.example.contested");
    let body = |writer: u64, turn: u64| {
        let same: Vec<_> = (0..200).map(|_| json!({"writer": writer, "turn": turn})).collect();
        json!({ "same": same })
    };
    let writers = (0..8).map(|writer| {
        let (alice, path) = (alice.clone(), path.clone());
        let bodies: Vec<_> = (0..6).map(|turn| body(writer, turn)).collect();
        tokio::spawn(async move {
            for body in bodies {
                alice.put(&path, body).await.ok();
                let seen = alice.get(&path).await.ok()["same"].clone();
                let seen = seen.as_array().expect("a list").clone();
                assert!(seen.len() == 200 && seen.iter().all(|part| *part == seen[0]), "parts of two writes");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    for turn in 0..20 {
        alice.put(&path, body(99, turn)).await.ok();
        let seen = alice.another_device().await.get(&path).await.ok();
        assert_eq!(seen["same"][0], json!({"writer": 99, "turn": turn}));
    }
}
