//! Devices: their lives, and what goes with them.

use olmstead_domain::{json::RawJson, position::Cursor};
use olmstead_storage::{
    account_data::Pusher,
    cross_signing::{NewSignature, SignatureTarget},
    devices::{Device, DeviceRef, DeviceSelection},
    keys::{KeyCounts, UploadOutcome},
    sync::SyncQuery,
};
use ruma::{OwnedDeviceId, UserId};
use serde_json::{Value, json};

use crate::{
    Store,
    support::{
        assert_same,
        keys::{identity, identity_keys, nothing, one_time_keys},
        parallel, raw, session, to_all, to_device, token, transaction, user_id,
    },
};

fn these(ids: &[&str]) -> DeviceSelection {
    DeviceSelection::These(ids.iter().map(|id| (*id).into()).collect())
}

/// The list is in the order of ids and of one user only (DEV-1).
pub async fn devices_come_in_the_order_of_their_ids(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    for id in ["M", "A", "Z", "AA", "a/b"] {
        store.log_in(&alice, id).await;
    }
    store.log_in(&bob, "B").await;
    let listed = store.devices(&alice).await.unwrap();
    let ids: Vec<&str> = listed.iter().map(|device| device.id.device_id.as_str()).collect();
    assert_eq!(ids, ["A", "AA", "M", "Z", "a/b"]);
    assert!(store.devices(&user_id("nobody")).await.unwrap().is_empty());
}

/// The public name is set and removed (DEV-3); it is a device-list change if the device has keys.
pub async fn a_device_is_renamed(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    let unknown: OwnedDeviceId = "UNKNOWN".into();
    assert!(!store.set_device_name(&alice, &unknown, Some("x".to_owned())).await.unwrap());
    let from = store.position().await;
    assert!(store.set_device_name(&alice, &device.device_id, Some("Phone".to_owned())).await.unwrap());
    let name = |device: Option<Device>| device.unwrap().display_name;
    assert_eq!(name(read(&store, &device).await).as_deref(), Some("Phone"));
    assert!(store.lists_changed_since(from).await.is_empty(), "there are no keys to show the name with");
    store.upload_identity(&device, "1").await;
    let from = store.position().await;
    assert!(store.set_device_name(&alice, &device.device_id, None).await.unwrap());
    assert_eq!(name(read(&store, &device).await), None);
    assert_eq!(store.lists_changed_since(from).await, [alice]);
}

async fn read(store: &Store, device: &DeviceRef) -> Option<Device> {
    store.device(&device.user_id, &device.device_id).await.unwrap()
}

/// When and from where a device was seen is kept; for a device that is gone it is dropped.
pub async fn a_device_is_seen(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    store.device_seen(&device, 77_000, Some("192.0.2.1".to_owned())).await.unwrap();
    let stored = read(&store, &device).await.unwrap();
    assert_eq!(stored.last_seen_at, Some(77_000));
    assert_eq!(stored.last_seen_ip.as_deref(), Some("192.0.2.1"));
    store.delete_devices(&alice, DeviceSelection::All).await.unwrap();
    store.device_seen(&device, 88_000, None).await.unwrap();
    assert!(store.devices(&alice).await.unwrap().is_empty());
    let again = store.log_in(&alice, "DEVICE").await;
    store.device_seen(&device, 99_000, None).await.unwrap();
    assert_ne!(read(&store, &again).await.unwrap().last_seen_at, Some(99_000), "an old life was seen, not this one");
}

async fn furnish(store: &Store, device: &DeviceRef) {
    store.upload_identity(device, "1").await;
    store.upload_one_time(device, 0..5).await;
    store.upload_fallback(device, 1).await;
    store.send_to_device(None, vec![to_device(device, "old")]).await.unwrap();
    let pusher = Pusher {
        app_id: "app".to_owned(),
        pushkey: device.device_id.to_string(),
        device: device.clone(),
        data: raw(json!({ "kind": "http" })),
    };
    store.set_pusher(pusher, true).await.unwrap();
}

/// Deletion takes tokens, keys, inbox and pushers in one step (DEV-8, DEV-10, OTK-14, TD-13).
pub async fn a_deleted_device_takes_everything_along(store: Store) {
    let alice = store.user("alice").await;
    let login = session("DEVICE");
    store.login(&alice, login.clone()).await.unwrap();
    let device = store.session(&login.access).await.unwrap().unwrap().device;
    let other = store.log_in(&alice, "OTHER").await;
    furnish(&store, &device).await;
    furnish(&store, &other).await;
    assert_eq!(store.delete_devices(&alice, these(&["DEVICE"])).await.unwrap(), ["DEVICE"]);
    assert!(read(&store, &device).await.is_none());
    assert!(store.session(&login.access).await.unwrap().is_none());
    assert_eq!(store.refresh_session(&login.refresh.unwrap(), token(), token(), None).await.unwrap(), None);
    assert!(store.identity_of(&device).await.is_none());
    assert_eq!(store.key_counts(&device).await.unwrap(), KeyCounts::default());
    assert_eq!(store.claim_name(&device).await, None);
    assert!(store.waiting(&device).await.is_empty());
    let pushers = store.pushers(&alice).await.unwrap();
    assert_eq!(pushers.iter().map(|pusher| pusher.pushkey.as_str()).collect::<Vec<_>>(), ["OTHER"]);
    assert_eq!(store.count(&other).await, 5);
    assert_eq!(store.waiting(&other).await, ["old"]);
    assert!(store.identity_of(&other).await.is_some());
}

/// A later device with the same id starts empty (OTK-14, TD-13), and may use old transaction ids (GEN-20).
pub async fn the_same_id_starts_empty_again(store: Store) {
    let (alice, old) = store.user_with_device("alice").await;
    furnish(&store, &old).await;
    let send = |device: &DeviceRef| {
        let transaction = Some(transaction(device, "sendToDevice/m.dummy", "t1"));
        store.send_to_device(transaction, vec![to_all(&alice, "new")])
    };
    assert!(send(&old).await.unwrap());
    store.delete_devices(&alice, DeviceSelection::All).await.unwrap();
    let new = store.log_in(&alice, "DEVICE").await;
    assert_ne!(new.generation, old.generation);
    assert_eq!(store.key_counts(&new).await.unwrap(), KeyCounts::default());
    assert!(store.identity_of(&new).await.is_none());
    assert_eq!(store.claim_name(&new).await, None);
    assert!(store.waiting(&new).await.is_empty());
    assert!(store.pushers(&alice).await.unwrap().is_empty());
    // A claimed key's id is free again too: it belongs to another life.
    store.upload_one_time(&new, 0..1).await;
    assert_eq!(store.count(&new).await, 1);
    assert!(send(&new).await.unwrap(), "the transaction belongs to the old life");
    assert_eq!(store.waiting(&new).await, ["new"]);
}

/// Commands of a life that is over do nothing to the next one (DK-10, OTK-14, TD-13).
pub async fn an_old_life_of_a_device_does_nothing(store: Store) {
    let (alice, old) = store.user_with_device("alice").await;
    store.delete_devices(&alice, DeviceSelection::All).await.unwrap();
    let new = store.log_in(&alice, "DEVICE").await;
    store.upload_one_time(&new, 0..2).await;
    store.send_to_device(None, vec![to_device(&new, "kept")]).await.unwrap();
    let mut upload = nothing();
    upload.device_keys = Some(identity_keys(&old, "1"));
    upload.one_time_keys = one_time_keys(10..12);
    assert_eq!(store.upload_keys(&old, upload).await.unwrap(), UploadOutcome::DeviceGone);
    assert!(store.identity_of(&new).await.is_none());
    assert_eq!(store.count(&new).await, 2);
    assert_eq!(store.key_counts(&old).await.unwrap(), KeyCounts::default());
    assert!(store.waiting(&old).await.is_empty());
    store.acknowledge(&old, Cursor::END).await.unwrap();
    assert_eq!(store.waiting(&new).await, ["kept"]);
    let query = |device: &DeviceRef| SyncQuery {
        device: device.clone(),
        since: None,
        inbox_from: Cursor::START,
        inbox_limit: 100,
    };
    assert!(store.sync_facts(&query(&old)).await.unwrap().is_none());
    assert!(store.sync_facts(&query(&new)).await.unwrap().is_some());
}

/// Deleting a device that has identity keys is a device-list change, once (DEV-11).
pub async fn a_device_with_keys_makes_a_device_list_change(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    let from = store.position().await;
    assert!(store.upload_identity(&device, "1").await);
    assert_eq!(store.lists_changed_since(from).await, [alice.clone()]);
    let from = store.position().await;
    store.delete_devices(&alice, DeviceSelection::All).await.unwrap();
    assert_eq!(store.lists_changed_since(from).await, [alice.clone()]);
    let from = store.position().await;
    assert!(store.delete_devices(&alice, DeviceSelection::All).await.unwrap().is_empty());
    assert!(store.lists_changed_since(from).await.is_empty(), "nothing was deleted");
}

/// A device without identity keys makes no change, neither when it comes nor when it goes (DEV-23).
pub async fn a_device_without_keys_makes_none(store: Store) {
    let alice = store.user("alice").await;
    let from = store.position().await;
    let device = store.log_in(&alice, "DEVICE").await;
    store.upload_one_time(&device, 0..3).await;
    store.upload_fallback(&device, 1).await;
    store.claim(&device).await;
    store.delete_devices(&alice, these(&["DEVICE"])).await.unwrap();
    assert!(store.lists_changed_since(from).await.is_empty());
}

/// A selection takes exactly what it names, and tells what was there (DEV-5, DEV-6, DEV-9).
pub async fn a_selection_of_devices_is_deleted(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    for id in ["A", "B", "C", "D", "E"] {
        store.log_in(&alice, id).await;
        store.log_in(&bob, id).await;
    }
    let ids = |ids: &[&str]| -> Vec<OwnedDeviceId> { ids.iter().map(|id| (*id).into()).collect() };
    assert_same(store.delete_devices(&alice, these(&["B", "UNKNOWN", "A"])).await.unwrap(), ids(&["A", "B"]));
    assert!(store.delete_devices(&alice, these(&["A"])).await.unwrap().is_empty());
    assert_same(store.delete_devices(&alice, DeviceSelection::AllBut("D".into())).await.unwrap(), ids(&["C", "E"]));
    assert_same(store.delete_devices(&alice, DeviceSelection::AllBut("X".into())).await.unwrap(), ids(&["D"]));
    assert!(store.delete_devices(&alice, DeviceSelection::All).await.unwrap().is_empty());
    assert_eq!(store.devices(&bob).await.unwrap().len(), 5);
}

fn signatures_of<'a>(object: &'a Value, user: &UserId) -> Vec<&'a str> {
    let by_user = object["signatures"].get(user.as_str()).and_then(Value::as_object);
    by_user.map(|names| names.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// A device's signature on its owner's master key goes with the device; other signatures stay (DEV-10).
pub async fn signatures_by_a_deleted_device_go_with_it(store: Store) {
    let alice = store.user("alice").await;
    let (gone, kept) = (store.log_in(&alice, "GONE").await, store.log_in(&alice, "KEPT").await);
    store.upload_identity(&gone, "1").await;
    store.upload_identity(&kept, "2").await;
    store.put_identity(&alice, &identity(&alice, 1)).await;
    for device in [&gone, &kept] {
        let master: RawJson = store.cross_signing_keys(&alice).await.unwrap().master.unwrap();
        let signature = NewSignature {
            target: SignatureTarget::MasterKey(alice.clone()),
            verified_against: master,
            signer: alice.clone(),
            key_id: format!("ed25519:{}", device.device_id),
            signature: "by device".to_owned(),
        };
        assert_eq!(store.add_signatures(vec![signature]).await.unwrap(), [true]);
    }
    let before = store.cross_signing_keys(&alice).await.unwrap();
    store.delete_devices(&alice, these(&["GONE"])).await.unwrap();
    let after = store.cross_signing_keys(&alice).await.unwrap();
    let master: Value = after.master.unwrap().read().unwrap();
    assert_eq!(signatures_of(&master, &alice), ["ed25519:KEPT"]);
    assert_ne!(after.revision, before.revision, "the keys are not as they were read");
}

/// An upload that loses against the deletion of its device leaves nothing behind (DK-10).
pub async fn an_upload_that_loses_to_deletion_leaves_nothing(store: Store) {
    let alice = store.user("alice").await;
    for round in 0..25 {
        let device = store.log_in(&alice, "DEVICE").await;
        let (uploading, deleting) = (store.clone(), store.clone());
        let (uploader, owner) = (device.clone(), alice.clone());
        let upload = tokio::spawn(async move {
            let mut upload = nothing();
            upload.device_keys = Some(identity_keys(&uploader, "1"));
            upload.one_time_keys = one_time_keys(0..20);
            upload.fallback_keys = one_time_keys(99..100);
            uploading.upload_keys(&uploader, upload).await.unwrap()
        });
        let delete = tokio::spawn(async move { deleting.delete_devices(&owner, DeviceSelection::All).await.unwrap() });
        let outcome = upload.await.unwrap();
        assert_eq!(delete.await.unwrap().len(), 1);
        assert!(matches!(outcome, UploadOutcome::Stored { .. } | UploadOutcome::DeviceGone), "{outcome:?}");
        assert!(store.keys_of(&alice, None).await.devices.is_empty(), "round {round}");
        assert_eq!(store.claim_name(&device).await, None, "round {round}");
        let again = store.log_in(&alice, "DEVICE").await;
        assert_eq!(store.key_counts(&again).await.unwrap(), KeyCounts::default(), "round {round}");
        assert!(store.identity_of(&again).await.is_none(), "round {round}");
        store.delete_devices(&alice, DeviceSelection::All).await.unwrap();
    }
}

/// Of parallel deletions one deletes.
pub async fn of_parallel_deletions_one_deletes(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    store.upload_identity(&device, "1").await;
    let answers = parallel(16, |_| {
        let (store, alice) = (store.clone(), alice.clone());
        async move { store.delete_devices(&alice, these(&["DEVICE"])).await.unwrap().len() }
    })
    .await;
    assert_eq!(answers.iter().sum::<usize>(), 1);
}

/// No two lives have the same generation, not even over a restart or between users.
pub async fn generations_are_never_used_again(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    let mut generations = Vec::new();
    let mut store = store;
    for round in 0..3 {
        for user in [&alice, &bob] {
            for id in ["A", "B"] {
                generations.push(store.log_in(user, id).await.generation);
            }
            store.delete_devices(user, DeviceSelection::All).await.unwrap();
        }
        if round == 1 {
            store = store.reopen().await;
        }
    }
    let count = generations.len();
    generations.sort_unstable();
    generations.dedup();
    assert_eq!(generations.len(), count);
}

/// Changes are read by half-open spans; each user is named once.
pub async fn device_list_changes_are_read_by_span(store: Store) {
    let (alice, a) = store.user_with_device("alice").await;
    let (bob, b) = store.user_with_device("bob").await;
    let start = store.position().await;
    store.upload_identity(&a, "1").await;
    let first = store.position().await;
    store.upload_identity(&b, "1").await;
    let second = store.position().await;
    store.upload_identity(&a, "2").await;
    store.put_identity(&alice, &identity(&alice, 1)).await;
    let end = store.position().await;
    let read = async |from, to| {
        let users = store.device_list_changes(from, to).await.unwrap();
        users.into_iter().collect::<Vec<_>>()
    };
    assert_same(read(start, end).await, [alice.clone(), bob.clone()]);
    assert_eq!(read(first, second).await, [bob]);
    assert_eq!(read(second, end).await, [alice]);
    assert!(read(end, end).await.is_empty());
}
