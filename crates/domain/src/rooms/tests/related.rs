//! Relations and what is bundled.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::rooms::{
    client_event::{Form, Unsigned, client_event},
    relations::{Bundle, Relation},
};

fn related(room: &mut Room, sender: &str, kind: &str, parent: &Pdu, rel_type: &str, more: Value) -> Pdu {
    let mut content = json!({ "m.relates_to": { "rel_type": rel_type, "event_id": parent.event_id() } });
    content.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    room.message(sender, kind, content).unwrap()
}

fn room_of_two() -> Room {
    let mut room = Room::new(RoomVersion::V12, Preset::Public);
    room.join(BOB).unwrap();
    room
}

fn bundle(parent: &Pdu, children: &[&Pdu], asker: &str) -> Bundle {
    Bundle::collect(parent, false, children.iter().copied(), &user(asker), &BTreeSet::new())
}

/// ENC-11.
#[test]
fn edits_of_encrypted_events_are_bundled() {
    let mut room = room_of_two();
    let parent = room.message(ALICE, "m.room.encrypted", json!({ "ciphertext": "a" })).unwrap();
    let cipher = json!({ "ciphertext": "b" });
    let first = related(&mut room, ALICE, "m.room.encrypted", &parent, "m.replace", cipher.clone());
    let second = related(&mut room, ALICE, "m.room.encrypted", &parent, "m.replace", cipher.clone());
    let other_type = related(&mut room, ALICE, "m.room.message", &parent, "m.replace", json!({ "m.new_content": {} }));
    let other_sender = related(&mut room, BOB, "m.room.encrypted", &parent, "m.replace", cipher.clone());
    let of_edit = related(&mut room, ALICE, "m.room.encrypted", &first, "m.replace", cipher);
    assert_eq!(Relation::of(&first).unwrap().event_id, parent.event_id());
    let found = bundle(&parent, &[&second, &first, &other_type, &other_sender, &of_edit], BOB);
    assert!(found.edit.as_ref().unwrap().same_event(&second));
    assert!(bundle(&first, &[&of_edit], BOB).is_empty());
    let redacted = Bundle::collect(&parent, true, [&first, &second], &user(BOB), &BTreeSet::new());
    assert!(redacted.is_empty());
    let json = value(&found.render(|pdu| client_event(pdu, Form::Sync, &Unsigned::default())).unwrap());
    assert_eq!(json["m.replace"]["event_id"], second.event_id().as_str());
    assert!(json.get("m.thread").is_none());
}

#[test]
fn clear_edits_need_new_content() {
    let mut room = room_of_two();
    let parent = room.text(ALICE, "a");
    let without = related(&mut room, ALICE, "m.room.message", &parent, "m.replace", json!({ "body": "b" }));
    assert!(bundle(&parent, &[&without], ALICE).is_empty());
    let with =
        related(&mut room, ALICE, "m.room.message", &parent, "m.replace", json!({ "m.new_content": { "body": "b" } }));
    assert!(bundle(&parent, &[&with], ALICE).edit.is_some());
}

#[test]
fn threads_are_summed_up() {
    let mut room = room_of_two();
    let root = room.text(ALICE, "root");
    let one = related(&mut room, BOB, "m.room.message", &root, "m.thread", json!({ "body": "1" }));
    let two = related(&mut room, BOB, "m.room.encrypted", &root, "m.thread", json!({ "ciphertext": "2" }));
    let thread = bundle(&root, &[&one, &two], CAROL).thread.unwrap();
    assert_eq!((thread.count, thread.participated), (2, false));
    assert!(thread.latest.same_event(&two));
    assert!(bundle(&root, &[&one], ALICE).thread.unwrap().participated);
    assert!(bundle(&root, &[&one], BOB).thread.unwrap().participated);
    let ignored = BTreeSet::from([user(BOB)]);
    assert!(Bundle::collect(&root, false, [&one, &two], &user(CAROL), &ignored).is_empty());
    let json = value(&bundle(&root, &[&one, &two], BOB).render(|_| raw(json!("event"))).unwrap());
    assert_eq!(json, json!({ "m.thread": { "latest_event": "event", "count": 2, "current_user_participated": true } }));

    let nested = Relation { rel_type: "m.thread".into(), event_id: one.event_id().to_owned(), key: None };
    assert!(nested.check_sendable(&one).is_err());
    assert!(nested.check_sendable(&root).is_ok());
}

#[test]
fn references_are_listed_and_annotations_are_not() {
    let mut room = room_of_two();
    let parent = room.text(ALICE, "x");
    let one = related(&mut room, BOB, "m.key.verification.ready", &parent, "m.reference", json!({}));
    let two = related(&mut room, BOB, "m.key.verification.done", &parent, "m.reference", json!({}));
    let reaction = room
        .message(
            BOB,
            "m.reaction",
            json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": parent.event_id(), "key": "+" } }),
        )
        .unwrap();
    let json = value(&bundle(&parent, &[&one, &two, &reaction], BOB).render(|_| raw(json!(0))).unwrap());
    assert_eq!(
        json,
        json!({ "m.reference": { "chunk": [{ "event_id": one.event_id() }, { "event_id": two.event_id() }] } })
    );
    let relation = Relation::of(&reaction).unwrap();
    assert!(relation.holds(&reaction, &parent));
    assert!(relation.is_same_annotation(&relation.clone()));
    assert!(!relation.is_same_annotation(&Relation { key: Some("-".into()), ..relation.clone() }));
    // Nothing is bundled with state.
    let name = room.set(ALICE, "m.room.name", "", json!({ "name": "x" })).unwrap();
    let about = related(&mut room, BOB, "x", &name, "m.reference", json!({}));
    assert!(bundle(&name, &[&about], BOB).is_empty());
}

#[test]
fn malformed_relations_count_as_none() {
    for content in [
        json!({ "m.relates_to": 1 }),
        json!({ "m.relates_to": { "rel_type": "m.thread" } }),
        json!({ "m.relates_to": { "rel_type": 1, "event_id": "$x" } }),
        json!({ "m.relates_to": { "rel_type": "m.thread", "event_id": "x" } }),
        json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": "$x" } }),
        json!({ "m.relates_to": { "m.in_reply_to": { "event_id": "$x" } } }),
        json!({ "m.relates_to": { "rel_type": "m.thread", "event_id": format!("${}", "x".repeat(255)) } }),
        json!({ "body": "relates_to" }),
    ] {
        assert_eq!(Relation::in_content(&raw(content.clone())), None, "{content}");
    }
}
