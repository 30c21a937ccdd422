//! Timelines: paging, redactions, transactions.

use olmstead_domain::{
    position::Cursor,
    rooms::{EventTemplate, RoomVersion},
};
use olmstead_storage::rooms::{Direction, StateSelection, StoredEvent, TimelinePage};
use ruma::OwnedEventId;
use serde_json::json;

use crate::{
    Store,
    random::{Random, seed},
    support::{
        room_id,
        rooms::{TestRoom, ids, message, state_of},
        transaction, unique,
    },
};

async fn long_room(store: &Store) -> TestRoom {
    let alice = store.user("alice").await;
    let other = TestRoom::create(store, &alice).await;
    let mut room = TestRoom::create(store, &alice).await;
    let mut other = other;
    for size in [1, 4, 2, 1, 7, 1, 1, 3] {
        let events: Vec<EventTemplate> = (0..size).map(|number| message(&alice, &format!("{size} {number}"))).collect();
        room.append(store, &events).await;
        other.say(store, &alice, "elsewhere").await;
    }
    room
}

fn in_span(room: &TestRoom, from: Cursor, to: Cursor, direction: Direction) -> Vec<OwnedEventId> {
    let mut events: Vec<OwnedEventId> = room
        .log
        .iter()
        .filter(|placed| placed.cursor >= from && placed.cursor < to)
        .map(|placed| placed.id())
        .collect();
    if direction == Direction::Backward {
        events.reverse();
    }
    events
}

#[track_caller]
fn assert_page(page: &TimelinePage, span: &[OwnedEventId], limit: usize) {
    assert_eq!(ids(&page.events), span[..limit.min(span.len())]);
    assert_eq!(page.more, span.len() > limit);
}

/// Pages go from old to new or back, and say whether more is there.
pub async fn a_timeline_is_read_in_both_directions(store: Store) {
    let room = long_room(&store).await;
    for direction in [Direction::Forward, Direction::Backward] {
        let expected = in_span(&room, Cursor::START, Cursor::END, direction);
        for limit in [1, 5, expected.len() - 1, expected.len(), 1_000] {
            let (mut from, mut to, mut read) = (Cursor::START, Cursor::END, Vec::new());
            loop {
                let page = store.timeline(&room.id, from, to, limit, direction).await.unwrap();
                assert_page(&page, &expected[read.len()..], limit);
                read.extend(ids(&page.events));
                if !page.more {
                    break;
                }
                let last: &StoredEvent = page.events.last().unwrap();
                match direction {
                    Direction::Forward => from = last.cursor.next(),
                    Direction::Backward => to = last.cursor,
                }
            }
            assert_eq!(read, expected);
        }
    }
    let nothing =
        store.timeline(&room_id("unknown"), Cursor::START, Cursor::END, 10, Direction::Forward).await.unwrap();
    assert!(nothing.events.is_empty() && !nothing.more);
}

/// Spans are half-open at any place, in both directions, over a restart too.
pub async fn any_span_of_a_timeline_is_right(store: Store) {
    let room = long_room(&store).await;
    let store = store.reopen().await;
    let places = room.places();
    let mut random = Random::new(seed());
    for _ in 0..150 {
        let (from, to) = (*random.pick(&places), *random.pick(&places));
        let limit = 1 + random.below(12);
        let direction = *random.pick(&[Direction::Forward, Direction::Backward]);
        let page = store.timeline(&room.id, from, to, limit, direction).await.unwrap();
        assert_page(&page, &in_span(&room, from, to, direction), limit);
    }
}

/// A redaction marks its target wherever it is read, in every room version, in the same commit or later (ENC-11).
pub async fn a_redaction_marks_its_target(store: Store) {
    let alice = store.user("alice").await;
    for version in RoomVersion::ALL {
        let mut room = TestRoom::create_version(&store, &alice, version).await;
        let target = room.say(&store, &alice, "bad").await;
        let other = room.say(&store, &alice, "good").await;
        let topic = room.set(&store, "m.room.topic", "", json!({ "topic": "bad" })).await;
        let redact = |target: &crate::support::rooms::Placed| {
            EventTemplate::redaction(&alice, target.pdu.event_id(), Some("spam"), unique())
        };
        let one = room.send(&store, redact(&target)).await;
        let two = room.send(&store, redact(&topic)).await;
        let mark = |event: &StoredEvent| event.redacted_by.as_ref().map(|pdu| pdu.event_id().to_owned());
        let found = store.events(&[target.id(), other.id(), topic.id(), one.id()]).await.unwrap();
        let found: Vec<_> = found.into_iter().map(|event| mark(&event.unwrap())).collect();
        assert_eq!(found, [Some(one.id()), None, Some(two.id()), None], "{version}");
        let page = store.timeline(&room.id, target.cursor, other.cursor, 10, Direction::Forward).await.unwrap();
        assert_eq!(mark(&page.events[0]), Some(one.id()));
        let selection = StateSelection::Types(vec!["m.room.topic".to_owned()]);
        let state = store.state(&room.id, None, selection).await.unwrap();
        assert_eq!(mark(&state[0]), Some(two.id()));
        let history = store.state_history(&room.id, "m.room.topic", "").await.unwrap();
        assert_eq!(mark(&history[0]), Some(two.id()));
    }
    let store = store.reopen().await;
    assert!(store.ping().await.is_ok());
}

/// A redaction of an event in another room, or of one that is unknown, marks nothing.
pub async fn a_redaction_in_another_room_marks_nothing(store: Store) {
    let alice = store.user("alice").await;
    let (mut one, mut two) = (TestRoom::create(&store, &alice).await, TestRoom::create(&store, &alice).await);
    let target = one.say(&store, &alice, "stays").await;
    two.send(&store, EventTemplate::redaction(&alice, target.pdu.event_id(), None, unique())).await;
    let unknown = ruma::EventId::parse("$unknown").unwrap();
    two.send(&store, EventTemplate::redaction(&alice, &unknown, None, unique())).await;
    let stored = store.events(&[target.id()]).await.unwrap().remove(0).unwrap();
    assert!(stored.redacted_by.is_none());
}

/// An event carries the transaction that sent it, to be shown to that device.
pub async fn an_event_knows_its_transaction(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    let mut room = TestRoom::create(&store, &alice).await;
    let plain = room.send(&store, state_of(&alice, "org.example", "", json!({}))).await;
    let key = transaction(&device, "send/m.room.message", "txn 1");
    let (pdu, _) = room.append_in_race(&store, message(&alice, "hello"), Some(key)).await;
    let found = store.events(&[plain.id(), pdu.event_id().to_owned()]).await.unwrap();
    let transactions: Vec<_> = found.into_iter().map(|event| event.unwrap().transaction).collect();
    assert_eq!(transactions, [None, Some((device.device_id.clone(), device.generation, "txn 1".to_owned()))]);
    let page = store.timeline(&room.id, plain.cursor.next(), Cursor::END, 1, Direction::Forward).await.unwrap();
    assert!(page.events[0].transaction.is_some());
}
