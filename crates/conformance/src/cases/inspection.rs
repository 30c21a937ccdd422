//! Reads for operators.

use std::collections::BTreeMap;

use olmstead_storage::{cross_signing::SignatureTarget, inspection::UserTraces, keys::UploadOutcome};

use super::signatures::signature;
use crate::{
    Store,
    support::{
        keys::{identity, identity_keys, nothing},
        rooms::TestRoom,
        to_device,
    },
};

/// Every account is on one page, in the order of ids.
pub async fn accounts_come_in_pages(store: Store) {
    let mut expected = Vec::new();
    for name in ["b", "a", "ab", "a-", "z", "c"] {
        expected.push(store.user(name).await);
    }
    expected.sort_unstable();
    for limit in [1, 2, 5, 6, 100] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.accounts_after(after.as_deref(), limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(last.user_id.clone());
            found.extend(page.into_iter().map(|account| account.user_id));
        }
        assert_eq!(found, expected, "in pages of {limit}");
    }
}

/// Every room is on one page, in the order of ids, with its head.
pub async fn rooms_come_in_pages(store: Store) {
    let alice = store.user("alice").await;
    assert!(store.rooms_after(None, 10).await.unwrap().is_empty());
    let mut expected = Vec::new();
    for number in 0..5 {
        let mut room = TestRoom::create(&store, &alice).await;
        if number == 2 {
            room.encrypt(&store).await;
        }
        let head = store.room_head(&room.id).await.unwrap().unwrap();
        assert_eq!(head.encrypted_at.is_some(), number == 2);
        expected.push((room.id, head));
    }
    expected.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    for limit in [1, 2, 4, 5, 100] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.rooms_after(after.as_deref(), limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(last.0.clone());
            found.extend(page);
        }
        assert_eq!(found, expected, "in pages of {limit}");
    }
}

/// How large a store is, is known.
pub async fn a_store_has_a_size(store: Store) {
    store.user("alice").await;
    let store = store.reopen().await;
    let size = store.store_size().await.unwrap();
    assert!(size > 0 && size < 1 << 30, "{size}");
}

/// All devices of a user, each with what is its own.
pub async fn the_health_of_devices_is_read(store: Store) {
    let (alice, phone) = store.user_with_device("alice").await;
    let (_, others) = store.user_with_device("bob").await;
    let fresh = store.log_in(&alice, "FRESH").await;
    store.upload_identity(&phone, "1").await;
    store.upload_one_time(&phone, 0..3).await;
    store.upload_fallback(&phone, 1).await;
    store.upload_one_time(&others, 0..7).await;
    let before = store.position().await;
    for n in 0..5 {
        store.send_to_device(None, vec![to_device(&phone, n.to_string())]).await.unwrap();
    }
    let health = store.device_health(&alice, 4).await.unwrap();
    let mut ids = [phone.device_id.clone(), fresh.device_id.clone()];
    ids.sort_unstable();
    assert_eq!(health.iter().map(|health| health.device.id.device_id.clone()).collect::<Vec<_>>(), ids);
    let of = |id: &ruma::DeviceId| health.iter().find(|health| health.device.id.device_id == id).unwrap();
    let (first, second) = (of(&phone.device_id), of(&fresh.device_id));
    assert_eq!(first.device.id, phone);
    assert!(first.identity_keys.is_some() && second.identity_keys.is_none());
    assert_eq!(first.counts, store.key_counts(&phone).await.unwrap());
    assert_eq!(first.fallback_keys, BTreeMap::from([("signed_curve25519".to_owned(), false)]));
    assert!(second.counts.one_time_keys.is_empty() && second.fallback_keys.is_empty());
    assert_eq!((first.waiting, second.waiting), (4, 0), "counted up to the bound");
    let (at, oldest) = first.oldest.clone().unwrap();
    assert!(at >= before && second.oldest.is_none());
    assert_eq!(oldest.get(), to_device(&phone, "0").event.get());
    assert!(!first.dehydrated);

    while !store.claim(&phone).await.unwrap().fallback {}
    let page = store.inbox(&phone, Default::default(), store.position().await, 1).await.unwrap();
    let first_waits = page.messages[0].0;
    store.acknowledge(&phone, first_waits.next()).await.unwrap();
    let health = store.device_health(&alice, 100).await.unwrap();
    let first = health.into_iter().find(|health| health.device.id == phone).unwrap();
    assert_eq!(first.fallback_keys, BTreeMap::from([("signed_curve25519".to_owned(), true)]));
    assert!(first.counts.one_time_keys.is_empty());
    assert_eq!(first.waiting, 4);
    assert!(first.oldest.is_some_and(|(at, _)| at > first_waits.position));
    assert!(store.device_health(&store.user("carol").await, 1).await.unwrap().is_empty());
}

/// That a device has other identity keys than before is told, and only that.
pub async fn a_changed_identity_is_told(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    for (name, changed) in [("1", false), ("1", false), ("2", true), ("2", false), ("1", true)] {
        let mut upload = nothing();
        upload.device_keys = Some(identity_keys(&device, name));
        match store.upload_keys(&device, upload).await.unwrap() {
            UploadOutcome::Stored { identity_changed, .. } => assert_eq!(identity_changed, changed, "{name}"),
            other => panic!("{other:?}"),
        }
    }
}

/// When a device list last changed, and who signed the master key.
pub async fn the_traces_of_a_user_are_read(store: Store) {
    let (alice, phone) = store.user_with_device("alice").await;
    let (bob, laptop) = store.user_with_device("bob").await;
    assert_eq!(store.user_traces(&alice, 10).await.unwrap(), UserTraces::default());
    store.upload_identity(&phone, "1").await;
    let between = store.position().await;
    store.upload_identity(&laptop, "1").await;
    let of_alice = store.user_traces(&alice, 10).await.unwrap().list_changed.unwrap();
    let of_bob = store.user_traces(&bob, 10).await.unwrap().list_changed.unwrap();
    assert!(of_alice < between && of_bob >= between);
    assert_eq!(store.device_list_changes(of_alice, of_alice.next()).await.unwrap(), vec![alice.clone()]);
    assert!(store.user_traces(&alice, 1).await.unwrap().list_changed.is_none(), "only the newest are looked at");

    store.put_identity(&alice, &identity(&alice, 1)).await;
    let master = store.cross_signing_keys(&alice).await.unwrap().master.unwrap();
    let by_bob = signature(SignatureTarget::MasterKey(alice.clone()), &master, &bob, "B");
    assert_eq!(store.add_signatures(vec![by_bob.clone()]).await.unwrap(), [true]);
    let signers = store.user_traces(&alice, 10).await.unwrap().signers;
    assert_eq!(signers, vec![(bob.clone(), by_bob.key_id, by_bob.signature)]);
    assert!(store.user_traces(&bob, 10).await.unwrap().signers.is_empty());
}

/// Nothing lags behind when nothing is written.
pub async fn a_quiet_store_has_no_lag(store: Store) {
    store.user("alice").await;
    // Of PostgreSQL it is the lag of the whole cluster, which others use.
    assert!(store.horizon_lag().await.unwrap() < 100_000);
}
