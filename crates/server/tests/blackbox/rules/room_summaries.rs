//! Rooms in short: before one enters a room, one sees whether it is encrypted and of what version.

use serde_json::{Value, json};

use crate::harness::{Client, Server, at};

const MEGOLM: &str = "m.megolm.v1.aes-sha2";

fn encryption() -> Value {
    json!({"type": "m.room.encryption", "state_key": "", "content": {"algorithm": MEGOLM}})
}

async fn space(by: &Client, preset: &str) -> String {
    let body = json!({"preset": preset, "name": "space", "creation_content": {"type": "m.space"}});
    by.create_room(body).await
}

async fn put_in(by: &Client, space: &str, room: &str, more: Value) {
    let mut content = json!({"via": ["localhost"]});
    content.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    by.send_state(space, "m.space.child", room, content).await;
}

fn ids(page: &Value) -> Vec<&str> {
    page["rooms"].as_array().expect("rooms").iter().map(|room| room["room_id"].as_str().expect("an id")).collect()
}

/// ENC-13: a summary tells encryption and version, to who may know of the room.
#[tokio::test]
async fn a_summary_tells_encryption_and_version() {
    let server = Server::shared().await;
    let [alice, bob] = server.users(["alice", "bob"]).await;
    for version in ["10", "11", "12"] {
        let open = json!({"room_version": version, "preset": "public_chat", "name": "open"});
        let clear = alice.create_room(open.clone()).await;
        let mut body = open;
        body["initial_state"] = json!([encryption()]);
        let encrypted = alice.create_room(body).await;
        let summary = async |room: &str| bob.get(at!("/_matrix/client/v1/room_summary/{}", room)).await;
        let answer = summary(&encrypted).await.ok();
        assert_eq!((&answer["encryption"], &answer["room_version"]), (&json!(MEGOLM), &json!(version)), "{answer}");
        assert_eq!((&answer["name"], &answer["num_joined_members"]), (&json!("open"), &json!(1)));
        let answer = summary(&clear).await.ok();
        assert_eq!((answer.get("encryption"), &answer["room_version"]), (None, &json!(version)), "{answer}");
        let secret = alice.create_room(json!({"room_version": version, "initial_state": [encryption()]})).await;
        summary(&secret).await.error(404, "M_NOT_FOUND");
        alice.invite(&secret, &bob).await;
        assert_eq!(summary(&secret).await.ok()["encryption"], MEGOLM);
    }
}

/// ENC-13: so do the rooms of a space.
#[tokio::test]
async fn a_space_tells_encryption_and_version() {
    let server = Server::shared().await;
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let top = space(&alice, "public_chat").await;
    let inner = space(&alice, "public_chat").await;
    let body = json!({"preset": "public_chat", "room_version": "11", "initial_state": [encryption()]});
    let encrypted = alice.create_room(body).await;
    let clear = alice.create_room(json!({"preset": "public_chat"})).await;
    let secret = alice.create_room(json!({"initial_state": [encryption()]})).await;
    let taken_out = alice.create_room(json!({"preset": "public_chat"})).await;
    put_in(&alice, &top, &inner, json!({"order": "a"})).await;
    put_in(&alice, &top, &clear, json!({"order": "b", "suggested": true})).await;
    put_in(&alice, &top, &taken_out, json!({})).await;
    alice.send_state(&top, "m.space.child", &taken_out, json!({})).await;
    put_in(&alice, &inner, &encrypted, json!({})).await;
    put_in(&alice, &inner, &secret, json!({})).await;
    // Round and round.
    put_in(&alice, &inner, &top, json!({})).await;

    let path = at!("/_matrix/client/v1/rooms/{}/hierarchy", top);
    let page = bob.get(&path).await.ok();
    assert_eq!(ids(&page), [&top, &inner, &encrypted, &clear], "depth first, and what may be seen");
    let rooms = page["rooms"].as_array().unwrap();
    assert_eq!((&rooms[2]["encryption"], &rooms[2]["room_version"]), (&json!(MEGOLM), &json!("11")));
    assert_eq!((rooms[3].get("encryption"), &rooms[3]["room_version"]), (None, &json!("12")));
    assert_eq!((&rooms[0]["room_type"], &rooms[0]["join_rule"]), (&json!("m.space"), &json!("public")));
    let children = rooms[0]["children_state"].as_array().unwrap();
    let keys: Vec<_> = children.iter().map(|child| child["state_key"].as_str().unwrap()).collect();
    assert_eq!(keys, [&inner, &clear]);
    assert_eq!(children[0]["content"], json!({"via": ["localhost"], "order": "a"}));
    assert!(children[0]["origin_server_ts"].is_u64() && children[0]["sender"] == alice.user_id());
    assert_eq!(rooms[2]["children_state"], json!([]));
    assert_eq!(page.get("next_batch"), None);
    let own = alice.get(&path).await.ok();
    assert!(ids(&own).contains(&secret.as_str()), "who is in a room sees it");

    // In pages, and not so deep.
    let (mut seen, mut from) = (Vec::new(), None);
    loop {
        let mut call = bob.get(&path).query("limit", 1).query("max_depth", 1);
        if let Some(from) = &from {
            call = call.query("from", from);
        }
        let page = call.await.ok();
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        match page["next_batch"].as_str() {
            Some(token) => from = Some(token.to_owned()),
            None => break,
        }
    }
    assert_eq!(seen, [&*top, &*inner, &*clear]);
    let token = from.expect("pages");
    bob.get(&path).query("from", &token).await.error(400, "M_INVALID_PARAM");
    bob.get(&path).query("from", "nonsense").await.error(400, "M_INVALID_PARAM");
    let suggested = bob.get(&path).query("suggested_only", true).await.ok();
    assert_eq!(ids(&suggested), [&top, &clear]);

    let hidden = space(&alice, "private_chat").await;
    bob.get(at!("/_matrix/client/v1/rooms/{}/hierarchy", hidden)).await.error(403, "M_FORBIDDEN");
    bob.get(at!("/_matrix/client/v1/rooms/{}/hierarchy", "!none:localhost")).await.error(403, "M_FORBIDDEN");
}
