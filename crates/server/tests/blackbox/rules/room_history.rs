//! History visibility: which events a user is served, encrypted ones as all others.

use serde_json::{Value, json};

use crate::harness::{Client, Server, at, timeline};

const ENCRYPTED: &str = "m.room.encrypted";

async fn send(by: &Client, room: &str) -> String {
    by.send(room, ENCRYPTED, json!({"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "…"})).await
}

/// The events that a user finds by paging back, and those that a first sync shows.
async fn found(by: &Client, room: &str) -> Vec<String> {
    let call = by.get(at!("/rooms/{}/messages", room)).query("dir", "b").query("limit", 200);
    let reply = call.await;
    if reply.status == 403 {
        return Vec::new();
    }
    encrypted(reply.ok()["chunk"].as_array().expect("events"))
}

fn encrypted(events: &[Value]) -> Vec<String> {
    let of_kind = events.iter().filter(|event| event["type"] == ENCRYPTED);
    of_kind.map(|event| event["event_id"].as_str().expect("an id").to_owned()).collect()
}

/// What one user may see of what was sent before an invitation, during it, while joined, and after leaving.
struct Seen {
    visibility: Option<&'static str>,
    stranger: [bool; 4],
    invited: [bool; 4],
    member: [bool; 4],
}

const RULES: [Seen; 5] = [
    // No setting counts as `shared`.
    Seen { visibility: None, stranger: [false; 4], invited: [false; 4], member: [true, true, true, false] },
    Seen { visibility: Some("shared"), stranger: [false; 4], invited: [false; 4], member: [true, true, true, false] },
    Seen { visibility: Some("invited"), stranger: [false; 4], invited: [false; 4], member: [false, true, true, false] },
    Seen { visibility: Some("joined"), stranger: [false; 4], invited: [false; 4], member: [false, false, true, false] },
    Seen { visibility: Some("world_readable"), stranger: [true; 4], invited: [true; 4], member: [true; 4] },
];

/// ENC-12: the room's setting decides who is served which event, by every endpoint that has them.
#[tokio::test]
async fn the_setting_decides_what_is_served() {
    let server = Server::shared().await;
    for rule in RULES {
        let setting = rule.visibility.unwrap_or("none");
        let [alice, bob, carol, dora] = server.users(["alice", "bob", "carol", "dora"]).await;
        let content = rule.visibility.map_or(json!({}), |value| json!({"history_visibility": value}));
        let room = alice
            .create_room(json!({"preset": "private_chat", "initial_state": [
                {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}},
                {"type": "m.room.history_visibility", "content": content},
            ]}))
            .await;
        let before = send(&alice, &room).await;
        alice.invite(&room, &bob).await;
        alice.invite(&room, &carol).await;
        let invited = send(&alice, &room).await;
        bob.join(&room).await;
        let joined = send(&alice, &room).await;
        let sync = timeline(&bob.sync(None).await, &room);
        bob.leave(&room).await;
        let after = send(&alice, &room).await;
        let all = [&before, &invited, &joined, &after];

        for (user, may) in [(&dora, rule.stranger), (&carol, rule.invited), (&bob, rule.member)] {
            let found = found(user, &room).await;
            for (id, may) in all.into_iter().zip(may) {
                let place = all.iter().position(|other| *other == id);
                let what = format!("{setting}: {} and event {place:?}", user.user_id());
                let reply = user.get(at!("/rooms/{}/event/{}", room, id)).await;
                assert_eq!(reply.status == 200, may, "{what}: {reply}");
                let reply = user.get(at!("/rooms/{}/context/{}", room, id)).await;
                assert_eq!(reply.status == 200, may, "{what}: {reply}");
                let reply = user.get(at!("/_matrix/client/v1/rooms/{}/relations/{}", room, id)).await;
                assert_eq!(reply.status == 200, may, "{what}: {reply}");
                assert_eq!(found.contains(id), may, "{what}: {found:?}");
            }
        }
        let synced = encrypted(&sync);
        for (id, may) in all.into_iter().zip(rule.member).take(3) {
            assert_eq!(synced.contains(id), may, "{setting}: {synced:?}");
        }
        assert_eq!(found(&alice, &room).await.len(), 4, "{setting}: who was always there sees everything");
    }
}

/// ENC-12: a room made with a preset is `shared`.
#[tokio::test]
async fn history_is_shared_by_default() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    for preset in ["private_chat", "trusted_private_chat", "public_chat"] {
        let room = alice.create_room(json!({"preset": preset, "invite": [bob.user_id()]})).await;
        let path = at!("/rooms/{}/state/m.room.history_visibility/", room);
        assert_eq!(alice.get(path).await.ok(), json!({"history_visibility": "shared"}));
        let id = send(&alice, &room).await;
        assert!(found(&bob, &room).await.is_empty(), "{preset}: not before one is in it");
        bob.join(&room).await;
        assert_eq!(found(&bob, &room).await, [id]);
    }
}

/// ENC-12: a change of the setting is for what comes after it.
#[tokio::test]
async fn a_change_of_the_setting_does_not_reach_back() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.create_room(json!({"preset": "private_chat"})).await;
    let set = async |value: &str| {
        alice.send_state(&room, "m.room.history_visibility", "", json!({"history_visibility": value})).await
    };
    let mut sent = Vec::new();
    for value in ["joined", "shared", "invited", "shared"] {
        set(value).await;
        sent.push(send(&alice, &room).await);
    }
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    assert_eq!(found(&bob, &room).await, [&*sent[3], &*sent[1]]);
}
