//! Receipts, typing and presence.

use olmstead_domain::position::Position;
use olmstead_storage::{
    changes::ChangeKey,
    ephemeral::{Presence, Receipt, Syncing},
};
use ruma::{EventId, OwnedUserId, RoomId, UserId};

use crate::{
    Store,
    support::{ODD_ROOMS, assert_same, parallel, room_id, user_id},
};

fn receipt(user: &UserId, kind: &str, thread: Option<&str>, event: &str) -> Receipt {
    Receipt {
        user_id: user.to_owned(),
        kind: kind.to_owned(),
        thread_id: thread.map(str::to_owned),
        event_id: EventId::parse(event).unwrap(),
        at: 1_000,
        position: Position::END,
    }
}

fn line(receipt: &Receipt) -> String {
    let Receipt { user_id, kind, thread_id, event_id, at, .. } = receipt;
    format!("{user_id} {kind} {thread_id:?} {event_id} {at}")
}

fn lines(receipts: &[Receipt]) -> Vec<String> {
    receipts.iter().map(line).collect()
}

/// A receipt takes the place of that of the same user, kind and thread; all others stay.
pub async fn a_receipt_replaces_its_like(store: Store) {
    let (alice, bob, room, other) = (user_id("alice"), user_id("bob"), room_id("room"), room_id("other"));
    let set = |receipts: Vec<Receipt>| store.set_receipts(&room, receipts);
    let kept = [
        receipt(&alice, "m.read", None, "$two"),
        receipt(&alice, "m.read", Some("main"), "$one"),
        receipt(&alice, "m.read", Some("$thread"), "$one"),
        receipt(&alice, "m.read.private", None, "$three"),
    ];
    set(vec![receipt(&alice, "m.read", None, "$one"), receipt(&bob, "m.read", None, "$one")]).await.unwrap();
    set(kept.to_vec()).await.unwrap();
    store.set_receipts(&other, vec![receipt(&alice, "m.read", None, "$x")]).await.unwrap();
    assert_same(lines(&store.receipts_of(&room, &alice).await.unwrap()), lines(&kept));
    let store = store.reopen().await;
    assert_same(lines(&store.receipts_of(&room, &alice).await.unwrap()), lines(&kept));
    assert_eq!(store.receipts_of(&room, &bob).await.unwrap().len(), 1);
    let all = store.receipts_between(&room, Position::START, Position::END).await.unwrap();
    assert_eq!(all.len(), 5, "what was replaced is not told");
    assert!(store.receipts_of(&room_id("unknown"), &alice).await.unwrap().is_empty());
}

/// Receipts are in the span they were last set in.
pub async fn receipts_are_read_by_span(store: Store) {
    let (alice, bob, room) = (user_id("alice"), user_id("bob"), room_id("room"));
    let start = store.position().await;
    store.set_receipts(&room, vec![receipt(&alice, "m.read", None, "$one")]).await.unwrap();
    store.set_receipts(&room, vec![receipt(&bob, "m.read", None, "$one")]).await.unwrap();
    let middle = store.position().await;
    store.set_receipts(&room, vec![receipt(&alice, "m.read", None, "$two")]).await.unwrap();
    let end = store.position().await;
    let between = async |from, to| {
        let receipts = store.receipts_between(&room, from, to).await.unwrap();
        assert!(receipts.iter().all(|receipt| receipt.position >= from && receipt.position < to));
        lines(&receipts)
    };
    let (new, old) = (line(&receipt(&alice, "m.read", None, "$two")), line(&receipt(&bob, "m.read", None, "$one")));
    assert_same(between(start, end).await, vec![new.clone(), old.clone()]);
    assert_eq!(between(start, middle).await, [old]);
    assert_eq!(between(middle, end).await, [new]);
    assert!(between(end, end).await.is_empty());
}

/// A user types until told otherwise or until the time is over; each change has a position.
pub async fn typing_starts_stops_and_ends(store: Store) {
    let (alice, bob, room) = (user_id("alice"), user_id("bob"), room_id("room"));
    let who = async |now| {
        let (mut users, position) = store.typing(&room, now).await.unwrap();
        users.sort();
        (users, position)
    };
    assert!(who(0).await.0.is_empty());
    let from = store.position().await;
    store.set_typing(&room, &alice, Some(5_000)).await.unwrap();
    store.set_typing(&room, &bob, Some(9_000)).await.unwrap();
    let (users, started) = who(1_000).await;
    assert_eq!(users, [alice.clone(), bob.clone()]);
    assert!(started >= from && started < store.position().await);
    assert_eq!(who(6_000).await.0, [bob.clone()], "time is over for one");
    let from = store.position().await;
    store.set_typing(&room, &bob, None).await.unwrap();
    let (users, stopped) = who(1_000).await;
    assert_eq!(users, [alice.clone()]);
    assert!(stopped >= from && stopped > started);
    assert!(store.typing(&room_id("other"), 1_000).await.unwrap().0.is_empty());
    store.set_typing(&room, &alice, Some(20_000)).await.unwrap();
    assert_eq!(who(15_000).await.0, [alice]);
}

/// Presence is one row a user, read by itself and by spans.
pub async fn presence_is_set_and_read(store: Store) {
    let (alice, bob) = (user_id("alice"), user_id("bob"));
    let presence = |user: &UserId, state: &str, at: u64| Presence {
        user_id: user.to_owned(),
        presence: state.to_owned(),
        status_msg: Some(format!("since {at}")),
        last_active_at: at,
        position: Position::END,
    };
    assert_eq!(store.presence(&alice).await.unwrap(), None);
    let start = store.position().await;
    store.set_presence(presence(&alice, "online", 1)).await.unwrap();
    store.set_presence(presence(&bob, "online", 2)).await.unwrap();
    let middle = store.position().await;
    store.set_presence(presence(&alice, "unavailable", 3)).await.unwrap();
    let end = store.position().await;
    let stored = store.presence(&alice).await.unwrap().unwrap();
    assert_eq!(Presence { position: Position::END, ..stored.clone() }, presence(&alice, "unavailable", 3));
    assert!(stored.position >= middle && stored.position < end);
    let between = async |from, to| {
        let all = store.presence_between(from, to).await.unwrap();
        all.into_iter().map(|presence| (presence.user_id, presence.presence)).collect::<Vec<_>>()
    };
    let (a, b) = ((alice.clone(), "unavailable".to_owned()), (bob.clone(), "online".to_owned()));
    assert_same(between(start, end).await, vec![a.clone(), b.clone()]);
    assert_eq!(between(start, middle).await, [b]);
    assert_eq!(between(middle, end).await, [a]);
}

/// Typing ends by time for all who look; the end is written once and is news, so that those who were told hear of it.
pub async fn typing_that_ended_is_written_once(store: Store) {
    let (alice, bob, carol) = (user_id("alice"), user_id("bob"), user_id("carol"));
    let (room, other) = (room_id("room"), room_id("other"));
    assert_eq!(store.end_typing(9_000).await.unwrap(), 0);
    store.set_typing(&room, &alice, Some(1_000)).await.unwrap();
    store.set_typing(&room, &bob, Some(1_000)).await.unwrap();
    store.set_typing(&room, &bob, Some(9_000)).await.unwrap();
    store.set_typing(&other, &carol, Some(1_500)).await.unwrap();
    store.set_typing(&other, &alice, Some(1_500)).await.unwrap();
    store.set_typing(&other, &alice, None).await.unwrap();
    let at = store.position().await;
    assert_eq!(store.end_typing(999).await.unwrap(), 0);
    assert!(store.typing(&room, 0).await.unwrap().1 < at, "nothing ended, nothing is news");
    assert_eq!(store.end_typing(1_000).await.unwrap(), 1);
    store.assert_wakes(at, "the end of typing", &[ChangeKey::Room(room.clone())]).await;
    let (users, changed) = store.typing(&room, 0).await.unwrap();
    assert_eq!(users, [bob.clone()]);
    assert!(changed >= at && changed < store.position().await);
    let store = store.reopen().await;
    assert_eq!(store.end_typing(2_000).await.unwrap(), 1, "that of Carol; Alice had stopped");
    assert_eq!(store.end_typing(2_000).await.unwrap(), 0);
    let ended = parallel(8, |_| {
        let store = store.clone();
        async move { store.end_typing(9_000).await.unwrap() }
    })
    .await;
    assert_eq!(ended.iter().sum::<usize>(), 1, "of several nodes one writes it");
    assert!(store.typing(&room, 0).await.unwrap().0.is_empty());
}

/// A room's id is any text after its sigil: each room has its own receipts and typing, and the end of typing is told to
/// the right one.
pub async fn odd_rooms_do_not_mix(store: Store) {
    let alice = user_id("alice");
    let rooms = ODD_ROOMS.map(|room| RoomId::parse(room).unwrap());
    for (room, number) in rooms.iter().zip(0..) {
        store.set_receipts(room, vec![receipt(&alice, "m.read", None, &format!("${number}"))]).await.unwrap();
        store.set_typing(room, &alice, Some(1_000 + number)).await.unwrap();
    }
    for (room, number) in rooms.iter().zip(0..) {
        let set = line(&receipt(&alice, "m.read", None, &format!("${number}")));
        assert_eq!(lines(&store.receipts_of(room, &alice).await.unwrap()), [set.clone()], "{room:?}");
        assert_eq!(lines(&store.receipts_between(room, Position::START, Position::END).await.unwrap()), [set]);
        assert_eq!(store.typing(room, 0).await.unwrap().0, [alice.clone()], "{room:?}");
        let at = store.position().await;
        assert_eq!(store.end_typing(1_000 + number).await.unwrap(), 1);
        store.assert_wakes(at, "the end of typing", &[ChangeKey::Room(room.clone())]).await;
        let (users, changed) = store.typing(room, 0).await.unwrap();
        assert!(users.is_empty() && changed >= at, "{room:?}");
    }
}

/// However many end at once, all are ended, a bounded number at a time.
pub async fn many_ends_of_typing_are_all_written(store: Store) {
    let room = room_id("room");
    for number in 0..300 {
        store.set_typing(&room, &user_id(&format!("u{number}")), Some(1_000 + number)).await.unwrap();
    }
    let mut ended = 0;
    loop {
        match store.end_typing(5_000).await.unwrap() {
            0 => break,
            count => ended += count,
        }
    }
    assert_eq!(ended, 300);
}

fn syncing(user_id: &OwnedUserId, until: u64) -> Syncing {
    Syncing { user_id: user_id.clone(), until }
}

/// Who syncs has the presence that goes with it, and who stopped is offline; the text and what was set by hand stay.
pub async fn presence_follows_syncing(store: Store) {
    let alice = user_id("alice");
    let state = async |store: &Store| {
        let presence = store.presence(&alice).await.unwrap().unwrap();
        (presence.presence, presence.last_active_at)
    };
    let state_of = |state: &str, at: u64| (state.to_owned(), at);

    let at = store.position().await;
    store.begin_syncing(syncing(&alice, 1_000), "online", 100).await.unwrap();
    store.assert_wakes(at, "who begins to sync", &[ChangeKey::Presence(alice.clone())]).await;
    assert_eq!(state(&store).await, state_of("online", 100));
    let at = store.position().await;
    store.begin_syncing(syncing(&alice, 1_100), "online", 200).await.unwrap();
    assert!(store.presence_between(at, Position::END).await.unwrap().is_empty(), "going on is no news");
    assert_eq!(state(&store).await, state_of("online", 100));

    let by_hand = Presence {
        user_id: alice.clone(),
        presence: "unavailable".to_owned(),
        status_msg: Some("at lunch".to_owned()),
        last_active_at: 300,
        position: Position::START,
    };
    store.set_presence(by_hand).await.unwrap();
    store.begin_syncing(syncing(&alice, 1_200), "online", 400).await.unwrap();
    assert_eq!(state(&store).await, state_of("unavailable", 300), "what was set by hand stays");
    store.begin_syncing(syncing(&alice, 1_200), "unavailable", 500).await.unwrap();
    store.begin_syncing(syncing(&alice, 1_200), "online", 600).await.unwrap();
    assert_eq!(state(&store).await, state_of("online", 600));
    store.begin_syncing(syncing(&alice, 1_200), "unavailable", 700).await.unwrap();
    assert_eq!(state(&store).await, state_of("unavailable", 600), "to be idle is not to be active");

    let at = store.position().await;
    store.keep_syncing(&[syncing(&alice, 2_000), syncing(&user_id("nobody"), 2_000)]).await.unwrap();
    store.keep_syncing(&[syncing(&alice, 1_500)]).await.unwrap();
    assert_eq!(store.end_syncing(1_999).await.unwrap(), 0);
    assert!(store.presence_between(at, Position::END).await.unwrap().is_empty(), "to be kept is no news");
    let store = store.reopen().await;
    let at = store.position().await;
    assert_eq!(store.end_syncing(2_000).await.unwrap(), 1);
    store.assert_wakes(at, "who stopped syncing", &[ChangeKey::Presence(alice.clone())]).await;
    assert_eq!(state(&store).await, state_of("offline", 600));
    let text = store.presence(&alice).await.unwrap().unwrap().status_msg;
    assert_eq!(text.as_deref(), Some("at lunch"));
    assert_eq!(store.presence(&user_id("nobody")).await.unwrap(), None);
    store.keep_syncing(&[syncing(&alice, 9_000)]).await.unwrap();
    store.begin_syncing(syncing(&alice, 3_000), "online", 2_500).await.unwrap();
    assert_eq!(store.end_syncing(3_000).await.unwrap(), 1, "who was gone is not kept");
}

/// Several nodes look for who stopped syncing: each is set offline once, however many they are.
pub async fn who_stopped_syncing_is_set_offline_once(store: Store) {
    for number in 0..300 {
        let user_id = user_id(&format!("u{number}"));
        store.begin_syncing(syncing(&user_id, 1_000 + number), "online", 1).await.unwrap();
    }
    let ended = parallel(4, |_| {
        let store = store.clone();
        async move {
            let mut ended = 0;
            loop {
                match store.end_syncing(5_000).await.unwrap() {
                    0 => return ended,
                    count => ended += count,
                }
            }
        }
    })
    .await;
    assert_eq!(ended.iter().sum::<usize>(), 300);
    assert_eq!(store.presence(&user_id("u7")).await.unwrap().unwrap().presence, "offline");
}
