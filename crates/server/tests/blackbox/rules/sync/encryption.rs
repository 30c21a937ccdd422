//! A client knows that a room is encrypted before it meets an event that was sent since.

use serde_json::{Value, json};

use super::{STATES, lazy, limited, list, next_batch, sync};
use crate::harness::{Client, Server};

const ENCRYPTION: &str = "m.room.encryption";

/// What clients ask for that could get in the way.
fn filters() -> Vec<Value> {
    vec![
        json!({}),
        limited(1),
        limited(3),
        lazy(1),
        json!({"room": {"timeline": {"types": ["m.room.encrypted"]}}}),
        json!({"room": {"timeline": {"types": ["m.room.encrypted"], "limit": 2}, "state": {"lazy_load_members": true}}}),
        json!({"room": {"timeline": {"not_types": ["m.room.encryption"]}}}),
        json!({"room": {"timeline": {"not_senders": ["@nobody:localhost"], "contains_url": false}}}),
    ]
}

/// Requires that a room's part tells of encryption before its first encrypted event.
#[track_caller]
fn check(part: &Value, why: &str) {
    let is_told = |events: &Value| list(events).iter().any(|event| event["type"] == ENCRYPTION);
    let at_start = STATES.iter().any(|(_, name)| is_told(&part[name]["events"]));
    let events = list(&part["timeline"]["events"]);
    let in_timeline = events.iter().position(|event| event["type"] == ENCRYPTION);
    let first = events.iter().position(|event| event["type"] == "m.room.encrypted");
    let is_early = at_start || in_timeline.is_some_and(|place| first.is_none_or(|first| place < first));
    assert!(is_early, "{why}: {part}");
}

async fn speak(by: &Client, room: &str) {
    for number in 0..4 {
        by.send(room, "m.room.encrypted", json!({"algorithm": "m.megolm.v1.aes-sha2", "number": number})).await;
    }
}

/// SYNC-9: whether the room is new to the client or not, the timeline limited or not, and members loaded lazily or not.
#[tokio::test]
async fn encryption_is_told_before_what_is_encrypted() {
    let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
    let body = json!({"preset": "private_chat", "invite": [bob.user_id(), carol.user_id()]});
    let room = alice.create_room(body).await;
    bob.join(&room).await;
    let start = next_batch(&bob.sync(None).await);
    let outside = next_batch(&carol.sync(None).await);
    alice.send_text(&room, "in the clear").await;
    alice.send_state(&room, ENCRYPTION, "", json!({"algorithm": "m.megolm.v1.aes-sha2"})).await;
    speak(&alice, &room).await;
    carol.join(&room).await;
    speak(&alice, &room).await;
    for filter in filters() {
        for (flag, _) in STATES {
            for (client, since) in [(&bob, Some(&start)), (&bob, None), (&carol, Some(&outside)), (&carol, None)] {
                let answer = sync(client, since.map(String::as_str), &filter, flag).await;
                let why = format!("{filter} {flag} since {since:?}");
                check(&answer["rooms"]["join"][&room], &why);
            }
        }
    }
    // Step by step, as a client lives.
    for filter in filters() {
        let mut known = false;
        let mut since = start.clone();
        for (flag, _) in STATES.iter().cycle().take(4) {
            let answer = sync(&bob, Some(&since), &filter, flag).await;
            if let Some(part) = answer["rooms"]["join"].get(&room) {
                if !known {
                    check(part, "the first answer that tells of the room");
                }
                known = true;
            }
            since = next_batch(&answer);
        }
        assert!(known);
    }
    // Who was removed reads the end with the same care.
    let inside = next_batch(&carol.sync(None).await);
    alice.post(crate::harness::at!("/rooms/{}/kick", room), json!({"user_id": carol.user_id()})).await.ok();
    for filter in filters() {
        let answer = sync(&carol, Some(&outside), &filter, "").await;
        check(&answer["rooms"]["leave"][&room], "left");
        let answer = sync(&carol, Some(&inside), &filter, "").await;
        assert!(answer["rooms"]["leave"][&room].is_object());
    }
}
