//! The read that every sync starts with: it agrees with the single reads.

use olmstead_domain::position::{Cursor, Position};
use olmstead_storage::{
    accounts::StandingChange,
    changes::ChangeKey,
    devices::{DeviceRef, DeviceSelection},
    ephemeral::Presence,
    rooms::RoomMembership,
    sync::{SyncFacts, SyncQuery},
};
use ruma::OwnedRoomId;
use serde_json::{Value, json};

use crate::{
    Store,
    support::{
        assert_same, body,
        keys::{cross_signing_key, identity, public_key},
        raw, room_id,
        rooms::TestRoom,
        to_device,
    },
};

fn query(device: &DeviceRef, since: Option<Position>) -> SyncQuery {
    let inbox_from = since.map_or(Cursor::START, Cursor::at);
    SyncQuery { device: device.clone(), since, inbox_from, inbox_limit: 100 }
}

async fn facts(store: &Store, device: &DeviceRef, since: Option<Position>) -> SyncFacts {
    store.sync_facts(&query(device, since)).await.unwrap().expect("the device is there")
}

fn bodies(facts: &SyncFacts) -> Vec<Value> {
    facts.inbox.messages.iter().map(|(_, event)| body(event)).collect()
}

fn by_room(mut memberships: Vec<RoomMembership>) -> Vec<(OwnedRoomId, String)> {
    memberships.sort_by(|a, b| a.room_id.cmp(&b.room_id));
    memberships.iter().map(|membership| (membership.room_id.clone(), format!("{membership:?}"))).collect()
}

async fn live(store: &Store, alice: &DeviceRef, bob: &DeviceRef) {
    let mut room = TestRoom::create(store, &alice.user_id).await;
    room.join(store, &bob.user_id).await;
    room.encrypt(store).await;
    room.say(store, &bob.user_id, "hello").await;
    let other = TestRoom::create(store, &bob.user_id).await;
    store.set_typing(&room.id, &bob.user_id, Some(1_000)).await.unwrap();
    store.upload_identity(alice, "1").await;
    store.upload_identity(bob, "1").await;
    store.upload_one_time(alice, 0..7).await;
    store.upload_fallback(alice, 1).await;
    store.send_to_device(None, vec![to_device(alice, 1), to_device(bob, 2)]).await.unwrap();
    store.set_account_data(&alice.user_id, None, "a", raw(json!({ "n": 1 }))).await.unwrap();
    store.set_account_data(&alice.user_id, Some(&other.id), "b", raw(json!({ "n": 2 }))).await.unwrap();
    let presence = Presence {
        user_id: bob.user_id.clone(),
        presence: "online".to_owned(),
        status_msg: None,
        last_active_at: 1,
        position: Position::START,
    };
    store.set_presence(presence).await.unwrap();
}

/// Holds the facts of a sync against the single reads, in a store that nobody writes to.
async fn assert_agrees(store: &Store, device: &DeviceRef, since: Option<Position>) -> SyncFacts {
    let facts = facts(store, device, since).await;
    let (user, to) = (&device.user_id, facts.horizon.position);
    // Where others share the server, horizons move without a write to this store.
    let horizon = store.horizon().await.unwrap();
    assert!(facts.horizon.epoch == horizon.epoch && facts.horizon.position <= horizon.position);
    assert_eq!(
        by_room(facts.memberships.clone()),
        by_room(store.memberships(user, since.unwrap_or(Position::END), to).await.unwrap())
    );
    let inbox_from = since.map_or(Cursor::START, Cursor::at);
    assert_eq!(facts.inbox.messages, store.inbox(device, inbox_from, to, 100).await.unwrap().messages);
    assert_eq!(facts.key_counts, store.key_counts(device).await.unwrap());
    let from = since.unwrap_or(Position::START);
    let line = |entry: &olmstead_storage::account_data::AccountDataEntry| format!("{entry:?}");
    let entries = store.account_data_between(user, from, to).await.unwrap();
    assert_same(facts.account_data.iter().map(line), entries.iter().map(line));
    if let Some(since) = since {
        assert_same(facts.device_lists.clone(), store.device_list_changes(since, to).await.unwrap());
        let presence = store.presence_between(since, to).await.unwrap();
        let line = |presence: &Presence| format!("{presence:?}");
        assert_same(facts.presence.iter().map(line), presence.iter().map(line));
    } else {
        assert!(facts.device_lists.is_empty(), "device lists are for incremental syncs (DL-4)");
        assert!(facts.own_device_lists.is_empty());
    }
    facts
}

/// A first sync gets all there is.
pub async fn an_initial_sync_agrees_with_the_single_reads(store: Store) {
    let ((_, alice), (_, bob)) = (store.user_with_device("alice").await, store.user_with_device("bob").await);
    live(&store, &alice, &bob).await;
    let facts = assert_agrees(&store, &alice, None).await;
    assert_eq!(facts.memberships.len(), 1);
    assert_eq!(bodies(&facts), [1]);
    assert_eq!(facts.account_data.len(), 2);
    assert_eq!(facts.key_counts.one_time_keys.values().sum::<u64>(), 7);
    let facts = assert_agrees(&store, &bob, None).await;
    assert_eq!(facts.memberships.len(), 2);
    let empty = store.log_in(&alice.user_id, "EMPTY").await;
    let facts = assert_agrees(&store, &empty, None).await;
    assert!(bodies(&facts).is_empty() && facts.key_counts.one_time_keys.is_empty());
    let store = store.reopen().await;
    assert_agrees(&store, &alice, None).await;
}

/// A sync with a token gets what came since, and nothing twice.
pub async fn an_incremental_sync_agrees_with_the_single_reads(store: Store) {
    let ((alice_id, alice), (bob_id, bob)) =
        (store.user_with_device("alice").await, store.user_with_device("bob").await);
    live(&store, &alice, &bob).await;
    let since = facts(&store, &alice, None).await.horizon.position;
    let quiet = assert_agrees(&store, &alice, Some(since)).await;
    assert!(quiet.inbox.messages.is_empty() && quiet.account_data.is_empty() && quiet.presence.is_empty());
    assert!(quiet.device_lists.is_empty() && quiet.own_device_lists.is_empty());
    assert!(quiet.horizon.position >= since, "the token never goes back");

    store.send_to_device(None, vec![to_device(&alice, "new")]).await.unwrap();
    store.set_account_data(&alice_id, None, "a", raw(json!({ "n": 3 }))).await.unwrap();
    store.upload_identity(&bob, "2").await;
    let keys = identity(&alice_id, 1);
    store.put_identity(&alice_id, &keys).await;
    let middle = facts(&store, &alice, Some(since)).await.horizon.position;
    let mut new = keys.clone();
    new.public[2] = public_key(1_000);
    new.keys.user_signing = Some(cross_signing_key(&alice_id, "user_signing", &new.public[2], Some(&new.public[0])));
    store.put_identity(&alice_id, &new).await;

    let facts = assert_agrees(&store, &alice, Some(since)).await;
    assert_eq!(bodies(&facts), ["new"]);
    assert_eq!(facts.account_data.len(), 1);
    assert_same(facts.device_lists, vec![alice_id.clone(), bob_id]);
    assert_eq!(facts.own_device_lists, [alice_id.clone()]);
    let late = assert_agrees(&store, &alice, Some(middle)).await;
    assert!(late.device_lists.is_empty());
    assert_eq!(late.own_device_lists, [alice_id]);
    let bobs = assert_agrees(&store, &bob, Some(middle)).await;
    assert!(bobs.own_device_lists.is_empty() && bobs.device_lists.is_empty());
}

/// A device that was deleted, or is another by now, gets no facts (TD-13).
pub async fn a_sync_of_a_deleted_device_gets_nothing(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    let since = store.position().await;
    store.delete_devices(&alice, DeviceSelection::All).await.unwrap();
    for since in [None, Some(since)] {
        assert!(store.sync_facts(&query(&device, since)).await.unwrap().is_none());
    }
    store.log_in(&alice, "DEVICE").await;
    assert!(store.sync_facts(&query(&device, None)).await.unwrap().is_none());
}

/// Whether the account is locked is part of what every sync reads, and a lock wakes those that wait (GEN-15).
pub async fn a_sync_knows_of_a_lock(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    assert!(!facts(&store, &device, None).await.locked);
    for locked in [true, false] {
        let at = store.position().await;
        let change = StandingChange { locked: Some(locked), ..StandingChange::default() };
        assert!(store.set_standing(&alice, change).await.unwrap());
        store.assert_wakes(at, "a lock", &[ChangeKey::User(alice.clone())]).await;
        assert_eq!(facts(&store, &device, Some(at)).await.locked, locked);
    }
}

/// An inbox beyond the limit goes on where it stopped, inside a commit too (TD-9).
pub async fn an_inbox_longer_than_the_limit_goes_on(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    store.send_to_device(None, (0..12).map(|number| to_device(&device, number)).collect()).await.unwrap();
    let mut query = query(&device, None);
    query.inbox_limit = 5;
    let mut read = Vec::new();
    for (page, more) in [(5, true), (5, true), (2, false)] {
        let facts = store.sync_facts(&query).await.unwrap().unwrap();
        assert_eq!((facts.inbox.messages.len(), facts.inbox.more), (page, more));
        read.extend(bodies(&facts));
        query.inbox_from = facts.inbox.messages.last().unwrap().0.next();
        query.since = Some(facts.horizon.position);
    }
    assert_eq!(read, (0..12).map(Value::from).collect::<Vec<_>>());
}

/// Counts come with the position of their last change, so that a sync can tell (OTK-13, FBK-4).
pub async fn key_counts_tell_when_they_changed(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    let changed = async || facts(&store, &device, None).await.key_counts_changed;
    store.upload_one_time(&device, 0..2).await;
    store.upload_fallback(&device, 1).await;
    let mut since = store.position().await;
    assert!(changed().await < since);
    for what in ["a claim", "the last claim", "the fallback key"] {
        assert!(store.claim(&device).await.is_some());
        assert!(changed().await >= since, "{what} changes the counts");
        since = store.position().await;
        assert!(changed().await < since);
    }
    store.upload_one_time(&device, 5..6).await;
    assert!(changed().await >= since);
    let store = store.reopen().await;
    assert!(facts(&store, &device, None).await.key_counts_changed >= since);
}

/// While others write, what a sync tells is below the horizon it names; the next one goes on from there.
pub async fn nothing_above_the_horizon_is_told(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    let room = room_id("room");
    let writers: Vec<_> = (0..6_usize)
        .map(|task| {
            let (store, alice, device, room) = (store.clone(), alice.clone(), device.clone(), room.clone());
            tokio::spawn(async move {
                for number in 0..40 {
                    store.send_to_device(None, vec![to_device(&device, json!([task, number]))]).await.unwrap();
                    let kind = format!("k{task} {number}");
                    store.set_account_data(&alice, Some(&room), &kind, raw(json!({}))).await.unwrap();
                }
            })
        })
        .collect();
    let (mut since, mut kinds, mut messages) = (None, Vec::new(), 0);
    loop {
        let finished = writers.iter().all(tokio::task::JoinHandle::is_finished);
        let mut query = query(&device, since);
        query.inbox_limit = 10_000;
        let facts = store.sync_facts(&query).await.unwrap().unwrap();
        let (from, to) = (since.unwrap_or(Position::START), facts.horizon.position);
        assert!(facts.account_data.iter().all(|entry| entry.position >= from && entry.position < to));
        assert!(facts.inbox.messages.iter().all(|(cursor, _)| cursor.position >= from && cursor.position < to));
        kinds.extend(facts.account_data.into_iter().map(|entry| entry.kind));
        messages += facts.inbox.messages.len();
        since = Some(to);
        if finished {
            break;
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(kinds.len(), 240, "each told once");
    assert_eq!(messages, 240);
}

/// A sync tells when push rules or ignored users were last set, so that a node knows whether those it keeps are the
/// newest.
pub async fn settings_tell_when_they_changed(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    let changed = async |store: &Store| facts(store, &device, None).await.settings_changed;
    assert_eq!(changed(&store).await, Position::START);
    let mut since = store.position().await;
    store.set_account_data(&alice, None, "m.direct", raw(json!({}))).await.unwrap();
    store.set_account_data(&alice, Some(&room_id("room")), "m.push_rules", raw(json!({}))).await.unwrap();
    store.set_account_data(&store.user("bob").await, None, "m.push_rules", raw(json!({}))).await.unwrap();
    assert_eq!(changed(&store).await, Position::START, "these are no settings of hers");
    for (number, kind) in ["m.push_rules", "m.ignored_user_list", "m.push_rules"].into_iter().enumerate() {
        store.set_account_data(&alice, None, kind, raw(json!({ "n": number }))).await.unwrap();
        let now = changed(&store).await;
        assert!(now >= since && now < store.position().await, "{kind}");
        since = store.position().await;
    }
    let last = changed(&store).await;
    let store = store.reopen().await;
    assert_eq!(changed(&store).await, last);
}
