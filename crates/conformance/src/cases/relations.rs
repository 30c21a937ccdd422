//! Relations between events.

use olmstead_domain::position::Cursor;
use olmstead_storage::rooms::{Direction, RelationQuery};
use ruma::{EventId, OwnedEventId};
use serde_json::{Value, json};

use crate::{
    Store,
    support::rooms::{TestRoom, ids, message_of},
};

fn related(parent: &EventId, rel_type: &str) -> Value {
    let mut relates_to = json!({ "rel_type": rel_type, "event_id": parent });
    if rel_type == "m.annotation" {
        relates_to["key"] = "+1".into();
    }
    json!({ "body": "child", "m.relates_to": relates_to })
}

async fn children(store: &Store, room: &TestRoom, parent: &EventId, query: &RelationQuery) -> Vec<OwnedEventId> {
    let page =
        store.relations(&room.id, parent, query, Cursor::START, Cursor::END, 100, Direction::Forward).await.unwrap();
    assert!(!page.more);
    ids(&page.events)
}

fn query(rel_type: Option<&str>, event_type: Option<&str>) -> RelationQuery {
    RelationQuery { rel_type: rel_type.map(str::to_owned), event_type: event_type.map(str::to_owned) }
}

/// Children are found by parent, kind of relation and type of event.
pub async fn children_are_found_by_relation_and_type(store: Store) {
    let alice = store.user("alice").await;
    let mut room = TestRoom::create(&store, &alice).await;
    let (parent, other) = (room.say(&store, &alice, "parent").await, room.say(&store, &alice, "other").await);
    let mut child = async |parent: &EventId, kind: &str, rel_type: &str| {
        room.send(&store, message_of(&alice, kind, related(parent, rel_type))).await.id()
    };
    let id = parent.pdu.event_id();
    let edit = child(id, "m.room.message", "m.replace").await;
    let reaction = child(id, "m.reaction", "m.annotation").await;
    let in_thread = child(id, "m.room.message", "m.thread").await;
    let elsewhere = child(other.pdu.event_id(), "m.room.message", "m.thread").await;
    let reply = json!({ "body": "reply", "m.relates_to": { "m.in_reply_to": { "event_id": id } } });
    room.send(&store, message_of(&alice, "m.room.message", reply)).await;
    let found = async |rel_type, event_type| children(&store, &room, id, &query(rel_type, event_type)).await;
    assert_eq!(found(None, None).await, [edit.clone(), reaction.clone(), in_thread.clone()]);
    assert_eq!(found(Some("m.thread"), None).await, [in_thread.clone()]);
    assert_eq!(found(Some("m.annotation"), Some("m.reaction")).await, [reaction]);
    assert!(found(Some("m.annotation"), Some("m.room.message")).await.is_empty());
    assert_eq!(found(None, Some("m.room.message")).await, [edit, in_thread]);
    assert!(found(Some("m.threa"), None).await.is_empty());
    assert_eq!(children(&store, &room, other.pdu.event_id(), &query(None, None)).await, [elsewhere]);
    let mut two = TestRoom::create(&store, &alice).await;
    two.send(&store, message_of(&alice, "m.room.message", related(id, "m.thread"))).await;
    assert_eq!(found(Some("m.thread"), None).await.len(), 1, "a parent in another room has no children here");
}

/// Children are read in pages in both directions, by half-open spans.
pub async fn children_are_read_in_pages(store: Store) {
    let alice = store.user("alice").await;
    let mut room = TestRoom::create(&store, &alice).await;
    let parent = room.say(&store, &alice, "parent").await;
    let mut all = Vec::new();
    for number in 0..9 {
        let rel_type = if number % 3 == 2 { "m.reference" } else { "m.thread" };
        let events = [related(parent.pdu.event_id(), rel_type), json!({ "body": "between" })];
        let events = events.map(|content| message_of(&alice, "m.room.message", content));
        all.push((rel_type, room.append(&store, &events).await.remove(0)));
    }
    let read = async |rel_type: Option<&str>, from, to, limit, direction| {
        let query = query(rel_type, None);
        let page = store.relations(&room.id, parent.pdu.event_id(), &query, from, to, limit, direction).await.unwrap();
        (ids(&page.events), page.more)
    };
    let forward: Vec<OwnedEventId> = all.iter().map(|(_, placed)| placed.id()).collect();
    let backward: Vec<OwnedEventId> = forward.iter().rev().cloned().collect();
    let (start, end) = (Cursor::START, Cursor::END);
    assert_eq!(read(None, start, end, 4, Direction::Forward).await, (forward[..4].to_vec(), true));
    assert_eq!(read(None, start, end, 9, Direction::Forward).await, (forward.clone(), false));
    assert_eq!(read(None, start, end, 4, Direction::Backward).await, (backward[..4].to_vec(), true));
    assert_eq!(read(None, start, all[5].1.cursor, 9, Direction::Backward).await, (backward[4..].to_vec(), false));
    assert_eq!(read(None, all[5].1.cursor, end, 9, Direction::Forward).await, (forward[5..].to_vec(), false));
    let threads: Vec<OwnedEventId> =
        all.iter().filter(|(rel_type, _)| *rel_type == "m.thread").map(|(_, placed)| placed.id()).collect();
    assert_eq!(read(Some("m.thread"), start, end, 2, Direction::Forward).await, (threads[..2].to_vec(), true));
    assert_eq!(read(Some("m.thread"), start, end, 6, Direction::Forward).await, (threads, false));
}

/// The relation of an encrypted event is read from its clear part (ENC-11), over a restart too.
pub async fn encrypted_children_are_found(store: Store) {
    let alice = store.user("alice").await;
    let mut room = TestRoom::create(&store, &alice).await;
    let parent = room.say(&store, &alice, "parent").await;
    let content = json!({
        "algorithm": "m.megolm.v1.aes-sha2",
        "ciphertext": "opaque",
        "m.relates_to": { "rel_type": "m.thread", "event_id": parent.pdu.event_id() },
    });
    let child = room.send(&store, message_of(&alice, "m.room.encrypted", content)).await;
    let store = store.reopen().await;
    let query = query(Some("m.thread"), Some("m.room.encrypted"));
    assert_eq!(children(&store, &room, parent.pdu.event_id(), &query).await, [child.id()]);
}
