//! Readers that follow the horizon, from one to the next, while many write: nothing may be missed, and nothing told
//! twice (DL-9, TD-8).

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use olmstead_domain::position::{Cursor, Position};
use olmstead_storage::{
    changes::{ChangeKey, Changed},
    rooms::{AppendOutcome, Direction},
    sync::SyncQuery,
};
use serde_json::json;

use crate::{
    Store,
    support::{
        account, assert_same, body, parallel, raw,
        rooms::{TestRoom, message},
        to_device, user_id,
    },
};

const WRITERS: usize = 16;

/// Runs the writers, and beside them two readers, each of which reads from horizon to horizon until the writers are done.
/// Every reader must have read exactly what the writers say that they wrote.
async fn follow<W, R>(store: &Store, write: impl Fn(usize) -> W, read: impl Fn(Position, Position) -> R)
where
    W: Future<Output = Vec<String>> + Send + 'static,
    R: Future<Output = Vec<String>>,
{
    let from = store.position().await;
    let done = Arc::new(AtomicUsize::new(0));
    let writers = parallel(WRITERS, |task| {
        let (done, write) = (Arc::clone(&done), write(task));
        async move {
            let written = write.await;
            done.fetch_add(1, Ordering::SeqCst);
            written
        }
    });
    let reader = async || {
        let (mut since, mut seen) = (from, Vec::new());
        loop {
            let last = done.load(Ordering::SeqCst) == WRITERS;
            let horizon = store.position().await;
            assert!(horizon >= since, "a horizon never goes back");
            seen.extend(read(since, horizon).await);
            since = horizon;
            if last {
                return seen;
            }
            tokio::task::yield_now().await;
        }
    };
    let (written, one, two) = tokio::join!(writers, reader(), reader());
    let written: Vec<String> = written.into_iter().flatten().collect();
    assert_same(one, written.clone());
    assert_same(two, written);
}

/// Messages of one inbox.
pub async fn readers_following_horizons_miss_no_message(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    let write = |task: usize| {
        let (store, device) = (store.clone(), device.clone());
        async move {
            let mut written = Vec::new();
            for number in 0..30 {
                let text = format!("{task} {number}");
                // Some commits hold more than one message.
                let messages = (0..=number % 3).map(|part| to_device(&device, format!("{text} {part}"))).collect();
                store.send_to_device(None, messages).await.unwrap();
                written.extend((0..=number % 3).map(|part| json!(format!("{text} {part}")).to_string()));
            }
            written
        }
    };
    let read = async |from, to| {
        let page = store.inbox(&device, Cursor::at(from), to, 100_000).await.unwrap();
        page.messages.iter().map(|(_, event)| body(event).to_string()).collect()
    };
    follow(&store, write, read).await;
}

/// Events of rooms, some with one writer and some with many.
pub async fn readers_following_horizons_miss_no_event(store: Store) {
    let alice = store.user("alice").await;
    let mut rooms = Vec::new();
    for _ in 0..8 {
        rooms.push(TestRoom::create(&store, &alice).await);
    }
    let write = |task: usize| {
        let (store, alice, room) = (store.clone(), alice.clone(), rooms[task % 8].clone());
        async move {
            let mut written = Vec::new();
            for number in 0..12 {
                let (pdu, outcome) =
                    room.append_in_race(&store, message(&alice, &format!("{task} {number}")), None).await;
                assert!(matches!(outcome, AppendOutcome::Appended(_)), "{outcome:?}");
                written.push(pdu.event_id().to_string());
            }
            written
        }
    };
    let read = async |from, to| {
        let mut seen = Vec::new();
        for room in &rooms {
            let (from, to) = (Cursor::at(from), Cursor::at(to));
            let page = store.timeline(&room.id, from, to, 10_000, Direction::Forward).await.unwrap();
            seen.extend(page.events.iter().map(|event| event.pdu.event_id().to_string()));
        }
        seen
    };
    follow(&store, write, read).await;
}

/// Account data of one user.
pub async fn readers_following_horizons_miss_no_account_data(store: Store) {
    let alice = store.user("alice").await;
    let write = |task: usize| {
        let (store, alice) = (store.clone(), alice.clone());
        async move {
            let mut written = Vec::new();
            for number in 0..30 {
                let kind = format!("k {task} {number}");
                store.set_account_data(&alice, None, &kind, raw(json!({}))).await.unwrap();
                written.push(kind);
            }
            written
        }
    };
    let read = async |from, to| {
        let entries = store.account_data_between(&alice, from, to).await.unwrap();
        entries.into_iter().map(|entry| entry.kind).collect()
    };
    follow(&store, write, read).await;
}

/// Changes of device lists, each of another user.
pub async fn readers_following_horizons_miss_no_device_list_change(store: Store) {
    let write = |task: usize| {
        let store = store.clone();
        async move {
            let mut written = Vec::new();
            for number in 0..10 {
                let user = user_id(&format!("user{task}x{number}"));
                assert!(store.create_account(account(&user), None).await.unwrap());
                let device = store.log_in(&user, "DEVICE").await;
                store.upload_identity(&device, "1").await;
                written.push(user.to_string());
            }
            written
        }
    };
    let read = async |from, to| {
        let users = store.device_list_changes(from, to).await.unwrap();
        users.into_iter().map(|user| user.to_string()).collect()
    };
    follow(&store, write, read).await;
}

/// What the stream says is touched: what was written, or everything.
pub async fn readers_following_horizons_miss_no_change_key(store: Store) {
    let from = store.position().await;
    let done = Arc::new(AtomicUsize::new(0));
    let writers = parallel(WRITERS, |task| {
        let (store, done) = (store.clone(), Arc::clone(&done));
        async move {
            let mut written = BTreeSet::new();
            for number in 0..20 {
                let user = user_id(&format!("user{task}x{number}"));
                store.set_account_data(&user, None, "k", raw(json!({}))).await.unwrap();
                written.insert(user);
            }
            done.fetch_add(1, Ordering::SeqCst);
            written
        }
    });
    let reader = async {
        let (mut since, mut seen) = (from, BTreeSet::new());
        loop {
            let last = done.load(Ordering::SeqCst) == WRITERS;
            let horizon = store.position().await;
            let Changed::Keys(keys) = store.changed(since, horizon).await.unwrap() else { return None };
            seen.extend(keys.into_iter().filter_map(|key| match key {
                ChangeKey::User(user) => Some(user),
                _ => None,
            }));
            since = horizon;
            if last {
                return Some(seen);
            }
            tokio::task::yield_now().await;
        }
    };
    let (written, seen) = tokio::join!(writers, reader);
    let written: BTreeSet<_> = written.into_iter().flatten().collect();
    assert!(seen.is_none_or(|seen| seen == written));
}

/// Whole syncs of one device, with pages of messages that stop at a limit.
pub async fn syncs_miss_nothing(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    let start = store.position().await;
    let done = Arc::new(AtomicUsize::new(0));
    let writers = parallel(WRITERS, |task| {
        let (store, done, alice, device) = (store.clone(), Arc::clone(&done), alice.clone(), device.clone());
        async move {
            let mut written = Vec::new();
            for number in 0..15 {
                let text = format!("{task} {number}");
                store.send_to_device(None, vec![to_device(&device, text.clone())]).await.unwrap();
                store.set_account_data(&alice, None, &text, raw(json!({}))).await.unwrap();
                let user = user_id(&format!("user{task}x{number}"));
                store.create_account(account(&user), None).await.unwrap();
                let theirs = store.log_in(&user, "DEVICE").await;
                store.upload_identity(&theirs, "1").await;
                written.extend([format!("message {}", json!(text)), format!("entry {text}"), format!("list {user}")]);
            }
            done.fetch_add(1, Ordering::SeqCst);
            written
        }
    });
    let reader = async {
        let mut seen = Vec::new();
        let mut query =
            SyncQuery { device: device.clone(), since: Some(start), inbox_from: Cursor::at(start), inbox_limit: 7 };
        loop {
            let last = done.load(Ordering::SeqCst) == WRITERS;
            let facts = store.sync_facts(&query).await.unwrap().unwrap();
            seen.extend(facts.inbox.messages.iter().map(|(_, event)| format!("message {}", body(event))));
            seen.extend(facts.account_data.iter().map(|entry| format!("entry {}", entry.kind)));
            seen.extend(facts.device_lists.iter().map(|user| format!("list {user}")));
            query.since = Some(facts.horizon.position);
            query.inbox_from = match facts.inbox.messages.last() {
                Some((last, _)) if facts.inbox.more => last.next(),
                _ => Cursor::at(facts.horizon.position),
            };
            if last && !facts.inbox.more {
                return seen;
            }
            tokio::task::yield_now().await;
        }
    };
    let (written, seen) = tokio::join!(writers, reader);
    assert_same(seen, written.into_iter().flatten().collect::<Vec<_>>());
}
