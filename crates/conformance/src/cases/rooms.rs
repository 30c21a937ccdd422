//! Rooms: appending events.

use std::{collections::BTreeSet, slice};

use olmstead_domain::{
    position::Cursor,
    rooms::{EventTemplate, Pdu, RoomVersion},
};
use olmstead_storage::{
    StorageError,
    rooms::{AppendOutcome, Direction, RelationQuery, StateSelection},
};
use ruma::{EventId, OwnedEventId, RoomAliasId, UserId};
use serde_json::json;

use crate::{
    Store,
    support::{
        assert_same, parallel, room_id,
        rooms::{TestRoom, append_of, ids, message, message_of, new_room, state_of, version_id},
        transaction,
    },
};

async fn known(store: &Store, id: &EventId) -> bool {
    store.events(&[id.to_owned()]).await.unwrap()[0].is_some()
}

async fn timeline(store: &Store, room: &TestRoom) -> Vec<OwnedEventId> {
    let page = store.timeline(&room.id, Cursor::START, Cursor::END, 10_000, Direction::Forward).await.unwrap();
    assert!(!page.more);
    ids(&page.events)
}

fn logged(room: &TestRoom) -> Vec<OwnedEventId> {
    room.log.iter().map(|placed| placed.id()).collect()
}

/// A room is made by its first append, once.
pub async fn a_room_is_created_once(store: Store) {
    let alice = store.user("alice").await;
    assert_eq!(store.room_head(&room_id("unknown")).await.unwrap(), None);
    let pdus = new_room(&alice, RoomVersion::DEFAULT);
    let outcome = store.append_events(append_of(&pdus, None)).await.unwrap();
    let room = TestRoom::created(&alice, &pdus, &outcome);
    let head = room.head(&store).await;
    let last = pdus.last().unwrap();
    assert_eq!(head.version, version_id(RoomVersion::DEFAULT));
    assert_eq!(head.extremities, [last.event_id().to_owned()]);
    assert_eq!(head.depth, last.depth());
    assert_eq!((head.joined_count, head.invited_count, head.encrypted_at), (1, 0, None));
    assert_eq!(store.append_events(append_of(&pdus, None)).await.unwrap(), AppendOutcome::RoomExists);
    assert_eq!(room.head(&store).await, head, "nothing was stored");
    assert_eq!(timeline(&store, &room).await, logged(&room));
}

/// All events of an append have its position and ordinals from 0; the head is as told.
pub async fn events_get_the_places_of_their_append(store: Store) {
    let alice = store.user("alice").await;
    let mut room = TestRoom::create(&store, &alice).await;
    let before = room.head(&store).await;
    let placed = room.append(&store, &[message(&alice, "a"), message(&alice, "b"), message(&alice, "c")]).await;
    for event in &placed {
        let stored = store.events(&[event.id()]).await.unwrap().remove(0).unwrap();
        assert_eq!(stored.cursor, event.cursor);
        assert_eq!(stored.pdu.json().get(), event.pdu.json().get(), "the event is as it was signed");
    }
    let head = room.head(&store).await;
    assert!(head.revision > before.revision);
    assert_eq!(head.extremities, [placed[2].id()]);
    assert_eq!(head.depth, before.depth + 3);
    assert!(store.position().await > placed[0].cursor.position);
}

/// An append that was built on an old head stores nothing.
pub async fn a_stale_append_stores_nothing(store: Store) {
    let alice = store.user("alice").await;
    let mut room = TestRoom::create(&store, &alice).await;
    let stale = room.head(&store).await;
    let pdu = room.build(&stale, &[state_of(&alice, "m.room.topic", "", json!({ "topic": "lost" }))]).remove(0);
    room.say(&store, &alice, "first").await;
    let mut append = append_of(slice::from_ref(&pdu), Some(&stale));
    append.alias = Some((RoomAliasId::parse("#lost:conformance.test").unwrap(), alice.clone()));
    append.published = Some(true);
    let head = room.head(&store).await;
    let outcome = store.append_events(append).await;
    assert!(matches!(outcome, Err(StorageError::Conflict)), "{outcome:?}");
    assert!(!known(&store, pdu.event_id()).await);
    assert_eq!(room.head(&store).await, head);
    assert_eq!(timeline(&store, &room).await, logged(&room));
    assert!(store.room_aliases(&room.id).await.unwrap().is_empty());
    assert!(!store.published(&room.id).await.unwrap());
    let topic = StateSelection::These(vec![("m.room.topic".to_owned(), String::new())]);
    assert!(store.state(&room.id, None, topic).await.unwrap().is_empty());
}

/// Writers that try again after a conflict each land once, in their order, on one line of events.
pub async fn parallel_appends_each_land_once(store: Store) {
    let alice = store.user("alice").await;
    let room = TestRoom::create(&store, &alice).await;
    let sent = parallel(8, |task| {
        let (store, alice, room) = (store.clone(), alice.clone(), room.clone());
        async move {
            let mut sent = Vec::new();
            for number in 0..5 {
                let template = message(&alice, &format!("{task} {number}"));
                let (pdu, outcome) = room.append_in_race(&store, template, None).await;
                assert!(matches!(outcome, AppendOutcome::Appended(_)), "{outcome:?}");
                sent.push(pdu.event_id().to_owned());
            }
            sent
        }
    })
    .await;
    let page = store.timeline(&room.id, Cursor::START, Cursor::END, 1_000, Direction::Forward).await.unwrap();
    let stored = ids(&page.events[room.log.len()..]);
    assert_same(stored.clone(), sent.iter().flatten().cloned());
    for of_task in &sent {
        let order: Vec<_> = stored.iter().filter(|id| of_task.contains(id)).collect();
        assert_eq!(order, of_task.iter().collect::<Vec<_>>());
    }
    for pair in page.events.windows(2) {
        assert_eq!(pair[1].pdu.prev_events(), [pair[0].pdu.event_id().to_owned()], "a line without forks");
    }
}

async fn send(store: &Store, room: &TestRoom, template: EventTemplate, scope: &str, id: &str) -> (Pdu, AppendOutcome) {
    let owner = room.creator.clone();
    let device = store.devices(&owner).await.unwrap().remove(0).id;
    room.append_in_race(store, template, Some(transaction(&device, scope, id))).await
}

/// A repeated transaction stores nothing and answers with the first event (GEN-19), over a restart too.
pub async fn a_transaction_sends_one_event(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    let room = TestRoom::create(&store, &alice).await;
    let text = || message(&alice, "hello");
    let (first, outcome) = send(&store, &room, text(), "send/m.room.message", "t").await;
    assert!(matches!(outcome, AppendOutcome::Appended(_)));
    let key = transaction(&device, "send/m.room.message", "t");
    assert_eq!(store.transaction_event(&key).await.unwrap().as_deref(), Some(first.event_id()));
    let store = store.reopen().await;
    let (second, outcome) = send(&store, &room, text(), "send/m.room.message", "t").await;
    assert_eq!(outcome, AppendOutcome::SeenBefore(first.event_id().to_owned()));
    assert!(!known(&store, second.event_id()).await);
    assert_eq!(timeline(&store, &room).await.len(), room.log.len() + 1);
    for (scope, id) in [("send/m.room.message", "t2"), ("send/m.other", "t")] {
        let (_, outcome) = send(&store, &room, text(), scope, id).await;
        assert!(matches!(outcome, AppendOutcome::Appended(_)), "another transaction");
    }
    let mut other = key.clone();
    other.device = store.log_in(&alice, "OTHER").await;
    assert_eq!(store.transaction_event(&other).await.unwrap(), None);
    assert_eq!(store.transaction_event(&key).await.unwrap().as_deref(), Some(first.event_id()));
}

/// Of parallel repeats one sends, and all answer with its event.
pub async fn a_parallel_transaction_sends_one_event(store: Store) {
    let (alice, _) = store.user_with_device("alice").await;
    let room = TestRoom::create(&store, &alice).await;
    let outcomes = parallel(12, |_| {
        let (store, alice, room) = (store.clone(), alice.clone(), room.clone());
        async move { send(&store, &room, message(&alice, "hello"), "send/m.room.message", "t").await }
    })
    .await;
    let sent: Vec<_> = outcomes.iter().filter(|(_, outcome)| matches!(outcome, AppendOutcome::Appended(_))).collect();
    let [(event, _)] = sent[..] else { panic!("one was sent: {outcomes:?}") };
    for (_, outcome) in &outcomes {
        if let AppendOutcome::SeenBefore(seen) = outcome {
            assert_eq!(seen, event.event_id());
        }
    }
    assert_eq!(timeline(&store, &room).await.len(), room.log.len() + 1);
}

/// An alias comes with the room or not at all.
pub async fn an_alias_is_taken_in_the_same_step(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    let alias = RoomAliasId::parse("#here:conformance.test").unwrap();
    let create = async |creator: &UserId| {
        let pdus = new_room(creator, RoomVersion::DEFAULT);
        let mut append = append_of(&pdus, None);
        append.alias = Some((alias.clone(), creator.to_owned()));
        (pdus[0].room_id().to_owned(), store.append_events(append).await.unwrap())
    };
    let (first, outcome) = create(&alice).await;
    assert!(matches!(outcome, AppendOutcome::Appended(_)));
    assert_eq!(store.alias(&alias).await.unwrap(), Some((first.clone(), alice)));
    let (second, outcome) = create(&bob).await;
    assert_eq!(outcome, AppendOutcome::AliasTaken);
    assert_eq!(store.room_head(&second).await.unwrap(), None);
    assert_eq!(store.membership(&second, &bob).await.unwrap(), None);
    assert_eq!(store.room_aliases(&first).await.unwrap(), [alias]);
}

/// A room may be published as it is made; later appends leave that alone unless they say otherwise.
pub async fn a_room_is_published_in_the_same_step(store: Store) {
    let alice = store.user("alice").await;
    let pdus = new_room(&alice, RoomVersion::DEFAULT);
    let mut append = append_of(&pdus, None);
    append.published = Some(true);
    let outcome = store.append_events(append).await.unwrap();
    let mut room = TestRoom::created(&alice, &pdus, &outcome);
    assert!(store.published(&room.id).await.unwrap());
    room.say(&store, &alice, "hello").await;
    assert!(store.published(&room.id).await.unwrap());
    assert_eq!(store.published_rooms().await.unwrap(), [(room.id.clone(), 1)]);
    let private = TestRoom::create(&store, &alice).await;
    assert!(!store.published(&private.id).await.unwrap());
}

/// Events are found in the order asked, also twice; the unknown are empty places.
pub async fn events_are_found_by_id(store: Store) {
    let alice = store.user("alice").await;
    let (one, two) = (TestRoom::create(&store, &alice).await, TestRoom::create(&store, &alice).await);
    let unknown: OwnedEventId = EventId::parse("$unknown").unwrap();
    let asked = [two.log[1].id(), unknown, one.log[0].id(), two.log[1].id()];
    let found = store.events(&asked).await.unwrap();
    let found: Vec<Option<OwnedEventId>> =
        found.into_iter().map(|event| event.map(|event| event.pdu.event_id().to_owned())).collect();
    assert_eq!(found, [Some(asked[0].clone()), None, Some(asked[2].clone()), Some(asked[3].clone())]);
    assert!(store.events(&[]).await.unwrap().is_empty());
}

/// The auth chain of events is all that is reachable by `auth_events`, with the events, each once.
pub async fn an_auth_chain_holds_each_event_once(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    let mut room = TestRoom::create(&store, &alice).await;
    room.join(&store, &bob).await;
    room.set(&store, "m.room.name", "", json!({ "name": "another" })).await;
    let (a, b) = (room.say(&store, &alice, "a").await, room.say(&store, &bob, "b").await);
    let starts = [a.id(), b.id()];
    let mut expected: BTreeSet<OwnedEventId> = BTreeSet::new();
    let mut open: Vec<OwnedEventId> = starts.to_vec();
    while let Some(id) = open.pop() {
        if expected.insert(id.clone()) {
            let placed = room.log.iter().find(|placed| placed.id() == id).unwrap();
            open.extend(placed.pdu.auth_events().iter().cloned());
        }
    }
    assert!(expected.len() > 4, "the room has a chain worth the name");
    let chain = store.auth_chain(&starts).await.unwrap();
    assert_same(chain.iter().map(|pdu| pdu.event_id().to_owned()), expected);
    assert!(store.auth_chain(&[]).await.unwrap().is_empty());
}

/// A state event that does not become current is no state; an event that is not shown is not in the timeline. Both are
/// found by id.
pub async fn an_event_need_not_be_state_or_shown(store: Store) {
    let alice = store.user("alice").await;
    let mut room = TestRoom::create(&store, &alice).await;
    let topic = room.set(&store, "m.room.topic", "", json!({ "topic": "first" })).await;
    let head = room.head(&store).await;
    let pdus = room
        .build(&head, &[state_of(&alice, "m.room.topic", "", json!({ "topic": "second" })), message(&alice, "hidden")]);
    let mut append = append_of(&pdus, Some(&head));
    append.events[0].updates_state = false;
    append.events[1].in_timeline = false;
    assert!(matches!(store.append_events(append).await.unwrap(), AppendOutcome::Appended(_)));
    let selection = StateSelection::Types(vec!["m.room.topic".to_owned()]);
    assert_eq!(ids(&store.state(&room.id, None, selection).await.unwrap()), [topic.id()]);
    let history = store.state_history(&room.id, "m.room.topic", "").await.unwrap();
    assert_eq!(ids(&history), [topic.id()]);
    let mut expected = logged(&room);
    expected.push(pdus[0].event_id().to_owned());
    assert_eq!(timeline(&store, &room).await, expected);
    assert!(known(&store, pdus[1].event_id()).await);
}

/// Encryption begins with the first `m.room.encryption` of empty state key and never ends, whatever comes (ENC-2).
pub async fn encryption_never_goes_off(store: Store) {
    let alice = store.user("alice").await;
    let mut room = TestRoom::create(&store, &alice).await;
    room.set(&store, "m.room.encryption", "odd", json!({ "algorithm": "m.megolm.v1.aes-sha2" })).await;
    room.send(&store, message_of(&alice, "m.room.encryption", json!({ "algorithm": "x" }))).await;
    assert_eq!(room.head(&store).await.encrypted_at, None, "neither another key nor a message");
    let first = room.encrypt(&store).await;
    assert_eq!(room.head(&store).await.encrypted_at, Some(first.cursor));
    room.set(&store, "m.room.encryption", "", json!({})).await;
    room.send(&store, EventTemplate::redaction(&alice, first.pdu.event_id(), None, 1)).await;
    room.encrypt(&store).await;
    assert_eq!(room.head(&store).await.encrypted_at, Some(first.cursor));
    let membership = store.membership(&room.id, &alice).await.unwrap().unwrap();
    assert_eq!(membership.encrypted_at, Some(first.cursor));
    let store = store.reopen().await;
    assert_eq!(room.head(&store).await.encrypted_at, Some(first.cursor));
    let mut other = TestRoom::create(&store, &alice).await;
    let odd = other.set(&store, "m.room.encryption", "", json!({ "algorithm": 1 })).await;
    assert_eq!(other.head(&store).await.encrypted_at, Some(odd.cursor), "whatever is in it");
}

/// A room with its head, state and timeline is there after a restart, and goes on.
pub async fn rooms_survive_a_restart(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    let mut room = TestRoom::create(&store, &alice).await;
    room.join(&store, &bob).await;
    room.say(&store, &bob, "hello").await;
    let head = room.head(&store).await;
    let store = store.reopen().await;
    assert_eq!(room.head(&store).await, head);
    room.say(&store, &alice, "again").await;
    assert_eq!(timeline(&store, &room).await, logged(&room));
    let state = store.state(&room.id, None, StateSelection::All).await.unwrap();
    assert_same(ids(&state), room.state_before(Cursor::END).into_values());
    assert_eq!(room.head(&store).await.joined_count, 2);
}

/// Rooms of all supported versions are stored (ENC-7).
pub async fn events_of_every_room_version_are_stored(store: Store) {
    let alice = store.user("alice").await;
    for version in RoomVersion::ALL {
        let mut room = TestRoom::create_version(&store, &alice, version).await;
        room.say(&store, &alice, "hello").await;
        assert_eq!(room.head(&store).await.version, version_id(version));
        assert_eq!(timeline(&store, &room).await, logged(&room));
        let create = store.events(&[room.log[0].id()]).await.unwrap().remove(0).unwrap();
        assert_eq!(create.pdu.room_id(), room.id);
        assert_eq!(create.pdu.version(), version);
    }
}

/// Types, state keys, kinds of relation, ids in contents and of transactions are kept, whatever characters they hold;
/// an id that no event can have, however long, does not stand in the way of the event that names it.
pub async fn any_text_is_kept(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    let mut room = TestRoom::create(&store, &alice).await;
    let texts = ["nul \0", "one \u{1}", "both \u{1}\0\u{2}", "\u{10ffff}", "a'b\"c\\d"];
    let mut expected = Vec::new();
    for text in texts {
        let kind = format!("org.example.{text}");
        let state = room.set(&store, &kind, text, json!({ "n": 1 })).await;
        let parent = EventId::parse(format!("${text}")).unwrap();
        let relates_to = json!({ "rel_type": text, "event_id": parent });
        let child = room.send(&store, message_of(&alice, &kind, json!({ "m.relates_to": relates_to }))).await;
        room.send(&store, EventTemplate::redaction(&alice, &parent, None, 1)).await;
        let query = RelationQuery { rel_type: Some(text.to_owned()), event_type: Some(kind.clone()) };
        let children = store
            .relations(&room.id, &parent, &query, Cursor::START, Cursor::END, 10, Direction::Forward)
            .await
            .unwrap();
        assert_eq!(ids(&children.events), [child.id()], "{text:?}");
        let entry = StateSelection::These(vec![(kind.clone(), text.to_owned())]);
        for select in [entry, StateSelection::Types(vec![kind.clone()])] {
            assert_eq!(ids(&store.state(&room.id, None, select.clone()).await.unwrap()), [state.id()], "{text:?}");
            let before = store.state(&room.id, Some(state.cursor), select).await.unwrap();
            assert!(before.is_empty(), "{text:?}");
        }
        assert_eq!(ids(&store.state_history(&room.id, &kind, text).await.unwrap()), [state.id()], "{text:?}");
        assert!(store.events(&[parent]).await.unwrap()[0].is_none());
        let key = transaction(&device, text, text);
        let (sent, _) = room.append_in_race(&store, message(&alice, text), Some(key.clone())).await;
        assert_eq!(store.transaction_event(&key).await.unwrap().as_deref(), Some(sent.event_id()));
        let stored = store.events(&[sent.event_id().to_owned()]).await.unwrap().remove(0).unwrap();
        assert_eq!(stored.transaction, Some((device.device_id.clone(), device.generation, text.to_owned())));
        expected.push(state.id());
    }
    let all = store.state(&room.id, None, StateSelection::AllButMembers).await.unwrap();
    assert!(expected.iter().all(|id| ids(&all).contains(id)));
    let long = format!("${}", "x".repeat(20_000));
    let relates_to = json!({ "rel_type": "m.thread", "event_id": long });
    let sent = room.send(&store, message_of(&alice, "m.room.message", json!({ "m.relates_to": relates_to }))).await;
    assert!(known(&store, sent.pdu.event_id()).await);
}
