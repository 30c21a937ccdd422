//! What somebody outside is told of a room: invitations and knocks.

use serde_json::{Value, json};

use super::{keys, list, next_batch, sync};
use crate::harness::{Client, Server, at};

/// Requires the form of stripped events.
#[track_caller]
fn check_form(events: &[Value]) {
    for event in events {
        let mut members: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(members, ["content", "sender", "state_key", "type"], "{event}");
        assert!(event["content"].is_object() && event["sender"].is_string() && event["state_key"].is_string());
    }
}

fn find(events: &[Value], kind: &str) -> Option<Value> {
    events.iter().find(|event| event["type"] == kind).cloned()
}

fn own_membership(events: &[Value], of: &Client) -> Value {
    let own = events.iter().find(|event| event["type"] == "m.room.member" && event["state_key"] == of.user_id());
    own.unwrap_or_else(|| panic!("no member event of {}: {events:?}", of.user_id()))["content"]["membership"].clone()
}

async fn room(of: &Client, version: &str, encrypted: bool, rule: &str) -> String {
    let mut state = vec![json!({"type": "m.room.join_rules", "content": {"join_rule": rule}})];
    if encrypted {
        state.push(json!({"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}));
    }
    let body = json!({"room_version": version, "name": "A name", "topic": "A topic", "initial_state": state});
    of.create_room(body).await
}

/// SYNC-10, SYNC-11, SYNC-12: an invitation says what room it is, by its create event, and whether it is encrypted, in events
/// of four members.
#[tokio::test]
async fn an_invitation_says_what_room_it_is() {
    for version in ["10", "11", "12"] {
        for encrypted in [true, false] {
            let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
            let start = next_batch(&bob.sync(None).await);
            let room = room(&alice, version, encrypted, "invite").await;
            alice.invite(&room, &bob).await;
            for (since, filter) in [
                (None, json!({})),
                (Some(&*start), json!({})),
                (
                    Some(&*start),
                    json!({"room": {"state": {"types": [], "lazy_load_members": true}, "timeline": {"limit": 0}}}),
                ),
            ] {
                let answer = sync(&bob, since, &filter, "").await;
                let part = &answer["rooms"]["invite"][&room];
                let events = list(&part["invite_state"]["events"]);
                check_form(&events);
                let create = find(&events, "m.room.create").unwrap_or_else(|| panic!("no create event: {part}"));
                assert_eq!(create["content"]["room_version"], version);
                assert_eq!(create["sender"], alice.user_id());
                let encryption = find(&events, "m.room.encryption").map(|event| event["content"]["algorithm"].clone());
                assert_eq!(encryption, encrypted.then(|| json!("m.megolm.v1.aes-sha2")));
                assert_eq!(find(&events, "m.room.name").unwrap()["content"]["name"], "A name");
                assert_eq!(own_membership(&events, &bob), "invite");
                let mut unique = keys(&events);
                unique.dedup();
                assert_eq!(unique.len(), events.len(), "each entry once: {part}");
            }
            assert!(bob.sync(None).await["rooms"]["join"].get(&room).is_none());
        }
    }
}

/// SYNC-10, SYNC-11, SYNC-12: so does a knock.
#[tokio::test]
async fn a_knock_says_what_room_it_is() {
    for version in ["10", "12"] {
        let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
        let start = next_batch(&bob.sync(None).await);
        let room = room(&alice, version, true, "knock").await;
        bob.post(at!("/knock/{}", room), json!({})).await.ok();
        for since in [None, Some(&*start)] {
            let answer = sync(&bob, since, &json!({}), "").await;
            let events = list(&answer["rooms"]["knock"][&room]["knock_state"]["events"]);
            check_form(&events);
            assert_eq!(find(&events, "m.room.create").unwrap()["content"]["room_version"], version, "{answer}");
            assert!(find(&events, "m.room.encryption").is_some(), "{answer}");
            assert_eq!(own_membership(&events, &bob), "knock");
        }
    }
}

/// SYNC-11: encryption that was turned on after the invitation is told by the next one who looks from the start.
#[tokio::test]
async fn an_invitation_is_told_as_the_room_is() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = room(&alice, "12", false, "invite").await;
    alice.invite(&room, &bob).await;
    super::super::device_lists::encrypt(&alice, &room).await;
    let answer = bob.sync(None).await;
    let events = list(&answer["rooms"]["invite"][&room]["invite_state"]["events"]);
    assert!(find(&events, "m.room.encryption").is_some(), "{answer}");
}
