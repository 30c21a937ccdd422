//! What an operator mends.

use olmstead_storage::{changes::ChangeKey, devices::DeviceSelection, keys::KeysUpload};

use crate::{
    Store,
    support::keys::{key_name, nothing, one_time_keys},
};

/// Keys that were dropped are spent: none is given out, none comes back, and the device is told.
pub async fn dropped_one_time_keys_are_spent(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    store.upload_identity(&device, "1").await;
    store.upload_one_time(&device, 0..5).await;
    store.upload_fallback(&device, 1).await;
    store.claim(&device).await.unwrap();
    let before = store.position().await;
    assert_eq!(store.drop_one_time_keys(&device).await.unwrap(), Some(4));
    let counts = store.key_counts(&device).await.unwrap();
    assert!(counts.one_time_keys.is_empty() && counts.unused_fallback_keys.is_empty(), "{counts:?}");
    let key = ChangeKey::Device(device.user_id.clone(), device.device_id.clone());
    store.assert_wakes(before, "a drop", &[key]).await;
    assert!(store.claim(&device).await.unwrap().fallback, "the fallback key is still there for others");

    let again = KeysUpload { one_time_keys: one_time_keys(0..6), ..nothing() };
    assert_eq!(store.upload(&device, again).await.0.one_time_keys["signed_curve25519"], 1);
    assert_eq!(store.claim_name(&device).await, Some(key_name(5)));
    assert!(store.claim(&device).await.unwrap().fallback);
}

/// Where there is nothing to drop the device is told all the same; a device that is gone is left alone.
pub async fn dropping_nothing_tells_the_device(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    let before = store.position().await;
    assert_eq!(store.drop_one_time_keys(&device).await.unwrap(), Some(0));
    let key = ChangeKey::Device(device.user_id.clone(), device.device_id.clone());
    store.assert_wakes(before, "a drop of nothing", &[key]).await;
    assert_eq!(store.key_counts(&device).await.unwrap(), Default::default());
    store.upload_one_time(&device, 0..2).await;
    let selection = DeviceSelection::These(vec![device.device_id.clone()]);
    store.delete_devices(&alice, selection).await.unwrap();
    assert_eq!(store.drop_one_time_keys(&device).await.unwrap(), None);
    let again = store.log_in(&alice, device.device_id.as_str()).await;
    store.upload_one_time(&again, 0..2).await;
    assert_eq!(store.drop_one_time_keys(&device).await.unwrap(), None, "another life of the id");
    assert_eq!(store.key_counts(&again).await.unwrap().one_time_keys["signed_curve25519"], 2);
}

/// A key is given out or dropped, never both, when both happen at once.
pub async fn a_claim_beside_a_drop_takes_a_key_or_none(store: Store) {
    for round in 0..10 {
        let (_, device) = store.user_with_device(&format!("user{round}")).await;
        store.upload_one_time(&device, 0..8).await;
        let claims = async {
            let mut claimed = 0;
            while store.claim(&device).await.is_some() {
                claimed += 1;
            }
            claimed
        };
        let (claimed, dropped) = tokio::join!(claims, store.drop_one_time_keys(&device));
        assert_eq!(claimed + dropped.unwrap().unwrap(), 8);
    }
}

/// An announced list is a change like any other.
pub async fn an_announced_device_list_is_a_change(store: Store) {
    let (alice, _) = store.user_with_device("alice").await;
    let before = store.position().await;
    assert!(store.announce_device_list(&alice).await.unwrap());
    let after = store.position().await;
    assert_eq!(store.device_list_changes(before, after).await.unwrap(), vec![alice.clone()]);
    store.assert_wakes(before, "an announcement", &[ChangeKey::DeviceList(alice)]).await;
    assert!(!store.announce_device_list(ruma::user_id!("@nobody:example.org")).await.unwrap());
    assert!(store.device_list_changes(after, store.position().await).await.unwrap().is_empty());
}
