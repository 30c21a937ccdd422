//! What paths name.

use serde_json::json;

use crate::harness::{Server, at, to_device};

/// Names that look alike when they are decoded once too often, or not at all.
const NAMES: [&str; 8] = ["a/b", "a%2Fb", "a%252Fb", "a+b=c", "a b=c", "a%20b=c", "ä ö", "?#&;"];

/// GEN-21: account data, state, event types, devices, and the rooms and sessions of a backup are found under the very name
/// they were given.
#[tokio::test]
async fn names_in_paths_are_decoded_once() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let version = json!({"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": {"public_key": "abc"}});
    let version = alice.post("/room_keys/version", version).await.ok()["version"].as_str().unwrap().to_owned();
    let room = alice.create_room(json!({"preset": "public_chat"})).await;
    let key = |name: &str| json!({"first_message_index": 0, "forwarded_count": 0, "is_verified": false, "session_data": {"of": name}});
    for name in NAMES {
        alice.put(at!("/user/{}/account_data/{}", alice.user_id(), name), json!({"of": name})).await.ok();
        alice.send_state(&room, "org.example", name, json!({"of": name})).await;
        alice.login(name).await;
        let path = at!("/room_keys/keys/{}/{}", format!("!{name}:example.org"), name);
        alice.put(path, key(name)).query("version", &version).await.ok();
        alice.send_to_device(name, json!({bob.user_id(): {"*": {"of": name}}})).await;
    }
    for name in NAMES {
        assert_eq!(alice.get(at!("/user/{}/account_data/{}", alice.user_id(), name)).await.ok()["of"], name);
        assert_eq!(alice.get(at!("/rooms/{}/state/org.example/{}", room, name)).await.ok()["of"], name);
        assert_eq!(alice.get(at!("/devices/{}", name)).await.ok()["device_id"], name);
        let path = at!("/room_keys/keys/{}/{}", format!("!{name}:example.org"), name);
        assert_eq!(alice.get(path).query("version", &version).await.ok(), key(name));
        let event = alice.send(&room, name, json!({"of": name})).await;
        let event = alice.get(at!("/rooms/{}/event/{}", room, event)).await.ok();
        assert_eq!((&event["type"], &event["content"]["of"]), (&json!(name), &json!(name)));
    }
    let all = alice.get("/room_keys/keys").query("version", &version).await.ok();
    for name in NAMES {
        assert_eq!(all["rooms"][format!("!{name}:example.org")]["sessions"][name], key(name));
    }
    let kinds: Vec<_> = to_device(&bob.sync(None).await).iter().map(|event| event["type"].clone()).collect();
    assert_eq!(kinds, NAMES);
    for name in NAMES {
        alice.delete(at!("/devices/{}", name)).with_password().await.ok();
        alice.get(at!("/devices/{}", name)).await.error(404, "M_NOT_FOUND");
        let path = at!("/room_keys/keys/{}/{}", format!("!{name}:example.org"), name);
        assert_eq!(alice.delete(path).query("version", &version).await.ok()["count"], json!(left(name)), "{name}");
    }
}

/// How many names are left after this one.
fn left(name: &str) -> usize {
    NAMES.iter().rev().position(|other| *other == name).unwrap()
}
