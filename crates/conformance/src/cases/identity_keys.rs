//! Identity keys of devices, and queries for them.

use olmstead_domain::json::RawJson;
use olmstead_storage::{
    devices::DeviceRef,
    keys::{KeyCounts, KeyQuery, KeysUpload},
};
use serde_json::{Value, json};

use crate::{
    Store,
    support::{
        assert_same,
        keys::{assert_same_keys, identity, identity_keys_signed, nothing},
        user_id,
    },
};

async fn upload(store: &Store, device: &DeviceRef, keys: RawJson) -> bool {
    store.upload(device, KeysUpload { device_keys: Some(keys), ..nothing() }).await.1
}

/// What was uploaded comes back byte for byte, unknown fields and all (DK-5), over a restart too.
pub async fn identity_keys_come_back_as_uploaded(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    let text = format!(
        r#"{{ "org.example.b" : [ 1 , {{ "x": "\u00e4" }} ], "user_id":"{}", "keys":{{"ed25519:DEVICE":"a","curve25519:DEVICE":"b"}},
        "device_id": "DEVICE", "signatures": {{}}, "algorithms": ["m.olm.v1.curve25519-aes-sha2"], "org.example.a": null }}"#,
        device.user_id
    );
    let keys = RawJson::from_text(text).unwrap();
    assert!(upload(&store, &device, keys.clone()).await);
    assert_eq!(store.identity_of(&device).await, Some(keys.clone()));
    let store = store.reopen().await;
    assert_eq!(store.identity_of(&device).await, Some(keys));
}

/// The same keys again are no change, and nobody is told (DK-8).
pub async fn identical_identity_keys_change_nothing(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    assert!(store.upload_identity(&device, "1").await);
    let from = store.position().await;
    assert!(!store.upload_identity(&device, "1").await);
    assert!(store.lists_changed_since(from).await.is_empty());
    assert!(store.upload_identity(&device, "2").await);
    assert_eq!(store.lists_changed_since(from).await, [alice]);
}

/// An upload without a signature that is already held does not lose it; one with a new signature adds it (DK-8).
pub async fn an_upload_without_known_signatures_keeps_them(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    let own = json!({ "ed25519:DEVICE": "own" });
    upload(&store, &device, identity_keys_signed(&device, "1", &own)).await;
    let both = json!({ "ed25519:DEVICE": "own", "ed25519:SELF": "by self-signing key" });
    assert!(upload(&store, &device, identity_keys_signed(&device, "1", &both)).await);
    let from = store.position().await;
    assert!(!upload(&store, &device, identity_keys_signed(&device, "1", &own)).await);
    assert!(store.lists_changed_since(from).await.is_empty());
    let stored: Value = store.identity_of(&device).await.unwrap().read().unwrap();
    assert_eq!(stored["signatures"][alice.as_str()], both);
}

/// Other identity keys drop the one-time and fallback keys of the old ones (DK-12).
pub async fn a_new_identity_drops_the_keys_of_the_old_one(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    store.upload_identity(&device, "1").await;
    store.upload_one_time(&device, 0..5).await;
    store.upload_fallback(&device, 1).await;
    let from = store.position().await;
    assert!(store.upload_identity(&device, "2").await);
    assert_eq!(store.lists_changed_since(from).await, [alice]);
    assert_eq!(store.key_counts(&device).await.unwrap(), KeyCounts::default());
    assert_eq!(store.claim_name(&device).await, None);
    // Keys that come with the new identity, in the same upload, are its own.
    let mut upload = nothing();
    upload.device_keys = Some(crate::support::keys::identity_keys(&device, "3"));
    upload.one_time_keys = crate::support::keys::one_time_keys(10..13);
    let (counts, changed) = store.upload(&device, upload).await;
    assert!(changed);
    assert_eq!(counts.one_time_keys.values().sum::<u64>(), 3);
    assert_eq!(store.count(&device).await, 3);
}

/// One entry for each query, in their order, with the devices that were asked for (KQ-1, KQ-6).
pub async fn a_query_answers_in_the_order_asked(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    for (user, ids) in [(&alice, ["A", "B", "C"]), (&bob, ["A", "X", "Y"])] {
        for id in ids {
            let device = store.log_in(user, id).await;
            store.upload_identity(&device, id).await;
        }
        store.log_in(user, "KEYLESS").await;
    }
    let keys = identity(&bob, 1);
    store.put_identity(&bob, &keys).await;
    let query = |user: &ruma::OwnedUserId, ids: &[&str]| KeyQuery {
        user_id: user.clone(),
        device_ids: ids.iter().map(|id| (*id).into()).collect(),
    };
    let queries =
        [query(&bob, &["Y", "KEYLESS", "UNKNOWN"]), query(&alice, &[]), query(&bob, &[]), query(&alice, &["B", "A"])];
    let answer = store.query_keys(&queries, Some(&alice)).await.unwrap();
    let ids = |index: usize| answer[index].devices.iter().map(|row| row.device_id.as_str()).collect::<Vec<_>>();
    assert_eq!(answer.len(), 4);
    assert_same(ids(0), vec!["Y"]);
    assert_same(ids(1), vec!["A", "B", "C"]);
    assert_same(ids(2), vec!["A", "X", "Y"]);
    assert_same(ids(3), vec!["A", "B"]);
    assert!(answer.iter().all(|user| user.known));
    assert_same_keys(&answer[0].cross_signing, &keys.keys);
    assert_same_keys(&answer[2].cross_signing, &keys.keys);
    assert_eq!(answer[1].cross_signing.master, None);
    assert_same(answer[0].keyed_devices.iter().map(|id| id.as_str()), ["A", "X", "Y"]);
    assert!(store.query_keys(&[], None).await.unwrap().is_empty());
}

/// An unknown user or device is absent, without an error (KQ-2).
pub async fn the_unknown_is_absent_from_a_query(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    let nobody = store.keys_of(&user_id("nobody"), Some(&alice)).await;
    assert!(!nobody.known && nobody.devices.is_empty() && nobody.cross_signing.master.is_none());
    let keyless = store.keys_of(&alice, None).await;
    assert!(keyless.known && keyless.devices.is_empty(), "a device without keys does not appear (KQ-6)");
    assert!(store.identity_of(&device).await.is_none());
}

/// The display name in a query is the current one (KQ-5, KQ-11).
pub async fn a_query_shows_the_current_display_name(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    store.upload_identity(&device, "1").await;
    let name = async || store.keys_of(&alice, None).await.devices[0].display_name.clone();
    assert_eq!(name().await.as_deref(), Some("name of DEVICE"));
    store.set_device_name(&alice, &device.device_id, Some("Phone".to_owned())).await.unwrap();
    assert_eq!(name().await.as_deref(), Some("Phone"));
    store.set_device_name(&alice, &device.device_id, None).await.unwrap();
    assert_eq!(name().await, None);
}
