//! State that came about otherwise than by an event of the timeline, as when branches of a room's history merge. One
//! homeserver alone has no branches, so the test puts such state into the store as resolution would.

use olmstead_domain::rooms::{
    EventTemplate, RoomVersion, ServerKey,
    auth::{author, needed_state},
    build::Head,
};
use olmstead_storage::{
    SharedStorage,
    rooms::{Append, AppendOutcome, NewEvent, StateSelection},
};
use ruma::{RoomId, UserId};
use serde_json::{Value, json, value::to_raw_value};

use super::support::Plan;
use crate::harness::{Client, device_lists_changed, device_lists_left, timeline};

/// Sets state in a room without an event in its timeline.
async fn resolve(store: &SharedStorage, room: &str, sender: &Client, kind: &str, key: &str, content: Value) {
    let room_id = RoomId::parse(room).unwrap();
    let head = store.room_head(&room_id).await.unwrap().unwrap();
    let version = RoomVersion::parse(head.version.as_str()).unwrap();
    let (seed, key_version) = store.signing_key(([7; 32], "a1".to_owned())).await.unwrap();
    let server_key = ServerKey::from_seed("localhost".try_into().unwrap(), &seed, &key_version).unwrap();
    let sender = UserId::parse(sender.user_id()).unwrap();
    let template = EventTemplate::state(&sender, kind, key, to_raw_value(&content).unwrap(), 1);
    let needed = StateSelection::These(needed_state(version, &template).unwrap());
    let state = store.state(&room_id, None, needed).await.unwrap();
    let place =
        Head { version, room_id: Some(room_id.clone()), prev_events: head.extremities.clone(), prev_depth: head.depth };
    let find =
        |kind: &str, key: &str| state.iter().find(|held| held.pdu.is_state_of(kind, key)).map(|held| held.pdu.clone());
    let pdu = author(&template, &place, find, &server_key).unwrap();
    let append = Append {
        room_id,
        version: head.version.clone(),
        expected_revision: Some(head.revision),
        extremities: vec![pdu.event_id().to_owned()],
        depth: pdu.depth(),
        events: vec![NewEvent { updates_state: true, in_timeline: false, transaction: None, pdu }],
        alias: None,
        published: None,
    };
    assert!(matches!(store.append_events(append).await.unwrap(), AppendOutcome::Appended(_)));
}

/// SYNC-9, SYNC-17: encryption and memberships that were resolved are in `state_after`, by both its names, and for a client
/// that knows neither in `state`; device lists follow them.
#[tokio::test]
async fn resolved_state_is_told() {
    let Some(nodes) = Plan::nodes(1).start().await else { return };
    let (node, store) = (&nodes.all()[0], &nodes.stores()[0]);
    let [alice, bob, carol] = node.users(["alice", "bob", "carol"]).await;
    let room = alice.create_room(json!({"preset": "public_chat"})).await;
    bob.join(&room).await;
    carol.join(&room).await;
    let mut since = bob.sync(None).await["next_batch"].as_str().unwrap().to_owned();
    let algorithm = json!({"algorithm": "m.megolm.v1.aes-sha2"});
    let steps = [
        ("m.room.encryption", "", algorithm),
        ("m.room.member", carol.user_id(), json!({"membership": "leave"})),
        ("m.room.topic", "", json!({"topic": "resolved"})),
    ];
    for (kind, key, content) in steps {
        resolve(store, &room, &alice, kind, key, content.clone()).await;
        // With an event after it, and without.
        for round in 0..2 {
            for (flag, name) in [
                ("use_state_after", "state_after"),
                ("org.matrix.msc4222.use_state_after", "org.matrix.msc4222.state_after"),
                ("full", "state"),
            ] {
                for filter in
                    [json!({}), json!({"room": {"timeline": {"limit": 1}, "state": {"lazy_load_members": true}}})]
                {
                    let call = bob.get("/sync").query("since", &since).query("filter", &filter);
                    let answer = if name == "state" { call } else { call.query(flag, true) }.await.ok();
                    assert_eq!(timeline(&answer, &room).len(), round, "{answer}");
                    let state = answer["rooms"]["join"][&room][name]["events"].as_array().cloned().unwrap_or_default();
                    let is_it = |event: &Value| {
                        event["type"] == kind && event["state_key"] == key && event["content"] == content
                    };
                    assert!(state.iter().any(is_it), "{kind} in {name} by {filter}: {answer}");
                    let lists = (device_lists_changed(&answer), device_lists_left(&answer));
                    match kind {
                        "m.room.encryption" => assert!(lists.0.iter().any(|user| user == carol.user_id()), "{lists:?}"),
                        "m.room.member" => assert_eq!(lists.1, [carol.user_id()]),
                        _ => assert!(lists.0.is_empty() && lists.1.is_empty(), "{lists:?}"),
                    }
                }
            }
            if round == 0 {
                alice.send_text(&room, "an event after it").await;
            }
        }
        since = bob.sync(Some(&since)).await["next_batch"].as_str().unwrap().to_owned();
        let quiet = bob.sync(Some(&since)).await;
        assert!(quiet["rooms"]["join"].get(&room).is_none(), "once: {quiet}");
    }
}
