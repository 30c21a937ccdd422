//! Dehydrated devices (MSC3814).

use olmstead_domain::json::RawJson;
use olmstead_storage::{
    devices::{DeviceRef, DeviceSelection, LoginOutcome},
    keys::{KeysUpload, UploadOutcome},
};
use ruma::{OwnedUserId, UserId};
use serde_json::json;

use crate::{
    Store,
    support::{
        keys::{identity, identity_keys, nothing, one_time_keys},
        raw, session, to_all, to_device, user_id,
    },
};

fn data(number: u64) -> RawJson {
    raw(json!({ "algorithm": "m.dehydration.v2", "device_pickle": format!("pickle {number}") }))
}

fn keys(user: &UserId, id: &str, identity: &str) -> KeysUpload {
    let device = DeviceRef { user_id: user.to_owned(), device_id: id.into(), generation: 0 };
    KeysUpload { device_keys: Some(identity_keys(&device, identity)), one_time_keys: one_time_keys(0..3), ..nothing() }
}

async fn put(store: &Store, user: &OwnedUserId, id: &str, number: u64) -> Option<UploadOutcome> {
    let keys = keys(user, id, &number.to_string());
    let name = Some("Dehydrated".to_owned());
    store.put_dehydrated_device(user, id.into(), data(number), name, keys, 5_000).await.unwrap()
}

async fn device(store: &Store, user: &UserId) -> DeviceRef {
    store.dehydrated_device(user).await.unwrap().unwrap().device
}

/// It has keys to be queried and claimed, but is no device to log in with or to list.
pub async fn a_dehydrated_device_has_keys_but_no_session(store: Store) {
    let (alice, _) = store.user_with_device("alice").await;
    assert_eq!(store.dehydrated_device(&alice).await.unwrap(), None);
    let from = store.position().await;
    let outcome = put(&store, &alice, "DEHYDRATED", 1).await;
    assert!(matches!(outcome, Some(UploadOutcome::Stored { .. })), "{outcome:?}");
    assert_eq!(store.lists_changed_since(from).await, [alice.clone()]);
    let stored = store.dehydrated_device(&alice).await.unwrap().unwrap();
    assert_eq!(stored.device_data, data(1));
    assert_eq!(stored.device.device_id, "DEHYDRATED");
    let listed = store.devices(&alice).await.unwrap();
    assert_eq!(listed.iter().map(|device| device.id.device_id.as_str()).collect::<Vec<_>>(), ["DEVICE"]);
    let rows = store.keys_of(&alice, None).await.devices;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].device_id, "DEHYDRATED");
    assert_eq!(store.count(&stored.device).await, 3);
    assert!(store.claim(&stored.device).await.is_some());
    let store = store.reopen().await;
    assert_eq!(store.dehydrated_device(&alice).await.unwrap(), Some(stored.clone()));
    assert_eq!(store.count(&stored.device).await, 2);
}

/// Messages wait in its inbox for whoever rehydrates it.
pub async fn a_dehydrated_device_gets_messages(store: Store) {
    let alice = store.user("alice").await;
    put(&store, &alice, "DEHYDRATED", 1).await;
    let device = device(&store, &alice).await;
    store.send_to_device(None, vec![to_device(&device, 1), to_all(&alice, 2), to_device(&device, 3)]).await.unwrap();
    assert_eq!(store.waiting(&device).await, [1, 2, 3]);
}

/// A user has one at most: a new one deletes the old one as any device is deleted.
pub async fn a_new_dehydrated_device_replaces_the_old_one(store: Store) {
    let alice = store.user("alice").await;
    put(&store, &alice, "ONE", 1).await;
    let old = device(&store, &alice).await;
    store.send_to_device(None, vec![to_device(&old, "old")]).await.unwrap();
    for id in ["TWO", "TWO"] {
        let before = device(&store, &alice).await;
        let from = store.position().await;
        put(&store, &alice, id, 2).await;
        let new = device(&store, &alice).await;
        assert_ne!(new.generation, before.generation, "also under the same id");
        assert_eq!(store.lists_changed_since(from).await, [alice.clone()]);
        assert!(store.waiting(&new).await.is_empty());
        assert_eq!(store.count(&new).await, 3);
        assert_eq!(store.keys_of(&alice, None).await.devices.len(), 1);
    }
    assert_eq!(store.claim_name(&old).await, None);
    assert!(store.waiting(&old).await.is_empty());
}

/// It is deleted as any device is (DEV-10), by itself, by its name, with all others, and with the account.
pub async fn a_dehydrated_device_is_deleted(store: Store) {
    let alice = store.user("alice").await;
    assert_eq!(store.delete_dehydrated_device(&alice).await.unwrap(), None);
    put(&store, &alice, "DEHYDRATED", 1).await;
    let old = device(&store, &alice).await;
    store.send_to_device(None, vec![to_device(&old, "old")]).await.unwrap();
    let from = store.position().await;
    assert_eq!(store.delete_dehydrated_device(&alice).await.unwrap(), Some("DEHYDRATED".into()));
    assert_eq!(store.lists_changed_since(from).await, [alice.clone()]);
    assert_eq!(store.dehydrated_device(&alice).await.unwrap(), None);
    assert_eq!(store.claim_name(&old).await, None);
    assert!(store.waiting(&old).await.is_empty());
    assert!(store.keys_of(&alice, None).await.devices.is_empty());
    assert_eq!(store.delete_dehydrated_device(&alice).await.unwrap(), None);
    for selection in [
        DeviceSelection::These(vec!["DEHYDRATED".into(), "OTHER".into()]),
        DeviceSelection::AllBut("OTHER".into()),
        DeviceSelection::All,
    ] {
        put(&store, &alice, "DEHYDRATED", 2).await;
        assert_eq!(store.delete_devices(&alice, selection).await.unwrap(), ["DEHYDRATED"]);
        assert_eq!(store.dehydrated_device(&alice).await.unwrap(), None);
        assert!(store.keys_of(&alice, None).await.devices.is_empty());
    }
    put(&store, &alice, "DEHYDRATED", 2).await;
    let deleted = store.set_password(&alice, "new".to_owned(), true, None).await.unwrap().unwrap();
    assert_eq!(deleted, ["DEHYDRATED"]);
    put(&store, &alice, "DEHYDRATED", 2).await;
    assert!(store.deactivate_account(&alice, false).await.unwrap());
    assert_eq!(store.dehydrated_device(&alice).await.unwrap(), None);
}

/// Its id is neither that of an ordinary device nor a cross-signing key; refused, it stores nothing and the old one
/// stays.
pub async fn a_dehydrated_device_needs_an_id_of_its_own(store: Store) {
    let (alice, ordinary) = store.user_with_device("alice").await;
    let keys = identity(&alice, 1);
    store.put_identity(&alice, &keys).await;
    put(&store, &alice, "GOOD", 1).await;
    let from = store.position().await;
    assert_eq!(put(&store, &alice, "DEVICE", 2).await, None);
    assert_eq!(put(&store, &alice, &keys.public[0], 2).await, None);
    assert!(store.lists_changed_since(from).await.is_empty());
    store.put_identity(&alice, &identity(&alice, 2)).await;
    let from = store.position().await;
    assert_eq!(put(&store, &alice, &keys.public[0], 2).await, None, "nor one that was replaced (XS-17)");
    assert!(store.lists_changed_since(from).await.is_empty());
    assert_eq!(store.dehydrated_device(&alice).await.unwrap().unwrap().device_data, data(1));
    assert_eq!(store.count(&ordinary).await, 0);
    assert!(store.identity_of(&ordinary).await.is_none());
    let login = session("NEW");
    assert!(matches!(store.login(&alice, login).await.unwrap(), LoginOutcome::LoggedIn { existing: false, .. }));
}

/// It is of an account that is there and active; a request that lost to its end stores nothing (DEV-18).
pub async fn a_dehydrated_device_is_of_an_active_account(store: Store) {
    let alice = store.user("alice").await;
    assert!(store.deactivate_account(&alice, false).await.unwrap());
    let from = store.position().await;
    for user in [alice, user_id("nobody")] {
        assert_eq!(put(&store, &user, "DEHYDRATED", 1).await, Some(UploadOutcome::DeviceGone));
        assert_eq!(store.dehydrated_device(&user).await.unwrap(), None);
        assert!(store.keys_of(&user, None).await.devices.is_empty());
    }
    assert!(store.lists_changed_since(from).await.is_empty());
}
