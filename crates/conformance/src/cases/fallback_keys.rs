//! Fallback keys: used when no one-time key is left.

use olmstead_storage::{
    devices::DeviceRef,
    keys::{ClaimWant, KeysUpload},
};
use serde_json::json;

use crate::{
    Store,
    support::{
        keys::{CURVE, fallback_key, nothing, want_of},
        parallel, raw,
    },
};

async fn upload(store: &Store, device: &DeviceRef, id: &str, number: u64, signature: &str) -> Vec<String> {
    let fallback_keys = vec![(format!("{CURVE}:{id}"), fallback_key(number, signature))];
    store.upload(device, KeysUpload { fallback_keys, ..nothing() }).await.0.unused_fallback_keys
}

async fn unused(store: &Store, device: &DeviceRef) -> Vec<String> {
    store.key_counts(device).await.unwrap().unused_fallback_keys
}

/// It goes out when the pool is empty, as uploaded, again and again, and is marked used (FBK-3, FBK-4, FBK-6).
pub async fn a_fallback_key_serves_when_the_pool_is_empty(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    assert_eq!(upload(&store, &device, "FB1", 1, "s").await, [CURVE]);
    store.upload_one_time(&device, 0..2).await;
    for _ in 0..2 {
        assert!(!store.claim(&device).await.unwrap().fallback);
        assert_eq!(unused(&store, &device).await, [CURVE]);
    }
    for _ in 0..3 {
        let claimed = store.claim(&device).await.unwrap();
        assert!(claimed.fallback);
        assert_eq!(claimed.key_name, format!("{CURVE}:FB1"));
        assert_eq!(claimed.key, fallback_key(1, "s"));
        assert!(unused(&store, &device).await.is_empty());
    }
    store.upload_one_time(&device, 2..3).await;
    assert!(!store.claim(&device).await.unwrap().fallback, "one-time keys come first again");
    assert!(store.claim(&device).await.unwrap().fallback);
    assert!(unused(&store, &device).await.is_empty(), "it stays used");
}

/// A wish that spares one-time keys gets the fallback key, which is used then; without one it is a wish like any other.
/// Others claim at the same time as ever.
pub async fn a_wish_may_spare_one_time_keys(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    store.upload_one_time(&device, 0..3).await;
    let sparing = ClaimWant { spares: true, ..want_of(&device, CURVE) };
    let plain = want_of(&device, CURVE);
    assert!(!store.claim_keys(std::slice::from_ref(&sparing)).await.unwrap()[0].fallback, "there is no other");
    upload(&store, &device, "FB1", 1, "s").await;
    let wants = [sparing.clone(), plain.clone(), sparing.clone(), plain.clone(), plain, sparing];
    let claimed = store.claim_keys(&wants).await.unwrap();
    let fallback: Vec<bool> = claimed.iter().map(|claimed| claimed.fallback).collect();
    assert_eq!(fallback, [true, false, true, false, true, true]);
    assert!(claimed.iter().filter(|claimed| claimed.fallback).all(|claimed| claimed.key == fallback_key(1, "s")));
    assert_ne!(claimed[1].key_name, claimed[3].key_name);
    assert!(unused(&store, &device).await.is_empty());
}

/// The counts of a pool that is spared stay, and its device is told that the fallback key is used (FBK-6).
pub async fn a_spared_pool_keeps_its_keys(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    store.upload_one_time(&device, 0..3).await;
    upload(&store, &device, "FB1", 1, "s").await;
    let before = store.horizon().await.unwrap().position;
    let sparing = ClaimWant { spares: true, ..want_of(&device, CURVE) };
    for _ in 0..5 {
        assert!(store.claim_keys(std::slice::from_ref(&sparing)).await.unwrap()[0].fallback);
    }
    let counts = store.key_counts(&device).await.unwrap();
    assert_eq!(counts.one_time_keys.get(CURVE), Some(&3));
    assert!(counts.unused_fallback_keys.is_empty());
    let after = store.horizon().await.unwrap().position;
    assert_ne!(before, after, "the device is told");
}

/// One fallback key of an algorithm is kept; a new one is unused (FBK-1, FBK-4), also under the old id.
pub async fn a_new_fallback_key_replaces_the_old_one(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    upload(&store, &device, "FB1", 1, "s").await;
    store.claim(&device).await.unwrap();
    assert_eq!(upload(&store, &device, "FB2", 2, "s").await, [CURVE]);
    let claimed = store.claim(&device).await.unwrap();
    assert_eq!((claimed.key_name, claimed.key), (format!("{CURVE}:FB2"), fallback_key(2, "s")));
    assert_eq!(upload(&store, &device, "FB2", 3, "s").await, [CURVE], "another key under the same id");
    assert_eq!(store.claim(&device).await.unwrap().key, fallback_key(3, "s"));
    assert_eq!(upload(&store, &device, "FB1", 1, "s").await, [CURVE], "an old one comes again");
    assert_eq!(store.claim(&device).await.unwrap().key, fallback_key(1, "s"));
}

/// The same fallback key again, but for signatures, stays as it is, with its mark of use (FBK-5).
pub async fn the_same_fallback_key_stays_used(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    upload(&store, &device, "FB1", 1, "s").await;
    assert_eq!(upload(&store, &device, "FB1", 1, "s").await, [CURVE]);
    store.claim(&device).await.unwrap();
    assert!(upload(&store, &device, "FB1", 1, "s").await.is_empty());
    assert!(upload(&store, &device, "FB1", 1, "another signature").await.is_empty());
    assert!(store.claim(&device).await.unwrap().fallback);
}

/// Whoever holds a fallback key finds it marked: giving it out and marking it are one step (FBK-9).
pub async fn a_used_fallback_key_is_never_reported_unused(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    for round in 0..10 {
        assert_eq!(upload(&store, &device, &format!("FB{round}"), round, "s").await, [CURVE]);
        parallel(8, |_| {
            let (store, device) = (store.clone(), device.clone());
            async move {
                let claimed = store.claim(&device).await.unwrap();
                assert!(claimed.fallback);
                assert!(unused(&store, &device).await.is_empty());
            }
        })
        .await;
    }
}

/// A fallback key of one algorithm is never given for another (FBK-8); the report of unused ones is sorted.
pub async fn a_fallback_key_is_of_one_algorithm(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    let fallback_keys = vec![("zeta:F".to_owned(), fallback_key(1, "s")), ("alpha:F".to_owned(), raw(json!("plain")))];
    let (counts, _) = store.upload(&device, KeysUpload { fallback_keys, ..nothing() }).await;
    assert_eq!(counts.unused_fallback_keys, ["alpha", "zeta"]);
    assert!(counts.one_time_keys.is_empty());
    assert!(store.claim(&device).await.is_none());
    let claimed = store.claim_keys(&[want_of(&device, "zeta"), want_of(&device, CURVE)]).await.unwrap();
    assert_eq!(claimed.iter().map(|key| key.key_name.as_str()).collect::<Vec<_>>(), ["zeta:F"]);
    assert_eq!(unused(&store, &device).await, ["alpha"]);
    assert_eq!(upload(&store, &device, "FB1", 1, "s").await, ["alpha", CURVE]);
}

/// Fallback keys and their marks are there after a restart.
pub async fn fallback_keys_survive_a_restart(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    upload(&store, &device, "FB1", 1, "s").await;
    let store = store.reopen().await;
    assert_eq!(unused(&store, &device).await, [CURVE]);
    store.claim(&device).await.unwrap();
    let store = store.reopen().await;
    assert!(unused(&store, &device).await.is_empty());
    assert!(upload(&store, &device, "FB1", 1, "s").await.is_empty());
    assert_eq!(store.claim(&device).await.unwrap().key, fallback_key(1, "s"));
}
