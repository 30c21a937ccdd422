//! Aliases and published rooms.

use ruma::{OwnedRoomAliasId, RoomAliasId};

use crate::{
    Store,
    support::{parallel, room_id, rooms::TestRoom, user_id},
};

fn alias(name: &str) -> OwnedRoomAliasId {
    RoomAliasId::parse(format!("#{name}:conformance.test")).unwrap()
}

/// An alias points at one room; it is known who made it.
pub async fn an_alias_is_created_once(store: Store) {
    let (alice, bob, one, two) = (user_id("alice"), user_id("bob"), room_id("one"), room_id("two"));
    assert_eq!(store.alias(&alias("a")).await.unwrap(), None);
    assert!(store.create_alias(&alias("a"), &one, &alice).await.unwrap());
    assert!(!store.create_alias(&alias("a"), &two, &bob).await.unwrap());
    assert_eq!(store.alias(&alias("a")).await.unwrap(), Some((one.clone(), alice.clone())));
    assert!(store.room_aliases(&two).await.unwrap().is_empty());
    let store = store.reopen().await;
    assert_eq!(store.alias(&alias("a")).await.unwrap(), Some((one, alice)));
}

/// Of parallel creations one wins.
pub async fn of_parallel_aliases_one_wins(store: Store) {
    let answers = parallel(16, |task| {
        let store = store.clone();
        async move { store.create_alias(&alias("a"), &room_id(&format!("r{task}")), &user_id("alice")).await.unwrap() }
    })
    .await;
    let won: Vec<usize> = answers.iter().enumerate().filter(|(_, won)| **won).map(|(task, _)| task).collect();
    assert_eq!(won.len(), 1);
    let room = room_id(&format!("r{}", won[0]));
    assert_eq!(store.alias(&alias("a")).await.unwrap().unwrap().0, room);
    assert_eq!(store.room_aliases(&room).await.unwrap(), [alias("a")]);
}

/// A deleted alias is free again.
pub async fn an_alias_is_deleted(store: Store) {
    let (alice, one, two) = (user_id("alice"), room_id("one"), room_id("two"));
    store.create_alias(&alias("a"), &one, &alice).await.unwrap();
    assert!(store.delete_alias(&alias("a")).await.unwrap());
    assert!(!store.delete_alias(&alias("a")).await.unwrap());
    assert_eq!(store.alias(&alias("a")).await.unwrap(), None);
    assert!(store.room_aliases(&one).await.unwrap().is_empty());
    assert!(store.create_alias(&alias("a"), &two, &alice).await.unwrap());
    assert_eq!(store.room_aliases(&two).await.unwrap(), [alias("a")]);
}

/// The aliases of a room are sorted, and those of that room alone.
pub async fn aliases_of_a_room_are_sorted(store: Store) {
    let (alice, one, two) = (user_id("alice"), room_id("one"), room_id("on"));
    for name in ["m", "a", "z", "aa"] {
        store.create_alias(&alias(name), &one, &alice).await.unwrap();
    }
    store.create_alias(&alias("b"), &two, &alice).await.unwrap();
    let mut expected = ["a", "aa", "m", "z"].map(alias);
    expected.sort();
    assert_eq!(store.room_aliases(&one).await.unwrap(), expected);
}

/// Published rooms come with their joined counts as of now, the largest first, then by id.
pub async fn published_rooms_come_by_size(store: Store) {
    let alice = store.user("alice").await;
    let mut rooms = Vec::new();
    for _ in 0..4 {
        rooms.push(TestRoom::create(&store, &alice).await);
    }
    for room in &rooms[..3] {
        store.set_published(&room.id, true).await.unwrap();
    }
    for name in ["bob", "carol"] {
        let user = store.user(name).await;
        rooms[2].join(&store, &user).await;
    }
    let mut small = [rooms[0].id.clone(), rooms[1].id.clone()];
    small.sort();
    let expected = [(rooms[2].id.clone(), 3), (small[0].clone(), 1), (small[1].clone(), 1)];
    assert_eq!(store.published_rooms().await.unwrap(), expected);
    assert!(!store.published(&rooms[3].id).await.unwrap());
    store.set_published(&rooms[2].id, false).await.unwrap();
    assert_eq!(store.published_rooms().await.unwrap(), expected[1..]);
    let store = store.reopen().await;
    assert_eq!(store.published_rooms().await.unwrap(), expected[1..]);
}
