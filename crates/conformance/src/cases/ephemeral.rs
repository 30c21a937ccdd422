//! Receipts, typing and presence.

use olmstead_domain::position::Position;
use olmstead_storage::ephemeral::{Presence, Receipt};
use ruma::{EventId, UserId};

use crate::{
    Store,
    support::{assert_same, room_id, user_id},
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
