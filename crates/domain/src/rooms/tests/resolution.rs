//! State resolution on a small forked graph.

use serde_json::json;

use super::*;
use crate::{
    error::ErrorKind,
    rooms::resolve::{Events, StateMap, auth_chain, resolve},
};

fn ids(state: &BTreeMap<StateKey, Pdu>) -> StateMap {
    state.iter().map(|(key, pdu)| (key.clone(), pdu.event_id().to_owned())).collect()
}

/// A copy of the room that goes its own way.
fn fork(room: &Room) -> Room {
    Room { key: key(), events: room.events.clone(), state: room.state.clone(), now: room.now }
}

fn events(rooms: &[&Room]) -> Events {
    rooms.iter().flat_map(|room| room.events.iter()).map(|pdu| (pdu.event_id().to_owned(), pdu.clone())).collect()
}

#[test]
fn a_ban_wins_over_what_the_banned_user_did_meanwhile() {
    for version in RoomVersion::ALL {
        let mut room = Room::new(version, Preset::Public);
        room.join(BOB).unwrap();
        let mut content = value(room.get("m.room.power_levels", "").unwrap().content());
        content["users"][BOB] = json!(50);
        room.set(ALICE, "m.room.power_levels", "", content).unwrap();

        let (mut left, mut right) = (fork(&room), fork(&room));
        left.change(Action::Ban, ALICE, BOB).unwrap();
        right.set(BOB, "m.room.name", "", json!({ "name": "Bob's" })).unwrap();
        right.set(BOB, "m.room.topic", "", json!({ "topic": "Bob's" })).unwrap();

        let known = events(&[&left, &right]);
        let states = [ids(&left.state), ids(&right.state)];
        let resolved = resolve(version, &states, &known).unwrap();
        let get = |kind: &str, key: &str| resolved.get(&(kind.to_owned(), key.to_owned()));
        assert_eq!(
            get("m.room.member", BOB),
            left.get("m.room.member", BOB).as_ref().map(|e| e.event_id().to_owned()).as_ref()
        );
        assert_eq!(get("m.room.name", ""), None);
        assert_eq!(get("m.room.topic", ""), None);
        assert_eq!(get("m.room.create", "").unwrap(), room.events[0].event_id());
        // The order of the heads does not matter.
        let turned = [ids(&right.state), ids(&left.state)];
        assert_eq!(resolve(version, &turned, &known).unwrap(), resolved);
    }
}

#[test]
fn independent_changes_are_both_kept() {
    for version in RoomVersion::ALL {
        let room = Room::new(version, Preset::Public);
        let (mut left, mut right) = (fork(&room), fork(&room));
        left.join(BOB).unwrap();
        right.set(ALICE, "m.room.encryption", "", json!({ "algorithm": "m.megolm.v1.aes-sha2" })).unwrap();
        let known = events(&[&left, &right]);
        let resolved = resolve(version, &[ids(&left.state), ids(&right.state)], &known).unwrap();
        assert!(resolved.contains_key(&("m.room.member".to_owned(), BOB.to_owned())));
        assert!(resolved.contains_key(&("m.room.encryption".to_owned(), String::new())));
        assert_eq!(resolve(version, &[ids(&room.state)], &known).unwrap(), ids(&room.state));
    }
}

#[test]
fn missing_events_are_told() {
    let room = Room::new(RoomVersion::V11, Preset::Public);
    let mut known = events(&[&room]);
    known.remove(room.events[1].event_id());
    let error = resolve(RoomVersion::V11, &[ids(&room.state)], &known).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn auth_chains_reach_the_create_event() {
    let room = Room::new(RoomVersion::V11, Preset::Public);
    let last = room.events.last().unwrap().event_id().to_owned();
    let chain = auth_chain([&last], &events(&[&room])).unwrap();
    assert!(chain.contains(room.events[0].event_id()));
    assert!(!chain.contains(&last));
}
