//! Encrypted rooms: how they are made, changed and replaced, and what makes a room an encrypted one to the server.

use serde_json::{Value, json};

use crate::harness::{
    Client, Response, Server, at, device_lists_changed, device_lists_left, keys::DeviceKeys, timeline,
};

const MEGOLM: &str = "m.megolm.v1.aes-sha2";

fn encryption() -> Value {
    json!({"type": "m.room.encryption", "state_key": "", "content": {"algorithm": MEGOLM}})
}

async fn state(by: &Client, room: &str, kind: &str) -> Response {
    by.get(at!("/rooms/{}/state/{}/", room, kind)).await
}

async fn set(by: &Client, room: &str, kind: &str, content: Value) -> Response {
    by.put(at!("/rooms/{}/state/{}/", room, kind), content).await
}

async fn upload(of: &Client) {
    of.post("/keys/upload", json!({"device_keys": DeviceKeys::new(of).signed()})).await.ok();
}

fn names(list: Vec<String>, user: &Client) -> bool {
    list.iter().any(|name| name == user.user_id())
}

/// All events of a room, the first one first.
async fn events(by: &Client, room: &str) -> Vec<Value> {
    let call = by.get(at!("/rooms/{}/messages", room)).query("dir", "f").query("limit", 200);
    call.await.ok()["chunk"].as_array().expect("events").clone()
}

/// ENC-1: who has the power may change encryption to whatever they like, and take it back; who has not, may not.
#[tokio::test]
async fn encryption_is_state_like_any_other() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    for version in ["10", "11", "12"] {
        let room = alice
            .create_room(json!({"room_version": version, "preset": "private_chat", "invite": [bob.user_id()],
                "initial_state": [encryption()]}))
            .await;
        bob.join(&room).await;
        let contents = [
            json!({"algorithm": MEGOLM, "rotation_period_ms": 1, "rotation_period_msgs": 1}),
            json!({"algorithm": "io.example.unknown", "io.example.more": {"a": [null]}}),
            json!({"algorithm": MEGOLM}),
            json!({}),
            json!({"algorithm": 7}),
            json!({"algorithm": MEGOLM}),
        ];
        for content in contents {
            set(&bob, &room, "m.room.encryption", json!({"algorithm": "m.none"})).await.error(403, "M_FORBIDDEN");
            set(&alice, &room, "m.room.encryption", content.clone()).await.ok();
            assert_eq!(state(&bob, &room, "m.room.encryption").await.ok(), content);
            // Clear and encrypted events are taken alike, whatever it says.
            alice.send_text(&room, "clear").await;
            bob.send(&room, "m.room.encrypted", json!({"ciphertext": "…"})).await;
        }
        let mut levels = state(&alice, &room, "m.room.power_levels").await.ok();
        levels["events"]["m.room.encryption"] = json!(0);
        set(&alice, &room, "m.room.power_levels", levels).await.ok();
        set(&bob, &room, "m.room.encryption", json!({"algorithm": "m.bobs"})).await.ok();
    }
}

/// ENC-2: for device lists a room is encrypted from its first encryption event on, whatever becomes of that.
#[tokio::test]
async fn a_room_stays_encrypted_for_device_lists() {
    let server = Server::shared().await;
    for ending in ["redacted", "without an algorithm", "of another algorithm", "from the beginning without one"] {
        let [alice, bob, carol] = server.users(["alice", "bob", "carol"]).await;
        let room = if ending == "from the beginning without one" {
            let room = alice.create_room(json!({"preset": "public_chat"})).await;
            set(&alice, &room, "m.room.encryption", json!({})).await.ok();
            room
        } else {
            let room = alice.create_room(json!({"preset": "public_chat", "initial_state": [encryption()]})).await;
            let all = events(&alice, &room).await;
            let event = all.iter().find(|event| event["type"] == "m.room.encryption").expect("the event");
            let id = event["event_id"].as_str().unwrap();
            match ending {
                "redacted" => drop(alice.put(at!("/rooms/{}/redact/{}/t", room, id), json!({})).await.ok()),
                "without an algorithm" => drop(set(&alice, &room, "m.room.encryption", json!({})).await.ok()),
                _ => drop(set(&alice, &room, "m.room.encryption", json!({"algorithm": "m.none"})).await.ok()),
            }
            room
        };
        bob.join(&room).await;
        let (mut at_alice, mut at_bob) = (alice.syncing(), bob.syncing());
        at_alice.now().await;
        at_bob.now().await;

        upload(&alice).await;
        let sync = at_bob.now().await;
        assert!(names(device_lists_changed(&sync), &alice), "{ending}: {sync}");
        carol.join(&room).await;
        let sync = at_alice.now().await;
        assert!(names(device_lists_changed(&sync), &carol), "{ending}: {sync}");
        carol.leave(&room).await;
        let sync = at_alice.now().await;
        assert!(names(device_lists_left(&sync), &carol), "{ending}: {sync}");
    }
    // A room that never had the event, or had it under another key, is no such room.
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let room = alice.create_room(json!({"preset": "public_chat"})).await;
    alice.send_state(&room, "m.room.encryption", "odd", json!({"algorithm": MEGOLM})).await;
    bob.join(&room).await;
    let mut at_bob = bob.syncing();
    at_bob.now().await;
    upload(&alice).await;
    let sync = at_bob.now().await;
    assert!(!names(device_lists_changed(&sync), &alice), "{sync}");
}

/// ENC-3: a redaction leaves nothing of an encryption event, in all versions.
#[tokio::test]
async fn a_redaction_empties_the_encryption_event() {
    let alice = Server::shared().await.user("alice").await;
    for version in ["10", "11", "12"] {
        let room = alice.create_room(json!({"room_version": version})).await;
        let content = json!({"algorithm": MEGOLM, "rotation_period_ms": 604_800_000, "rotation_period_msgs": 100});
        let id = alice.send_state(&room, "m.room.encryption", "", content.clone()).await;
        let later = alice.send_state(&room, "m.room.topic", "", json!({"topic": "x"})).await;
        let path = at!("/rooms/{}/event/{}", room, id);
        assert_eq!(alice.get(&path).await.ok()["content"], content);
        alice.put(at!("/rooms/{}/redact/{}/t", room, id), json!({"reason": "a try"})).await.ok();
        assert_eq!(alice.get(&path).await.ok()["content"], json!({}), "version {version}");
        assert_eq!(state(&alice, &room, "m.room.encryption").await.ok(), json!({}), "version {version}");
        let found = events(&alice, &room).await.into_iter().find(|event| event["event_id"] == id.as_str());
        let found = found.expect("the event itself stays");
        assert_eq!((&found["content"], &found["type"]), (&json!({}), &json!("m.room.encryption")));
        assert_eq!(found["unsigned"]["redacted_because"]["sender"], alice.user_id());
        assert_eq!(alice.get(at!("/rooms/{}/event/{}", room, later)).await.ok()["content"]["topic"], "x");
    }
}

/// ENC-4: the room that replaces another is as encrypted, and as open about its past.
#[tokio::test]
async fn an_upgrade_keeps_encryption() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    for (from, to) in [("10", "12"), ("11", "11"), ("12", "12"), ("12", "10")] {
        let content = json!({"algorithm": MEGOLM, "rotation_period_ms": 1_000_000, "io.example.more": true});
        let visibility = json!({"history_visibility": "joined"});
        let old = alice
            .create_room(json!({"room_version": from, "preset": "public_chat", "initial_state": [
                {"type": "m.room.encryption", "content": content},
                {"type": "m.room.history_visibility", "content": visibility},
            ]}))
            .await;
        bob.join(&old).await;
        bob.post(at!("/rooms/{}/upgrade", old), json!({"new_version": to})).await.error(403, "M_FORBIDDEN");
        let answer = alice.post(at!("/rooms/{}/upgrade", old), json!({"new_version": to})).await.ok();
        let new = answer["replacement_room"].as_str().expect("a room").to_owned();
        assert_eq!(state(&alice, &new, "m.room.encryption").await.ok(), content);
        assert_eq!(state(&alice, &new, "m.room.history_visibility").await.ok(), visibility);
        let create = state(&alice, &new, "m.room.create").await.ok();
        assert_eq!((&create["room_version"], &create["predecessor"]["room_id"]), (&json!(to), &json!(old)));
        assert_eq!(state(&bob, &old, "m.room.tombstone").await.ok()["replacement_room"], new.as_str());

        // It is encrypted before anybody else is in it.
        let all = events(&alice, &new).await;
        let place = |kind: &str| all.iter().position(|event| event["type"] == kind).expect("an event");
        assert!(place("m.room.encryption") > place("m.room.power_levels"));
        bob.join(&new).await;
        let mut sync = bob.syncing();
        sync.now().await;
        upload(&alice).await;
        assert!(names(device_lists_changed(&sync.now().await), &alice));
    }
}

/// ENC-5, ENC-15: a room's first events come in their order, and who is invited sees that it is encrypted.
#[tokio::test]
async fn a_room_is_made_in_order() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice
        .create_room(json!({
            "preset": "private_chat", "name": "A name", "topic": "A topic", "invite": [bob.user_id()],
            "room_alias_name": format!("alias-{}", crate::harness::unique()),
            "initial_state": [
                {"type": "io.example.first", "state_key": "", "content": {}},
                encryption(),
                {"type": "io.example.last", "state_key": "k", "content": {}},
            ],
        }))
        .await;
    let all = events(&alice, &room).await;
    let kinds: Vec<_> = all.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let expected = [
        "m.room.create",
        "m.room.member",
        "m.room.power_levels",
        "m.room.canonical_alias",
        "m.room.join_rules",
        "m.room.history_visibility",
        "m.room.guest_access",
        "io.example.first",
        "m.room.encryption",
        "io.example.last",
        "m.room.name",
        "m.room.topic",
        "m.room.member",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(all[1]["state_key"], alice.user_id());
    let invited = &all[12];
    assert_eq!((&invited["state_key"], &invited["content"]["membership"]), (&json!(bob.user_id()), &json!("invite")));

    let sync = bob.sync(None).await;
    let shown = sync["rooms"]["invite"][&room]["invite_state"]["events"].as_array().expect("stripped state").clone();
    let encrypted = shown.iter().find(|event| event["type"] == "m.room.encryption").expect("encryption");
    assert_eq!(encrypted["content"], json!({"algorithm": MEGOLM}));
    assert!(shown.iter().any(|event| event["type"] == "m.room.create"), "{shown:?}");
    // Invited later, and to a room whose encryption changed since.
    let carol = alice.server().user("carol").await;
    set(&alice, &room, "m.room.encryption", json!({"algorithm": "io.example.other"})).await.ok();
    alice.invite(&room, &carol).await;
    let sync = carol.sync(None).await;
    let shown = sync["rooms"]["invite"][&room]["invite_state"]["events"].as_array().expect("stripped state").clone();
    let encrypted = shown.iter().find(|event| event["type"] == "m.room.encryption").expect("encryption");
    assert_eq!(encrypted["content"]["algorithm"], "io.example.other");
}

/// ENC-6: no preset encrypts a room by itself.
#[tokio::test]
async fn presets_do_not_encrypt() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    for preset in ["private_chat", "trusted_private_chat", "public_chat"] {
        let body = json!({"preset": preset, "invite": [bob.user_id()], "is_direct": true});
        let room = alice.create_room(body).await;
        state(&alice, &room, "m.room.encryption").await.error(404, "M_NOT_FOUND");
        assert!(events(&alice, &room).await.iter().all(|event| event["type"] != "m.room.encryption"));
    }
}

/// ENC-7: rooms are of version 12 unless told otherwise; 10 and 11 are made as well, each in its own form.
#[tokio::test]
async fn rooms_have_one_of_three_versions() {
    let server = Server::shared().await;
    let alice = server.user("alice").await;
    let versions = alice.get("/capabilities").await.ok()["capabilities"]["m.room_versions"].clone();
    assert_eq!(versions["default"], "12");
    assert_eq!(versions["available"], json!({"10": "stable", "11": "stable", "12": "stable"}));
    for asked in [None, Some("10"), Some("11"), Some("12")] {
        let mut body = json!({"initial_state": [encryption()]});
        if let Some(version) = asked {
            body["room_version"] = json!(version);
        }
        let room = alice.create_room(body).await;
        let version = asked.unwrap_or("12");
        let create = events(&alice, &room).await[0].clone();
        assert_eq!(create["content"]["room_version"], version);
        // From 11 on the creator is the sender, from 12 on a room is named after its first event.
        assert_eq!(create["content"].get("creator").is_some(), version == "10", "{create}");
        if version == "12" {
            assert_eq!(room[1..], create["event_id"].as_str().unwrap()[1..]);
            assert!(!room.contains(':'), "{room}");
        } else {
            assert!(room.ends_with(&format!(":{}", server.name().await)), "{room}");
        }
        let text = alice.send_text(&room, "x").await;
        assert!(text.starts_with('$') && text.len() == 44, "{text}");
        alice.put(at!("/rooms/{}/redact/{}/t", room, text), json!({})).await.ok();
        let last = events(&alice, &room).await.pop().expect("the redaction");
        assert_eq!(last["type"], "m.room.redaction");
        // Clients of all ages find what it redacts, where it is in the event itself and where it is not.
        assert_eq!((&last["redacts"], &last["content"]["redacts"]), (&json!(text), &json!(text)), "{last}");
        let answer = alice.put(at!("/rooms/{}/send/m.room.encrypted/t", room), json!({"algorithm": MEGOLM})).await;
        assert!(answer.ok()["event_id"].is_string());
    }
    for unknown in ["9", "13", "1", "", "org.example.odd"] {
        let body = json!({"room_version": unknown});
        alice.post("/createRoom", body).await.error(400, "M_UNSUPPORTED_ROOM_VERSION");
    }
}

/// ENC-17: to share a room is to be in it together, not to be invited, gone or banned.
#[tokio::test]
async fn only_members_share_a_room() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.create_room(json!({"preset": "private_chat", "initial_state": [encryption()]})).await;
    let mut sync = bob.syncing();
    sync.now().await;
    let mut expect = async |step: &str, expected: bool| {
        // What came of the step itself is not what is asked here.
        sync.now().await;
        let from = sync.token().to_owned();
        upload(&alice.login(&format!("DEV-{step}")).await).await;
        let now = sync.now().await;
        assert_eq!(names(device_lists_changed(&now), &alice), expected, "{step}: {now}");
        let changes = bob.get("/keys/changes").query("from", &from).query("to", sync.token()).await.ok();
        let listed = changes["changed"].as_array().unwrap().iter().any(|name| name == alice.user_id());
        assert_eq!(listed, expected, "{step}: {changes}");
    };
    expect("nothing", false).await;
    alice.invite(&room, &bob).await;
    expect("invited", false).await;
    bob.join(&room).await;
    expect("joined", true).await;
    bob.leave(&room).await;
    expect("left", false).await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    expect("joined again", true).await;
    alice.post(at!("/rooms/{}/ban", room), json!({"user_id": bob.user_id()})).await.ok();
    expect("banned", false).await;
    let mut at_alice = alice.syncing();
    at_alice.now().await;
    upload(&bob).await;
    assert!(!names(device_lists_changed(&at_alice.now().await), &bob));
}

/// A room's timeline in the sync of its members begins with what makes it encrypted.
#[tokio::test]
async fn members_see_encryption_before_any_message() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    let id = alice.send(&room, "m.room.encrypted", json!({"ciphertext": "…"})).await;
    let filter = json!({"room": {"timeline": {"limit": 1}}});
    let sync = bob.syncing().filter(&filter).now().await;
    assert_eq!(timeline(&sync, &room)[0]["event_id"], id.as_str());
    let state = sync["rooms"]["join"][&room]["state"]["events"].as_array().expect("state").clone();
    assert!(state.iter().any(|event| event["type"] == "m.room.encryption"), "{state:?}");
}
