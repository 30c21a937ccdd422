//! State of rooms: now, at any place, and between places.

use olmstead_domain::position::Cursor;
use olmstead_storage::rooms::{StateSelection, StoredEvent};
use ruma::{OwnedEventId, OwnedUserId};
use serde_json::json;

use crate::{
    Store,
    random::{Random, seed},
    support::{
        assert_same, room_id,
        rooms::{TestRoom, ids, membership, message, state_of},
    },
};
use olmstead_domain::rooms::membership::Action;

/// A room with a history of state: entries set again and again, several in one commit, messages between.
async fn busy_room(store: &Store) -> (TestRoom, OwnedUserId) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    let mut room = TestRoom::create(store, &alice).await;
    room.append(
        store,
        &[
            state_of(&alice, "m.room.topic", "", json!({ "topic": "one" })),
            message(&alice, "a"),
            state_of(&alice, "m.room.topic", "", json!({ "topic": "two" })),
            state_of(&alice, "org.example", "key", json!({ "n": 1 })),
        ],
    )
    .await;
    room.join(store, &bob).await;
    room.set(store, "org.example", "", json!({ "n": 2 })).await;
    room.set(store, "org.example", "key2", json!({ "n": 3 })).await;
    room.leave(store, &bob).await;
    room.append(
        store,
        &[
            membership(Action::Join, &bob, &bob),
            message(&bob, "b"),
            state_of(&bob, "org.example", "key", json!({ "n": 4 })),
        ],
    )
    .await;
    room.set(store, "m.room.topic", "", json!({ "topic": "three" })).await;
    (room, bob)
}

fn entries(state: &[StoredEvent]) -> Vec<(String, String, OwnedEventId)> {
    let entry = |event: &StoredEvent| {
        let pdu = &event.pdu;
        (pdu.kind().to_owned(), pdu.state_key().unwrap().to_owned(), pdu.event_id().to_owned())
    };
    state.iter().map(entry).collect()
}

fn expected(state: impl IntoIterator<Item = ((String, String), OwnedEventId)>) -> Vec<(String, String, OwnedEventId)> {
    state.into_iter().map(|((kind, key), id)| (kind, key, id)).collect()
}

/// State is read whole, without members, by entry and by type.
pub async fn state_is_selected(store: Store) {
    let (room, bob) = busy_room(&store).await;
    let all = room.state_before(Cursor::END);
    let read = async |select| entries(&store.state(&room.id, None, select).await.unwrap());
    assert_same(read(StateSelection::All).await, expected(all.clone()));
    let but_members = all.clone().into_iter().filter(|((kind, _), _)| kind != "m.room.member");
    assert_same(read(StateSelection::AllButMembers).await, expected(but_members));
    let entry = |kind: &str, key: &str| (kind.to_owned(), key.to_owned());
    let these = vec![
        entry("org.example", "key"),
        entry("m.room.member", bob.as_str()),
        entry("org.example", "unknown"),
        entry("unknown", ""),
    ];
    let some = all.clone().into_iter().filter(|(key, _)| these.contains(key));
    assert_same(read(StateSelection::These(these.clone())).await, expected(some));
    let types = ["org.example", "m.room.topic", "m.room.membe", "unknown"].map(str::to_owned).to_vec();
    let some = all.into_iter().filter(|((kind, _), _)| types.contains(kind));
    assert_same(read(StateSelection::Types(types.clone())).await, expected(some));
    assert!(store.state(&room_id("unknown"), None, StateSelection::All).await.unwrap().is_empty());
}

/// The state strictly before every place of the stream is known, inside commits too, and survives a restart.
pub async fn state_is_known_at_every_place(store: Store) {
    let (room, bob) = busy_room(&store).await;
    let store = store.reopen().await;
    let these = vec![
        ("m.room.topic".to_owned(), String::new()),
        ("org.example".to_owned(), "key".to_owned()),
        ("m.room.member".to_owned(), bob.to_string()),
    ];
    for place in room.places() {
        let all = room.state_before(place);
        let read = async |select| entries(&store.state(&room.id, Some(place), select).await.unwrap());
        assert_same(read(StateSelection::All).await, expected(all.clone()));
        let some = all.clone().into_iter().filter(|(key, _)| these.contains(key));
        assert_same(read(StateSelection::These(these.clone())).await, expected(some));
        let types = vec!["org.example".to_owned()];
        let some = all.clone().into_iter().filter(|((kind, _), _)| kind == "org.example");
        assert_same(read(StateSelection::Types(types)).await, expected(some));
        let but_members = all.into_iter().filter(|((kind, _), _)| kind != "m.room.member");
        assert_same(read(StateSelection::AllButMembers).await, expected(but_members));
    }
}

/// Between two places each entry that was set is told once, as it was set last.
pub async fn state_between_is_the_last_of_each_entry(store: Store) {
    let (room, _) = busy_room(&store).await;
    let places = room.places();
    let mut random = Random::new(seed());
    for _ in 0..60 {
        let (from, to) = (*random.pick(&places), *random.pick(&places));
        let state = store.state_between(&room.id, from, to).await.unwrap();
        assert_same(entries(&state), expected(room.state_in(from, to)));
    }
    for pair in places.windows(2) {
        let state = store.state_between(&room.id, pair[0], pair[1]).await.unwrap();
        assert_same(entries(&state), expected(room.state_in(pair[0], pair[1])));
    }
}

/// All versions of an entry are read, oldest first.
pub async fn all_versions_of_an_entry_are_kept(store: Store) {
    let (room, bob) = busy_room(&store).await;
    for (kind, key) in
        [("m.room.topic", ""), ("org.example", "key"), ("org.example", ""), ("m.room.member", bob.as_str())]
    {
        let all: Vec<_> =
            room.log.iter().filter(|placed| placed.pdu.is_state_of(kind, key)).map(|placed| placed.id()).collect();
        assert!(!all.is_empty());
        assert_eq!(ids(&store.state_history(&room.id, kind, key).await.unwrap()), all, "{kind} {key}");
    }
    assert!(store.state_history(&room.id, "org.example", "unknown").await.unwrap().is_empty());
    assert!(store.state_history(&room_id("unknown"), "org.example", "key").await.unwrap().is_empty());
}

/// A state event names the one it replaced, also within one commit; others name none.
pub async fn an_event_knows_what_it_replaced(store: Store) {
    let (room, _) = busy_room(&store).await;
    for placed in &room.log {
        let stored = store.events(&[placed.id()]).await.unwrap().remove(0).unwrap();
        let before = room.state_before(placed.cursor);
        let replaced =
            placed.pdu.state_key().and_then(|key| before.get(&(placed.pdu.kind().to_owned(), key.to_owned())).cloned());
        assert_eq!(stored.replaces, replaced, "{:?}", placed.pdu);
    }
}
