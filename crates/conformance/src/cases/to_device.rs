//! To-device messages and inboxes.

use olmstead_domain::position::{Cursor, Position};
use olmstead_storage::{
    devices::{DeviceRef, DeviceSelection},
    to_device::{OutgoingMessage, Recipient},
};
use serde_json::{Value, json};

use crate::{
    Store,
    support::{body, event, parallel, raw, to_all, to_device, transaction, user_id},
};

/// Reads a whole inbox in pages of `limit`, as a client does.
async fn page_through(store: &Store, device: &DeviceRef, limit: usize) -> Vec<Value> {
    let to = store.position().await;
    let (mut from, mut read) = (Cursor::START, Vec::new());
    loop {
        let page = store.inbox(device, from, to, limit).await.unwrap();
        assert!(page.messages.len() <= limit);
        assert!(page.messages.windows(2).all(|pair| pair[0].0 < pair[1].0), "places are distinct and grow");
        read.extend(page.messages.iter().map(|(_, event)| body(event)));
        let Some((last, _)) = page.messages.last() else {
            assert!(!page.more);
            return read;
        };
        assert!(page.messages.len() == limit || !page.more, "a page ends at the limit or at the end");
        if !page.more {
            return read;
        }
        from = last.next();
    }
}

/// Messages come in order of arrival, unchanged, to their device only (TD-3, TD-5, TD-14).
pub async fn messages_arrive_in_order_for_their_device_only(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    let other = store.log_in(&alice, "OTHER").await;
    let odd =
        raw(json!({ "type": "m.room_key_request", "sender": "@x:y", "content": { "z": [null, 1e3, "\u{1F600}"] } }));
    let recipient = Recipient::Device(alice.clone(), "DEVICE".into());
    store.send_to_device(None, vec![to_device(&device, 1), to_device(&device, 2)]).await.unwrap();
    store.send_to_device(None, vec![OutgoingMessage { recipient, event: odd.clone() }]).await.unwrap();
    store.send_to_device(None, vec![to_device(&other, "o"), to_device(&device, 4)]).await.unwrap();
    let page = store.inbox(&device, Cursor::START, store.position().await, 100).await.unwrap();
    let events: Vec<_> = page.messages.into_iter().map(|(_, event)| event).collect();
    assert_eq!(events, [event(1), event(2), odd, event(4)]);
    assert_eq!(store.waiting(&other).await, ["o"]);
}

/// `*` reaches each device the user has once, and no device that comes later (TD-2).
pub async fn a_message_to_all_reaches_each_device_once(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    let mut devices = Vec::new();
    for id in ["A", "B", "C"] {
        devices.push(store.log_in(&alice, id).await);
    }
    let bobs = store.log_in(&bob, "A").await;
    store.send_to_device(None, vec![to_all(&alice, "all"), to_device(&devices[1], "b")]).await.unwrap();
    let late = store.log_in(&alice, "LATE").await;
    assert_eq!(store.waiting(&devices[0]).await, ["all"]);
    assert_eq!(store.waiting(&devices[1]).await, ["all", "b"]);
    assert_eq!(store.waiting(&devices[2]).await, ["all"]);
    assert!(store.waiting(&late).await.is_empty());
    assert!(store.waiting(&bobs).await.is_empty());
}

/// Messages to unknown users and devices are dropped; the rest is delivered (TD-12).
pub async fn messages_to_nobody_are_dropped(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    let unknown = Recipient::Device(alice, "UNKNOWN".into());
    let messages = vec![
        to_all(&user_id("nobody"), 1),
        OutgoingMessage { recipient: unknown, event: event(2) },
        to_device(&device, 3),
    ];
    assert!(store.send_to_device(None, messages).await.unwrap());
    assert_eq!(store.waiting(&device).await, [3]);
    assert!(store.send_to_device(None, Vec::new()).await.unwrap());
}

/// A repeated transaction does nothing, over a restart too; another path or device is another transaction (TD-10, GEN-19).
pub async fn a_transaction_is_done_once(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    let other = store.log_in(&alice, "OTHER").await;
    let (bob, target) = store.user_with_device("bob").await;
    let send = async |store: &Store, device: &DeviceRef, scope: &str, id: &str, what: &str| {
        store.send_to_device(Some(transaction(device, scope, id)), vec![to_all(&bob, what)]).await.unwrap()
    };
    assert!(send(&store, &device, "sendToDevice/m.a", "t", "first").await);
    assert!(!send(&store, &device, "sendToDevice/m.a", "t", "again").await);
    assert!(send(&store, &device, "sendToDevice/m.b", "t", "other path").await);
    assert!(send(&store, &other, "sendToDevice/m.a", "t", "other device").await);
    assert!(send(&store, &device, "sendToDevice/m.a", "t2", "other id").await);
    assert!(send(&store, &device, "sendToDevice/m.at", "", "odd").await, "parts of the key do not run together");
    let store = store.reopen().await;
    assert!(!send(&store, &device, "sendToDevice/m.a", "t", "late").await);
    assert_eq!(store.waiting(&target).await, ["first", "other path", "other device", "other id", "odd"]);
}

/// Of parallel repeats one sends (TD-10).
pub async fn a_parallel_transaction_is_done_once(store: Store) {
    let (bob, target) = store.user_with_device("bob").await;
    for round in 0..10 {
        let answers = parallel(16, |_| {
            let (store, device, bob) = (store.clone(), target.clone(), bob.clone());
            async move {
                let transaction = transaction(&device, "sendToDevice/m.a", &format!("t{round}"));
                store.send_to_device(Some(transaction), vec![to_all(&bob, round)]).await.unwrap()
            }
        })
        .await;
        assert_eq!(answers.iter().filter(|sent| **sent).count(), 1);
    }
    assert_eq!(store.waiting(&target).await, (0..10).map(Value::from).collect::<Vec<_>>());
}

/// Pages of any size give all messages in order, also when a page ends inside a commit (TD-9).
pub async fn an_inbox_is_read_in_pages(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    let mut sent = 0;
    for size in [1, 7, 30, 2, 100, 1, 59] {
        let messages = (sent..sent + size).map(|number| to_device(&device, number)).collect();
        store.send_to_device(None, messages).await.unwrap();
        sent += size;
    }
    let expected: Vec<Value> = (0..sent).map(Value::from).collect();
    for limit in [1, 3, 10, 99, 100, 199, 200, 201] {
        assert_eq!(page_through(&store, &device, limit).await, expected, "pages of {limit}");
    }
    let page = store.inbox(&device, Cursor::START, store.position().await, 200).await.unwrap();
    assert!(!page.more, "exactly the limit is all there was");
}

/// A read starts at its cursor and ends below its position, whatever came later; reading deletes nothing (TD-7).
pub async fn an_inbox_is_read_by_span(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    store.send_to_device(None, vec![to_device(&device, 0), to_device(&device, 1)]).await.unwrap();
    let middle = store.position().await;
    store.send_to_device(None, vec![to_device(&device, 2)]).await.unwrap();
    let end = store.position().await;
    store.send_to_device(None, vec![to_device(&device, 3)]).await.unwrap();
    let read = async |from: Cursor, to: Position, limit: usize| {
        let page = store.inbox(&device, from, to, limit).await.unwrap();
        (page.messages.iter().map(|(_, event)| body(event)).collect::<Vec<_>>(), page.more)
    };
    for _ in 0..2 {
        assert_eq!(read(Cursor::START, middle, 100).await, (vec![0.into(), 1.into()], false));
        assert!(!read(Cursor::START, middle, 2).await.1, "what is beyond the span is not more");
        assert_eq!(read(Cursor::at(middle), end, 100).await, (vec![2.into()], false));
        assert_eq!(read(Cursor::START, end, 1).await, (vec![0.into()], true));
        assert_eq!(read(Cursor::START, Position::START, 100).await, (vec![], false));
    }
}

/// What is strictly below the cursor goes, also inside a commit; nothing else (TD-6).
pub async fn acknowledging_deletes_exactly_what_is_below(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    let (_, other) = store.user_with_device("bob").await;
    for first in [0, 5] {
        let to = |device: &DeviceRef| (first..first + 5).map(|number| to_device(device, number)).collect::<Vec<_>>();
        store.send_to_device(None, [to(&device), to(&other)].concat()).await.unwrap();
    }
    let page = store.inbox(&device, Cursor::START, store.position().await, 100).await.unwrap();
    let places: Vec<Cursor> = page.messages.iter().map(|(place, _)| *place).collect();
    store.acknowledge(&device, Cursor::START).await.unwrap();
    assert_eq!(store.waiting(&device).await.len(), 10);
    for (at, first_left) in [(places[0], 0), (places[3], 3), (places[3].next(), 4), (places[3], 4), (places[6], 6)] {
        store.acknowledge(&device, at).await.unwrap();
        let expected: Vec<Value> = (first_left..10).map(Value::from).collect();
        // Deleting need not be seen at once, but what is at the cursor and after must stay.
        let waiting = store.waiting(&device).await;
        assert!(waiting.ends_with(&expected), "at {at:?}: {waiting:?}");
    }
    assert_eq!(store.waiting(&other).await.len(), 10, "the other inbox is untouched");
    store.acknowledge(&device, Cursor::at(store.position().await)).await.unwrap();
    store.send_to_device(None, vec![to_device(&device, "new")]).await.unwrap();
    assert_eq!(store.waiting(&device).await.last(), Some(&json!("new")));
}

/// What waits is there after a restart, in order, before and after what comes then (TD-4).
pub async fn messages_survive_a_restart(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    for number in 0..5 {
        store.send_to_device(None, vec![to_device(&device, number)]).await.unwrap();
    }
    let store = store.reopen().await;
    store.send_to_device(None, vec![to_device(&device, 5)]).await.unwrap();
    assert_eq!(store.waiting(&device).await, (0..6).map(Value::from).collect::<Vec<_>>());
    store.delete_devices(&alice, DeviceSelection::All).await.unwrap();
    let store = store.reopen().await;
    assert!(store.waiting(&device).await.is_empty());
}

/// Each sender's messages keep their order, and each arrives once (TD-8, TD-19).
pub async fn parallel_senders_keep_their_order(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    parallel(16, |task| {
        let (store, device) = (store.clone(), device.clone());
        async move {
            for number in 0..25 {
                store.send_to_device(None, vec![to_device(&device, json!([task, number]))]).await.unwrap();
            }
        }
    })
    .await;
    let received = page_through(&store, &device, 33).await;
    assert_eq!(received.len(), 16 * 25);
    for task in 0..16 {
        let of_task: Vec<&Value> = received.iter().filter(|pair| pair[0] == task).map(|pair| &pair[1]).collect();
        assert_eq!(of_task, (0..25).map(Value::from).collect::<Vec<_>>().iter().collect::<Vec<_>>());
    }
}
