//! Account data, filters, profiles and pushers.

use olmstead_domain::{json::RawJson, position::Position};
use olmstead_storage::{account_data::Pusher, devices::DeviceRef, devices::DeviceSelection};
use ruma::{RoomId, UserId};
use serde_json::{Value, json};

use crate::{
    Store,
    support::{ODD_ROOMS, assert_same, parallel, raw, room_id, user_id},
};

/// Entries are set for a user, global or in a room, and come back unchanged (AD-6, AD-9).
pub async fn entries_are_set_and_read(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    let (room, other) = (room_id("room"), room_id("other"));
    let odd = RawJson::from_text(r#"{ "b" : 1.50, "a": "\u0041" }"#.to_owned()).unwrap();
    assert_eq!(store.account_data(&alice, None, "k").await.unwrap(), None);
    store.set_account_data(&alice, None, "k", odd.clone()).await.unwrap();
    store.set_account_data(&alice, Some(&room), "k", raw(json!({ "in": "room" }))).await.unwrap();
    assert_eq!(store.account_data(&alice, None, "k").await.unwrap(), Some(odd));
    assert_eq!(store.account_data(&alice, Some(&room), "k").await.unwrap(), Some(raw(json!({ "in": "room" }))));
    assert_eq!(store.account_data(&alice, Some(&other), "k").await.unwrap(), None);
    assert_eq!(store.account_data(&bob, None, "k").await.unwrap(), None);
    assert_eq!(store.account_data(&alice, None, "kk").await.unwrap(), None);
    store.set_account_data(&alice, None, "k", raw(json!({}))).await.unwrap();
    assert_eq!(store.account_data(&alice, None, "k").await.unwrap(), Some(raw(json!({}))));
}

async fn between(store: &Store, user: &UserId, from: Position, to: Position) -> Vec<(String, String)> {
    let entries = store.account_data_between(user, from, to).await.unwrap();
    assert!(entries.iter().all(|entry| entry.position >= from && entry.position < to));
    let name = |room: &Option<ruma::OwnedRoomId>| room.as_ref().map_or(String::new(), ToString::to_string);
    entries.iter().map(|entry| (name(&entry.room_id) + " " + &entry.kind, entry.content.to_string())).collect()
}

/// An entry is in the span it was last set in, and in no other; spans are half-open.
pub async fn entries_are_read_by_the_span_they_were_set_in(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    let room = room_id("room");
    let start = store.position().await;
    store.set_account_data(&alice, None, "a", raw(json!({ "n": 1 }))).await.unwrap();
    store.set_account_data(&alice, Some(&room), "b", raw(json!({ "n": 2 }))).await.unwrap();
    store.set_account_data(&bob, None, "a", raw(json!({ "n": 3 }))).await.unwrap();
    let middle = store.position().await;
    store.set_account_data(&alice, None, "a", raw(json!({ "n": 4 }))).await.unwrap();
    store.set_account_data(&alice, None, "c", raw(json!({ "n": 5 }))).await.unwrap();
    let end = store.position().await;
    let line = |name: &str, n: u64| (name.to_owned(), format!(r#"{{"n":{n}}}"#));
    let in_room = format!("{room} b");
    assert_same(
        between(&store, &alice, Position::START, end).await,
        vec![line(" a", 4), line(&in_room, 2), line(" c", 5)],
    );
    assert_same(between(&store, &alice, middle, end).await, vec![line(" a", 4), line(" c", 5)]);
    assert_same(between(&store, &alice, start, middle).await, vec![line(&in_room, 2)]);
    assert_same(between(&store, &bob, start, end).await, vec![line(" a", 3)]);
    assert!(between(&store, &alice, end, end).await.is_empty());
}

/// A room's id is any text after its sigil, and so is a type: each entry is its own, and is told as it was set.
pub async fn odd_ids_do_not_mix(store: Store) {
    let alice = store.user("alice").await;
    let rooms = ODD_ROOMS.map(|room| RoomId::parse(room).unwrap());
    let kinds = ["k", "k\u{0}", "k\u{1}", "k\u{1}\u{1}"];
    let content = |room: &RoomId, kind: &str| raw(json!({ "of": [room, kind] }));
    let start = store.position().await;
    let mut lines = Vec::new();
    for room in &rooms {
        for kind in kinds {
            store.set_account_data(&alice, Some(room), kind, raw(json!({}))).await.unwrap();
            let (old, new) = (raw(json!({})), content(room, kind));
            assert!(store.replace_account_data(&alice, Some(room), kind, Some(&old), new.clone()).await.unwrap());
            lines.push((format!("{room} {kind}"), new.to_string()));
        }
    }
    for room in &rooms {
        for kind in kinds {
            let entry = store.account_data(&alice, Some(room), kind).await.unwrap();
            assert_eq!(entry, Some(content(room, kind)), "{room:?} {kind:?}");
        }
    }
    assert_same(between(&store, &alice, start, store.position().await).await, lines);
}

/// A conditional replacement happens if the entry is as it was read.
pub async fn an_entry_is_replaced_if_it_is_as_expected(store: Store) {
    let alice = store.user("alice").await;
    let (one, two) = (raw(json!({ "n": 1 })), raw(json!({ "n": 2 })));
    let replace = |expected: Option<RawJson>, new: &RawJson| {
        let (store, alice, new) = (store.clone(), alice.clone(), new.clone());
        async move { store.replace_account_data(&alice, None, "k", expected.as_ref(), new).await.unwrap() }
    };
    assert!(!replace(Some(one.clone()), &two).await);
    assert_eq!(store.account_data(&alice, None, "k").await.unwrap(), None);
    assert!(replace(None, &one).await);
    let from = store.position().await;
    assert!(!replace(None, &two).await);
    assert!(!replace(Some(two.clone()), &two).await);
    assert!(between(&store, &alice, from, store.position().await).await.is_empty(), "nothing was set");
    assert!(replace(Some(one), &two).await);
    assert_eq!(store.account_data(&alice, None, "k").await.unwrap(), Some(two));
    assert_eq!(between(&store, &alice, from, store.position().await).await.len(), 1);
}

/// Parallel read-and-replace loses no step.
pub async fn parallel_replacements_lose_nothing(store: Store) {
    let alice = store.user("alice").await;
    parallel(16, |_| {
        let (store, alice) = (store.clone(), alice.clone());
        async move {
            for _ in 0..5 {
                loop {
                    let old = store.account_data(&alice, None, "count").await.unwrap();
                    let count = old.as_ref().map_or(0, |old| old.read::<Value>().unwrap()["n"].as_u64().unwrap());
                    let new = raw(json!({ "n": count + 1 }));
                    if store.replace_account_data(&alice, None, "count", old.as_ref(), new).await.unwrap() {
                        break;
                    }
                }
            }
        }
    })
    .await;
    assert_eq!(store.account_data(&alice, None, "count").await.unwrap(), Some(raw(json!({ "n": 80 }))));
}

/// Parallel writes leave one of them, whole, and one row of it (AD-9).
pub async fn parallel_writes_leave_one_whole(store: Store) {
    let alice = store.user("alice").await;
    let content = |task: usize| raw(json!({ "task": task, "padding": "x".repeat(2_000) }));
    let from = store.position().await;
    parallel(16, |task| {
        let (store, alice) = (store.clone(), alice.clone());
        async move { store.set_account_data(&alice, None, "k", content(task)).await.unwrap() }
    })
    .await;
    let stored = store.account_data(&alice, None, "k").await.unwrap().unwrap();
    assert!((0..16).any(|task| stored == content(task)));
    let entries = store.account_data_between(&alice, from, store.position().await).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].content, stored);
}

/// Account data, filters, profiles and pushers are there after a restart.
pub async fn account_data_survives_a_restart(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    store.set_account_data(&alice, None, "k", raw(json!({ "n": 1 }))).await.unwrap();
    store.set_profile_field(&alice, "displayname", Some(raw(json!("Alice")))).await.unwrap();
    store.set_pusher(pusher(&device, "app", "key"), false).await.unwrap();
    let filter = store.put_filter(&alice, raw(json!({ "room": {} }))).await.unwrap();
    let store = store.reopen().await;
    assert_eq!(store.account_data(&alice, None, "k").await.unwrap(), Some(raw(json!({ "n": 1 }))));
    assert_eq!(store.profile(&alice).await.unwrap().unwrap().len(), 1);
    assert_eq!(store.pushers(&alice).await.unwrap(), [pusher(&device, "app", "key")]);
    assert_eq!(store.filter(&alice, &filter).await.unwrap(), Some(raw(json!({ "room": {} }))));
    let other = store.put_filter(&alice, raw(json!({ "room": { "x": 1 } }))).await.unwrap();
    assert_ne!(other, filter);
}

/// A filter is found by its id, for the user who stored it.
pub async fn a_filter_is_kept_for_its_user(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    let mut ids = Vec::new();
    for number in 0..12 {
        let filter = raw(json!({ "number": number }));
        let id = store.put_filter(&alice, filter.clone()).await.unwrap();
        assert!(!ids.contains(&id));
        assert_eq!(store.filter(&alice, &id).await.unwrap(), Some(filter));
        ids.push(id);
    }
    assert_eq!(store.filter(&alice, &ids[0]).await.unwrap(), Some(raw(json!({ "number": 0 }))));
    assert_eq!(store.filter(&bob, &ids[0]).await.unwrap(), None);
    assert_eq!(store.filter(&alice, "unknown").await.unwrap(), None);
    assert_eq!(store.filter(&alice, "").await.unwrap(), None);
}

/// Fields of a profile are set and removed one by one; a user without any has an empty one, nobody has none.
pub async fn a_profile_has_fields(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    assert_eq!(store.profile(&user_id("nobody")).await.unwrap(), None);
    assert_eq!(store.profile(&alice).await.unwrap(), Some(Vec::new()));
    let set = |field: &'static str, value: Option<Value>| store.set_profile_field(&alice, field, value.map(raw));
    set("displayname", Some(json!("Alice"))).await.unwrap();
    set("avatar_url", Some(json!("mxc://a/b"))).await.unwrap();
    set("org.example", Some(json!({ "x": 1 }))).await.unwrap();
    set("displayname", Some(json!("Alicia"))).await.unwrap();
    set("avatar_url", None).await.unwrap();
    set("unknown", None).await.unwrap();
    let fields: Vec<(String, String)> = store
        .profile(&alice)
        .await
        .unwrap()
        .unwrap()
        .into_iter()
        .map(|(name, value)| (name, value.to_string()))
        .collect();
    assert_same(
        fields,
        [("displayname", r#""Alicia""#), ("org.example", r#"{"x":1}"#)]
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .to_vec(),
    );
    assert_eq!(store.profile(&bob).await.unwrap(), Some(Vec::new()));
}

fn pusher(device: &DeviceRef, app: &str, key: &str) -> Pusher {
    Pusher {
        app_id: app.to_owned(),
        pushkey: key.to_owned(),
        device: device.clone(),
        data: raw(json!({ "app_id": app, "pushkey": key, "kind": "http", "of": device.device_id })),
    }
}

async fn pairs(store: &Store, user: &UserId) -> Vec<(String, String)> {
    let pushers = store.pushers(user).await.unwrap();
    pushers.into_iter().map(|pusher| (pusher.app_id, pusher.pushkey)).collect()
}

fn pair(app: &str, key: &str) -> (String, String) {
    (app.to_owned(), key.to_owned())
}

/// A pusher replaces that of the same app and key, and is deleted by them.
pub async fn a_pusher_is_replaced_by_its_like(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    let other = store.log_in(&alice, "OTHER").await;
    store.set_pusher(pusher(&device, "app", "key"), false).await.unwrap();
    store.set_pusher(pusher(&device, "app", "key2"), false).await.unwrap();
    store.set_pusher(pusher(&device, "app2", "key"), false).await.unwrap();
    store.set_pusher(pusher(&other, "app", "key"), false).await.unwrap();
    let stored = store.pushers(&alice).await.unwrap();
    assert_eq!(stored.len(), 3);
    assert!(stored.contains(&pusher(&other, "app", "key")));
    store.delete_pusher(&alice, "app", "key").await.unwrap();
    store.delete_pusher(&alice, "app", "unknown").await.unwrap();
    assert_same(pairs(&store, &alice).await, vec![pair("app", "key2"), pair("app2", "key")]);
}

/// Unless it is appended, a pusher takes its pair from other users.
pub async fn a_pusher_takes_its_pair_from_other_users(store: Store) {
    let (alice, a) = store.user_with_device("alice").await;
    let (bob, b) = store.user_with_device("bob").await;
    store.set_pusher(pusher(&a, "app", "key"), false).await.unwrap();
    store.set_pusher(pusher(&a, "app", "own"), false).await.unwrap();
    store.set_pusher(pusher(&b, "app", "key"), true).await.unwrap();
    assert_same(pairs(&store, &alice).await, vec![pair("app", "key"), pair("app", "own")]);
    assert_eq!(pairs(&store, &bob).await, [pair("app", "key")]);
    store.set_pusher(pusher(&b, "app", "key"), false).await.unwrap();
    assert_eq!(pairs(&store, &alice).await, [pair("app", "own")]);
    assert_eq!(pairs(&store, &bob).await, [pair("app", "key")]);
}

/// A pusher goes with the device that set it (DEV-10).
pub async fn a_pusher_goes_with_its_device(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    let other = store.log_in(&alice, "OTHER").await;
    store.set_pusher(pusher(&device, "app", "gone"), false).await.unwrap();
    store.set_pusher(pusher(&other, "app", "kept"), false).await.unwrap();
    store.delete_devices(&alice, DeviceSelection::AllBut("OTHER".into())).await.unwrap();
    assert_eq!(pairs(&store, &alice).await, [pair("app", "kept")]);
    store.log_in(&alice, "DEVICE").await;
    assert_eq!(pairs(&store, &alice).await, [pair("app", "kept")]);
}
