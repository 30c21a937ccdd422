//! State as of the end of the timeline, and as of its start.

use serde_json::{Value, json};

use super::{STATES, keys, limited, list, next_batch, sync};
use crate::harness::{Server, timeline};

/// The events of the section of a room that has this name; no other section of state may be there.
#[track_caller]
fn section(room: &Value, name: &str) -> Vec<Value> {
    for (_, other) in STATES {
        assert_eq!(room[other].is_object(), other == name, "{other} when {name} was asked for: {room}");
    }
    assert!(room[name]["events"].is_array(), "{name}: {room}");
    list(&room[name]["events"])
}

/// SYNC-6, SYNC-7, SYNC-18: joined and left rooms have state under the name that was asked for and no other, also when there
/// is none to tell.
#[tokio::test]
async fn state_has_the_name_that_was_asked_for() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    let start = next_batch(&bob.sync(None).await);
    alice.send_text(&room, "hello").await;
    let spoken = next_batch(&bob.sync(Some(&start)).await);
    for (flag, name) in STATES {
        let first = sync(&bob, None, &limited(1), flag).await;
        assert!(!section(&first["rooms"]["join"][&room], name).is_empty(), "{first}");
        let later = sync(&bob, Some(&start), &json!({}), flag).await;
        assert!(section(&later["rooms"]["join"][&room], name).is_empty(), "{later}");
        assert_eq!(timeline(&later, &room).len(), 1);
    }
    let call = bob.get("/sync").query("since", &start).query("use_state_after", false);
    section(&call.await.ok()["rooms"]["join"][&room], "state");
    bob.leave(&room).await;
    for (flag, name) in STATES {
        let left = sync(&bob, Some(&spoken), &json!({}), flag).await;
        section(&left["rooms"]["leave"][&room], name);
        let whole = sync(&bob, None, &json!({"room": {"include_leave": true, "timeline": {"limit": 1}}}), flag).await;
        assert!(!section(&whole["rooms"]["leave"][&room], name).is_empty(), "{whole}");
    }
    bob.get("/sync").query("use_state_after", "maybe").await.error(400, "M_INVALID_PARAM");
}

/// SYNC-6, SYNC-7, SYNC-18: with the flag the state is that of the end, so it has what the timeline changed; without it that
/// of the start, so that it is right before the timeline's first event.
#[tokio::test]
async fn state_stands_where_it_was_asked_for() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    alice.send_state(&room, "m.room.topic", "", json!({"topic": "old"})).await;
    let start = next_batch(&bob.sync(None).await);
    alice.send_state(&room, "m.room.name", "", json!({"name": "in the gap"})).await;
    alice.send_state(&room, "m.room.topic", "", json!({"topic": "in the gap"})).await;
    for number in 0..3 {
        alice.send_text(&room, &format!("{number}")).await;
    }
    alice.send_state(&room, "m.room.topic", "", json!({"topic": "at the end"})).await;
    for since in [None, Some(&*start)] {
        for (flag, name) in STATES {
            let answer = sync(&bob, since, &limited(2), flag).await;
            let part = &answer["rooms"]["join"][&room];
            assert_eq!(part["timeline"]["limited"], true);
            assert_eq!(timeline(&answer, &room)[1]["content"]["topic"], "at the end");
            let state = section(part, name);
            let value = |kind: &str, key: &str| {
                let found: Vec<_> = state.iter().filter(|event| event["type"] == kind).collect();
                assert_eq!(found.len(), 1, "{kind}: {state:?}");
                found[0]["content"][key].clone()
            };
            assert_eq!(value("m.room.name", "name"), "in the gap");
            let expected = if name == "state" { "in the gap" } else { "at the end" };
            assert_eq!(value("m.room.topic", "topic"), expected, "{name}");
            if since.is_some() {
                assert_eq!(keys(&state), ["m.room.name ", "m.room.topic "], "no more than what is new");
            }
        }
    }
}

/// SYNC-6, SYNC-7: what happened after one was removed from a room is in neither.
#[tokio::test]
async fn the_state_of_a_room_that_was_left_ends_there() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    let start = next_batch(&bob.sync(None).await);
    alice.send_state(&room, "m.room.topic", "", json!({"topic": "before"})).await;
    bob.leave(&room).await;
    alice.send_state(&room, "m.room.topic", "", json!({"topic": "after"})).await;
    alice.send_text(&room, "after").await;
    for (flag, name) in STATES {
        for limit in [1, 10] {
            let answer = sync(&bob, Some(&start), &limited(limit), flag).await;
            let part = &answer["rooms"]["leave"][&room];
            let told = [section(part, name), list(&part["timeline"]["events"])].concat();
            let topics: Vec<_> = told.iter().filter(|event| event["type"] == "m.room.topic").collect();
            assert!(!topics.is_empty() && topics.iter().all(|event| event["content"]["topic"] == "before"), "{part}");
            assert_eq!(list(&part["timeline"]["events"]).last().unwrap()["content"]["membership"], "leave");
        }
    }
}

/// SYNC-7, SYNC-9: state that the timeline does not show, because its filter hides it, is told beside it.
#[tokio::test]
async fn state_that_a_filter_hides_from_the_timeline_is_told_beside_it() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.create_room(json!({"preset": "private_chat", "invite": [bob.user_id()]})).await;
    bob.join(&room).await;
    let start = next_batch(&bob.sync(None).await);
    alice.send_text(&room, "before").await;
    alice.send_state(&room, "m.room.topic", "", json!({"topic": "between"})).await;
    alice.send_text(&room, "after").await;
    let filter = json!({"room": {"timeline": {"types": ["m.room.message"]}}});
    for (flag, name) in STATES {
        let answer = sync(&bob, Some(&start), &filter, flag).await;
        assert_eq!(timeline(&answer, &room).len(), 2);
        assert_eq!(keys(&section(&answer["rooms"]["join"][&room], name)), ["m.room.topic "]);
    }
}
