//! Events in client form.

use serde_json::json;

use super::*;
use crate::{
    filter::{EventFilter, RoomEventFilter},
    rooms::{
        client_event::{Form, Unsigned, client_event, stripped, stripped_state},
        redact,
    },
};

#[test]
fn full_and_sync_form() {
    let mut room = Room::new(RoomVersion::V12, Preset::Private);
    let pdu = room.text(ALICE, "hi \"there\"");
    let full = value(&client_event(&pdu, Form::Full, &Unsigned::default()));
    assert_eq!(
        full,
        json!({
            "content": { "body": "hi \"there\"", "msgtype": "m.text" },
            "event_id": pdu.event_id(),
            "origin_server_ts": 2_000,
            "room_id": room.id(),
            "sender": ALICE,
            "type": "m.room.message",
        })
    );
    let sync = value(&client_event(&pdu, Form::Sync, &Unsigned::default()));
    assert!(sync.get("room_id").is_none());
    // A create event shows its room even where its own form does not.
    let create = value(&client_event(&room.events[0], Form::Full, &Unsigned::default()));
    assert_eq!(create["room_id"], room.id().as_str());
    assert_eq!(create["state_key"], "");
}

/// SYNC-13.
#[test]
fn unsigned_tells_what_is_known() {
    let mut room = Room::new(RoomVersion::V12, Preset::Private);
    let first = room.set(ALICE, "m.room.topic", "", json!({ "topic": "one" })).unwrap();
    let second = room.set(ALICE, "m.room.topic", "", json!({ "topic": "two" })).unwrap();
    let unsigned = Unsigned {
        now: Some(second.origin_server_ts() + 5),
        transaction_id: Some("t1"),
        membership: Some(&MembershipState::Join),
        prev_content: Some(first.content()),
        replaces_state: Some(first.event_id()),
        relations: None,
        redacted_because: None,
    };
    let json = value(&client_event(&second, Form::Sync, &unsigned));
    assert_eq!(
        json["unsigned"],
        json!({
            "age": 5,
            "membership": "join",
            "prev_content": { "topic": "one" },
            "replaces_state": first.event_id(),
            "transaction_id": "t1",
        })
    );
    let early = Unsigned { now: Some(0), ..Unsigned::default() };
    let message = room.text(ALICE, "x");
    assert!(value(&client_event(&message, Form::Sync, &early))["unsigned"]["age"].as_i64().unwrap() < 0);
}

#[test]
fn redactions_show_their_target_in_both_places() {
    for version in RoomVersion::ALL {
        let mut room = Room::new(version, Preset::Private);
        let target = room.text(ALICE, "oops");
        let template = EventTemplate::redaction(&user(ALICE), target.event_id(), Some("typo"), room.now);
        let redaction = room.send(&template).unwrap();
        let shown = client_event(&redaction, Form::Sync, &Unsigned::default());
        let json = value(&shown);
        assert_eq!(json["redacts"], target.event_id().as_str());
        assert_eq!(json["content"], json!({ "reason": "typo", "redacts": target.event_id() }));

        let redacted = redact::redact(&target).unwrap();
        let unsigned = Unsigned { redacted_because: Some(&shown), ..Unsigned::default() };
        let json = value(&client_event(&redacted, Form::Sync, &unsigned));
        assert_eq!(json["content"], json!({}));
        assert_eq!(json["unsigned"]["redacted_because"]["content"]["reason"], "typo");
    }
}

/// SYNC-10, SYNC-11, SYNC-12.
#[test]
fn stripped_state_is_what_an_invited_user_needs() {
    let mut room = Room::new(RoomVersion::V12, Preset::Private);
    room.set(ALICE, "m.room.encryption", "", json!({ "algorithm": "m.megolm.v1.aes-sha2" })).unwrap();
    let invite = room.invite(ALICE, BOB).unwrap();
    let own = room.get("m.room.member", ALICE).unwrap();
    let state: Vec<Value> =
        stripped_state(|kind, key| room.get(kind, key), &[own, invite]).iter().map(|event| value(event)).collect();
    let kinds: Vec<&str> = state.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["m.room.create", "m.room.join_rules", "m.room.encryption", "m.room.member", "m.room.member"]);
    for event in &state {
        let keys: Vec<&String> = event.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["content", "sender", "state_key", "type"]);
    }
    assert!(stripped(&room.text(ALICE, "x")).is_none());
}

#[test]
fn filters_look_at_events() {
    let mut room = Room::new(RoomVersion::V12, Preset::Private);
    let text = room.text(ALICE, "x");
    let image = room
        .message(ALICE, "m.room.message", json!({ "msgtype": "m.image", "body": "x", "url": "mxc://a/b" }))
        .unwrap();
    let filter = |json: Value| RoomEventFilter::parse(&json.to_string()).unwrap();
    assert!(filter(json!({})).admits_all());
    let urls = filter(json!({ "contains_url": true }));
    assert!(urls.admits(&image) && !urls.admits(&text) && !urls.admits_all());
    let no_urls = filter(json!({ "contains_url": false }));
    assert!(!no_urls.admits(&image) && no_urls.admits(&text));
    assert!(!filter(json!({ "not_senders": [ALICE] })).admits(&text));
    assert!(filter(json!({ "senders": [ALICE] })).admits(&text));
    assert!(!filter(json!({ "senders": [BOB] })).admits(&text));
    assert!(filter(json!({ "rooms": [room.id()] })).admits(&text));
    assert!(!filter(json!({ "not_rooms": [room.id()] })).admits(&text));
    assert!(!filter(json!({ "types": ["m.room.member"] })).admits(&text));
    assert!(filter(json!({ "types": ["m.room.mes*"] })).admits(&text));
    assert!(EventFilter::default().admits("m.presence", Some(&user(ALICE))));
}
