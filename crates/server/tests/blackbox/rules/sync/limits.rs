//! How many events a timeline has.

use serde_json::json;

use super::{STATES, limited, list, next_batch, sync};
use crate::harness::{Server, timeline};

/// SYNC-4, SYNC-9: who wants no events of timelines gets none, and all the rest: state up to the end, to-device messages,
/// and a place from which the events can be read when they are wanted.
#[tokio::test]
async fn a_timeline_of_no_events_is_empty() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    for (round, types) in [json!(["*"]), json!(["m.room.message", "m.room.name"])].into_iter().enumerate() {
        let filter = json!({"room": {"timeline": {"limit": 0, "types": types}}});
        let first = sync(&bob, None, &filter, "").await;
        assert!(timeline(&first, &room).is_empty(), "{first}");
        let state = list(&first["rooms"]["join"][&room]["state"]["events"]);
        assert!(state.iter().any(|event| event["type"] == "m.room.encryption"), "{first}");
        alice.send_state(&room, "m.room.name", "", json!({"name": format!("new {round}")})).await;
        let event = alice.send_text(&room, "hello").await;
        for (flag, name) in STATES {
            alice.send_to_device("io.example.any", json!({bob.user_id(): {"*": {}}})).await;
            let later = sync(&bob, Some(&next_batch(&first)), &filter, flag).await;
            let part = &later["rooms"]["join"][&room];
            assert_eq!((list(&part["timeline"]["events"]).len(), &part["timeline"]["limited"]), (0, &json!(true)));
            let state = list(&part[name]["events"]);
            assert!(state.iter().any(|event| event["content"]["name"] == format!("new {round}")), "{part}");
            assert!(!crate::harness::to_device(&later).is_empty());
            let path = crate::harness::at!("/rooms/{}/messages", room);
            let call = bob.get(path).query("dir", "b").query("limit", 1);
            let page = call.query("from", part["timeline"]["prev_batch"].as_str().unwrap()).await.ok();
            assert_eq!(page["chunk"][0]["event_id"], event.as_str());
            let quiet = sync(&bob, Some(&next_batch(&later)), &filter, flag).await;
            assert!(quiet["rooms"]["join"].get(&room).is_none(), "{quiet}");
        }
    }
}

/// SYNC-4: no limit beyond what the server gives, and exactly as many as asked for up to there.
#[tokio::test]
async fn a_timeline_has_as_many_events_as_asked_for() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let room = alice.create_room(json!({})).await;
    let start = next_batch(&alice.sync(None).await);
    for number in 0..12 {
        alice.send_text(&room, &format!("{number}")).await;
    }
    for (limit, expected, is_limited) in
        [(0, 0, true), (1, 1, true), (11, 11, true), (12, 12, false), (1000, 12, false)]
    {
        let answer = sync(&alice, Some(&start), &limited(limit), "").await;
        let part = &answer["rooms"]["join"][&room]["timeline"];
        assert_eq!((list(&part["events"]).len(), &part["limited"]), (expected, &json!(is_limited)), "{limit}");
    }
}
