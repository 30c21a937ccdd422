//! One-time keys: uploads, counts and claims.

use std::collections::BTreeSet;

use olmstead_domain::json::RawJson;
use olmstead_storage::keys::{ClaimedKey, KeysUpload, UploadOutcome};
use serde_json::json;

use crate::{
    Store,
    support::{
        assert_same,
        keys::{CURVE, fallback_key, identity_keys, key_name, nothing, one_time_key, one_time_keys, want, want_of},
        parallel, raw, user_id,
    },
};

fn names(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    numbers.into_iter().map(key_name).collect()
}

async fn claim_all(store: &Store, device: &olmstead_storage::devices::DeviceRef) -> Vec<String> {
    let mut claimed = Vec::new();
    while let Some(name) = store.claim_name(device).await {
        claimed.push(name);
    }
    claimed
}

/// Counts are of unclaimed keys, by algorithm, without fallback keys; an empty pool has no entry (OTK-7).
pub async fn counts_are_of_unclaimed_keys_by_algorithm(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    let mut upload = nothing();
    upload.one_time_keys = one_time_keys(0..3);
    upload.one_time_keys.extend((0..2).map(|n| (format!("curve25519:P{n}"), raw(json!(format!("plain{n}"))))));
    upload.fallback_keys = vec![(format!("{CURVE}:FB"), fallback_key(1, "s"))];
    let (counts, changed) = store.upload(&device, upload).await;
    assert_eq!(counts.one_time_keys, [(CURVE.to_owned(), 3), ("curve25519".to_owned(), 2)].into());
    assert_eq!(counts.unused_fallback_keys, [CURVE]);
    assert!(!changed);
    assert_eq!(store.key_counts(&device).await.unwrap(), counts);
    let claimed = store.claim_keys(&[want_of(&device, "curve25519"), want_of(&device, "curve25519")]).await.unwrap();
    assert_eq!(claimed.len(), 2);
    let counts = store.key_counts(&device).await.unwrap();
    assert_eq!(counts.one_time_keys, [(CURVE.to_owned(), 3)].into(), "an empty pool has no entry");
    let (after, _) = store.upload(&device, nothing()).await;
    assert_eq!(after, counts, "an empty upload tells the counts (DK-2)");
}

/// Keys go out in the order of their uploads, also beyond one byte of numbers and over a restart (OTK-8), as uploaded
/// (OTK-9).
pub async fn keys_are_claimed_in_the_order_of_uploads(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    for batch in 0..30 {
        // Later uploads have smaller names: the order is not that of names.
        let first = 1_000 - batch * 10;
        assert_eq!(store.upload_one_time(&device, first..first + 10).await, (batch + 1) * 10);
    }
    let expected: Vec<u64> = (0..30).flat_map(|batch| 1_000 - batch * 10..1_010 - batch * 10).collect();
    for number in &expected[..150] {
        let claimed = store.claim(&device).await.unwrap();
        assert_eq!(claimed.key_name, key_name(*number));
        assert_eq!(claimed.key, one_time_key(*number, "sig"), "the key is as uploaded");
        assert_eq!((claimed.user_id, claimed.device_id), (device.user_id.clone(), device.device_id.clone()));
        assert!(!claimed.fallback);
    }
    let store = store.reopen().await;
    assert_eq!(claim_all(&store, &device).await, names(expected[150..].iter().copied()));
}

/// The same key under the same id, but for its signatures, is accepted, not counted twice and not replaced (OTK-5).
pub async fn the_same_key_again_is_not_counted_twice(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    assert_eq!(store.upload_one_time(&device, 0..3).await, 3);
    let mut upload = nothing();
    upload.one_time_keys =
        vec![(key_name(1), one_time_key(1, "another signature")), (key_name(3), one_time_key(3, "sig"))];
    let (counts, _) = store.upload(&device, upload).await;
    assert_eq!(counts.one_time_keys[CURVE], 4);
    assert_eq!(store.upload_one_time(&device, 0..4).await, 4);
    for number in 0..4 {
        let claimed = store.claim(&device).await.unwrap();
        assert_eq!((claimed.key_name, claimed.key), (key_name(number), one_time_key(number, "sig")));
    }
    assert_eq!(store.claim_name(&device).await, None);
}

/// Another key under a known id refuses the whole upload (OTK-6, DK-9).
pub async fn a_conflict_stores_no_part_of_the_upload(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    store.upload_one_time(&device, 0..2).await;
    let before = store.key_counts(&device).await.unwrap();
    let from = store.position().await;
    let mut upload = nothing();
    upload.device_keys = Some(identity_keys(&device, "1"));
    upload.one_time_keys = one_time_keys(5..7);
    upload.one_time_keys.push((key_name(1), one_time_key(999, "sig")));
    upload.one_time_keys.extend(one_time_keys(8..9));
    upload.fallback_keys = vec![(format!("{CURVE}:FB"), fallback_key(1, "s"))];
    let outcome = store.upload_keys(&device, upload).await.unwrap();
    assert_eq!(
        outcome,
        UploadOutcome::OneTimeKeyExists {
            key_name: key_name(1),
            existing: one_time_key(1, "sig"),
            uploaded: one_time_key(999, "sig"),
        }
    );
    assert_eq!(store.key_counts(&device).await.unwrap(), before);
    assert!(store.identity_of(&device).await.is_none());
    assert!(store.lists_changed_since(from).await.is_empty());
    assert_eq!(claim_all(&store, &device).await, names(0..2));
}

/// A retry of an upload that comes after the claim does not bring the key back (OTK-3).
pub async fn a_claimed_key_does_not_come_back_with_a_late_upload(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    store.upload_one_time(&device, 0..3).await;
    assert_eq!(store.claim_name(&device).await, Some(key_name(0)));
    assert_eq!(store.upload_one_time(&device, 0..3).await, 2);
    let store = store.reopen().await;
    assert_eq!(store.upload_one_time(&device, 0..3).await, 2);
    assert_eq!(claim_all(&store, &device).await, names(1..3));
    assert_eq!(store.upload_one_time(&device, 0..3).await, 0);
    assert_eq!(store.claim_name(&device).await, None);
}

/// At least the ids claimed last are remembered, as many as asked for (OTK-3), for each algorithm by itself.
pub async fn the_memory_of_claimed_keys_is_bounded(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    let upload =
        |one_time_keys| KeysUpload { one_time_keys, pool_limit: 5_000, claimed_memory: 4, ..KeysUpload::default() };
    store.upload(&device, upload(one_time_keys(0..30))).await;
    assert_eq!(claim_all(&store, &device).await.len(), 30);
    let plain = |n: u64| vec![(format!("curve25519:P{n}"), raw(json!(format!("plain{n}"))))];
    store.upload(&device, upload(plain(1))).await;
    assert_eq!(store.claim_keys(&[want_of(&device, "curve25519")]).await.unwrap().len(), 1);
    let (counts, _) = store.upload(&device, upload(one_time_keys(26..30))).await;
    assert!(counts.one_time_keys.is_empty(), "the last four are remembered: {counts:?}");
    let (counts, _) = store.upload(&device, upload(plain(1))).await;
    assert!(counts.one_time_keys.is_empty(), "algorithms have a memory each: {counts:?}");
}

/// A pool keeps as many keys as its limit and drops the oldest beyond (OTK-16).
pub async fn a_full_pool_keeps_the_newest_keys(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    let upload = |numbers: std::ops::Range<u64>| KeysUpload {
        one_time_keys: one_time_keys(numbers),
        pool_limit: 5,
        ..nothing()
    };
    let (counts, _) = store.upload(&device, upload(0..4)).await;
    assert_eq!(counts.one_time_keys[CURVE], 4);
    let (counts, _) = store.upload(&device, upload(4..8)).await;
    assert_eq!(counts.one_time_keys[CURVE], 5);
    assert_eq!(store.count(&device).await, 5);
    assert_eq!(store.claim_name(&device).await, Some(key_name(3)));
    let (counts, _) = store.upload(&device, upload(8..20)).await;
    assert_eq!(counts.one_time_keys[CURVE], 5, "one upload beyond the limit");
    assert_eq!(claim_all(&store, &device).await, names(15..20));
}

/// What fell out of a full pool is spent as if it was claimed: uploaded again, it is passed over, and its id cannot be
/// used for another key, over a restart too (OTK-3, OTK-16).
pub async fn a_key_that_fell_out_of_a_full_pool_is_spent(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    let upload = |one_time_keys: Vec<(String, RawJson)>| KeysUpload { one_time_keys, pool_limit: 5, ..nothing() };
    store.upload(&device, upload(one_time_keys(0..5))).await;
    store.upload(&device, upload(one_time_keys(5..8))).await;
    let store = store.reopen().await;
    let again = vec![(key_name(0), one_time_key(0, "sig")), (key_name(1), one_time_key(100, "sig"))];
    let (counts, _) = store.upload(&device, upload(again)).await;
    assert_eq!(counts.one_time_keys[CURVE], 5);
    assert_eq!(claim_all(&store, &device).await, names(3..8));
    let (counts, _) = store.upload(&device, upload(one_time_keys(0..8))).await;
    assert!(counts.one_time_keys.is_empty(), "claimed or dropped, none comes back: {counts:?}");
    assert_eq!(store.claim_name(&device).await, None);
}

/// Keys of one upload are judged by the pool as it was before: a conflict with a key that has to leave to make room for
/// the upload is a conflict (OTK-6, OTK-16).
pub async fn a_conflict_with_a_key_about_to_be_dropped_is_one(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    let upload = |one_time_keys: Vec<(String, RawJson)>| KeysUpload { one_time_keys, pool_limit: 5, ..nothing() };
    store.upload(&device, upload(one_time_keys(0..5))).await;
    let mut keys = one_time_keys(5..8);
    keys.push((key_name(0), one_time_key(100, "sig")));
    let outcome = store.upload_keys(&device, upload(keys)).await.unwrap();
    assert!(matches!(&outcome, UploadOutcome::OneTimeKeyExists { key_name: name, .. } if *name == key_name(0)));
    let mut keys = one_time_keys(5..8);
    keys.extend(one_time_keys(0..1));
    let (counts, _) = store.upload(&device, upload(keys)).await;
    assert_eq!(counts.one_time_keys[CURVE], 5);
    assert_eq!(claim_all(&store, &device).await, names(3..8));
}

/// A claim gets a key of the algorithm it names, and at most one (OTK-9).
pub async fn a_claim_names_one_algorithm(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    let mut upload = nothing();
    upload.one_time_keys = vec![
        ("curve25519:A".to_owned(), raw(json!("plain"))),
        ("signed_curve25519:A".to_owned(), one_time_key(1, "s")),
        ("signed_curve25519_extra:A".to_owned(), one_time_key(2, "s")),
    ];
    store.upload(&device, upload).await;
    for algorithm in ["signed_curve25519_extra", "curve25519", "signed_curve25519"] {
        let claimed = store.claim_keys(&[want_of(&device, algorithm)]).await.unwrap();
        let [key] = &claimed[..] else { panic!("one key: {claimed:?}") };
        assert_eq!(key.key_name, format!("{algorithm}:A"));
        assert!(store.claim_keys(&[want_of(&device, algorithm)]).await.unwrap().is_empty());
    }
}

/// One command serves many devices, and a device that is asked for twice gives two keys.
pub async fn claims_of_many_devices_are_one_command(store: Store) {
    let mut devices = Vec::new();
    for user in ["alice", "bob", "carol"] {
        let user = store.user(user).await;
        for id in ["A", "B"] {
            let device = store.log_in(&user, id).await;
            store.upload_one_time(&device, 0..2).await;
            devices.push(device);
        }
    }
    let mut wants: Vec<_> = devices.iter().map(want).collect();
    wants.push(want(&devices[3]));
    let claimed = store.claim_keys(&wants).await.unwrap();
    let got = |device: &olmstead_storage::devices::DeviceRef| {
        let of = |key: &&ClaimedKey| key.user_id == device.user_id && key.device_id == device.device_id;
        claimed.iter().filter(of).map(|key| key.key_name.clone()).collect::<Vec<_>>()
    };
    for (index, device) in devices.iter().enumerate() {
        let expected = if index == 3 { names(0..2) } else { names(0..1) };
        assert_same(got(device), expected);
        assert_eq!(store.count(device).await, if index == 3 { 0 } else { 1 });
    }
}

/// Unknown users, devices and algorithms, and empty pools, are absent; the rest is served (OTK-10, OTK-11).
pub async fn what_cannot_be_claimed_is_absent(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    let (_, empty) = store.user_with_device("bob").await;
    store.upload_one_time(&device, 0..2).await;
    let mut nobody = device.clone();
    nobody.user_id = user_id("nobody");
    let mut nothing_there = device.clone();
    nothing_there.device_id = "UNKNOWN".into();
    let wants = [want(&nobody), want(&nothing_there), want(&empty), want_of(&device, "other"), want(&device)];
    let claimed = store.claim_keys(&wants).await.unwrap();
    assert_eq!(claimed.iter().map(|key| key.key_name.clone()).collect::<Vec<_>>(), names(0..1));
    assert!(store.claim_keys(&[]).await.unwrap().is_empty());
}

/// What was claimed stays claimed over restarts (OTK-1).
pub async fn claimed_keys_stay_claimed_over_a_restart(mut store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    store.upload_one_time(&device, 0..30).await;
    let mut claimed = Vec::new();
    for _ in 0..3 {
        for _ in 0..10 {
            claimed.extend(store.claim_name(&device).await);
        }
        store = store.reopen().await;
        assert_eq!(store.count(&device).await, 30 - u64::try_from(claimed.len()).unwrap());
    }
    assert_eq!(claimed, names(0..30));
    assert_eq!(store.claim_name(&device).await, None);
}

/// Parallel claims empty a pool: every key once, and the fallback key only after the last of them (OTK-1, FBK-3, FBK-9).
pub async fn parallel_claims_get_every_key_once(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    store.upload_one_time(&device, 0..500).await;
    store.upload_fallback(&device, 1).await;
    let claims = parallel(64, |_| {
        let (store, device) = (store.clone(), device.clone());
        async move {
            let mut claimed = Vec::new();
            loop {
                let key = store.claim(&device).await.expect("there is always the fallback key");
                if key.fallback {
                    // The pool was empty, and nobody fills it: it stays so.
                    assert_eq!(store.count(&device).await, 0, "a fallback key goes out of an empty pool only");
                    let unused = store.key_counts(&device).await.unwrap().unused_fallback_keys;
                    assert!(unused.is_empty(), "it was marked before it went out");
                    assert!(store.claim(&device).await.unwrap().fallback);
                    return claimed;
                }
                claimed.push(key.key_name);
            }
        }
    })
    .await;
    let claimed: Vec<String> = claims.into_iter().flatten().collect();
    assert_eq!(claimed.len(), 500);
    assert_same(claimed, names(0..500));
    assert_eq!(store.count(&device).await, 0);
}

/// Commands that take keys of the same devices in other orders all come to an end, and share nothing.
pub async fn parallel_claims_of_many_devices_do_not_block_each_other(store: Store) {
    let alice = store.user("alice").await;
    let mut devices = Vec::new();
    for index in 0..6 {
        let device = store.log_in(&alice, &format!("D{index}")).await;
        store.upload_one_time(&device, 0..160).await;
        devices.push(device);
    }
    let claims = parallel(16, |task| {
        let (store, mut devices) = (store.clone(), devices.clone());
        async move {
            let mut claimed = Vec::new();
            for round in 0..10 {
                devices.rotate_left(task % 6);
                if (task + round) % 2 == 0 {
                    devices.reverse();
                }
                let wants: Vec<_> = devices.iter().map(want).collect();
                claimed.extend(store.claim_keys(&wants).await.unwrap());
            }
            claimed
        }
    })
    .await;
    let claimed: Vec<_> = claims.into_iter().flatten().map(|key| (key.device_id, key.key_name)).collect();
    assert_eq!(claimed.len(), 960);
    assert_eq!(claimed.iter().collect::<BTreeSet<_>>().len(), 960);
    for device in &devices {
        assert_eq!(store.count(device).await, 0);
    }
}

/// Whatever runs at the same time, counts are those of the keys that are there (OTK-7, OTK-13).
pub async fn counts_hold_under_parallel_uploads_and_claims(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    let claimed = parallel(16, |task| {
        let (store, device) = (store.clone(), device.clone());
        async move {
            let mut claimed = Vec::new();
            for round in 0..10 {
                let first = u64::try_from(task * 100 + round * 10).unwrap();
                store.upload_one_time(&device, first..first + 5).await;
                claimed.extend(store.claim_name(&device).await);
                claimed.extend(store.claim_name(&device).await);
            }
            claimed
        }
    })
    .await;
    let claimed: Vec<String> = claimed.into_iter().flatten().collect();
    let uploaded = 16 * 10 * 5;
    assert_eq!(claimed.len(), 16 * 10 * 2, "each task uploaded more than it claims");
    let left = u64::try_from(uploaded - claimed.len()).unwrap();
    assert_eq!(store.count(&device).await, left);
    let store = store.reopen().await;
    assert_eq!(store.count(&device).await, left);
    let rest = claim_all(&store, &device).await;
    let all: BTreeSet<String> = claimed.into_iter().chain(rest).collect();
    assert_eq!(all.len(), uploaded);
}

/// Parallel retries of one upload store each key once; of two keys under one id, one is stored and the other refused.
pub async fn parallel_uploads_of_one_key_store_it_once(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    parallel(16, |_| {
        let (store, device) = (store.clone(), device.clone());
        async move { store.upload_one_time(&device, 0..20).await }
    })
    .await;
    assert_eq!(store.count(&device).await, 20);
    let outcomes = parallel(8, |task| {
        let (store, device) = (store.clone(), device.clone());
        let key: RawJson = one_time_key(u64::try_from(task).unwrap() + 1_000, "s");
        async move {
            let upload = KeysUpload { one_time_keys: vec![(key_name(50), key)], ..nothing() };
            store.upload_keys(&device, upload).await.unwrap()
        }
    })
    .await;
    let stored = outcomes.iter().filter(|outcome| matches!(outcome, UploadOutcome::Stored { .. })).count();
    assert_eq!(stored, 1);
    assert_eq!(store.count(&device).await, 21);
}
