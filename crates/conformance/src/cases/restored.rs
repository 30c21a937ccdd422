//! A store that was restored: a copy from before goes on in place of the store.

use std::collections::BTreeSet;

use olmstead_storage::to_device::TransactionKey;
use serde_json::json;

use crate::{
    Store,
    support::{
        keys::{nothing, one_time_keys},
        to_device,
    },
};

/// One-time keys may have been handed out since the copy was made, so none of them is; the fallback key, which may be given
/// out often, is kept. Who asks is told that there are none, and nothing brings them back.
pub async fn a_copy_hands_out_no_key_that_may_be_spent(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    store.upload_one_time(&device, 0..20).await;
    store.upload_fallback(&device, 1).await;
    let first = store.claim_name(&device).await.unwrap();
    let vacant = store.close_and_leave().await;
    let copy = vacant.copy().await;

    let store = vacant.open().await;
    let mut spent = BTreeSet::from([first]);
    for _ in 0..10 {
        spent.insert(store.claim_name(&device).await.unwrap());
    }
    assert_eq!((spent.len(), store.count(&device).await), (11, 9), "the original goes on");

    let copy = copy.open().await;
    let begun = copy.horizon().await.unwrap();
    assert_eq!(copy.count(&device).await, 0);
    for _ in 0..3 {
        let claimed = copy.claim(&device).await.expect("the fallback key is kept");
        assert!(claimed.fallback, "{} may be spent", claimed.key_name);
    }
    // An upload whose answer was lost is sent again.
    let again = olmstead_storage::keys::KeysUpload { one_time_keys: one_time_keys(0..20), ..nothing() };
    let (counts, _) = copy.upload(&device, again).await;
    assert_eq!(counts.one_time_keys.values().sum::<u64>(), 0, "dropped keys do not come back");
    copy.upload_one_time(&device, 100..105).await;
    let fresh = copy.claim(&device).await.unwrap();
    assert!(!fresh.fallback && !spent.contains(&fresh.key_name), "new keys are given out");
    assert!(begun.position > store.position().await, "positions are above those of the other life");
}

/// What waited in an inbox waits, and what was sent is not sent again.
pub async fn a_copy_keeps_messages_and_transactions(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    let key = TransactionKey { device: device.clone(), scope: "sendToDevice/x".into(), transaction_id: "1".into() };
    assert!(store.send_to_device(Some(key.clone()), vec![to_device(&device, "kept")]).await.unwrap());
    let vacant = store.close_and_leave().await;
    let copy = vacant.copy().await.open().await;
    assert!(!copy.send_to_device(Some(key), vec![to_device(&device, "again")]).await.unwrap(), "it was done before");
    assert_eq!(copy.waiting(&device).await.len(), 1);
    copy.send_to_device(None, vec![to_device(&device, "new")]).await.unwrap();
    assert_eq!(copy.waiting(&device).await.len(), 2);
    copy.set_account_data(&device.user_id, None, "k", crate::support::raw(json!({}))).await.unwrap();
}

/// The copy begins its own life when it is opened first, and goes on with it.
pub async fn a_copy_is_a_new_epoch_once(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    let before = store.horizon().await.unwrap();
    let vacant = store.close_and_leave().await;
    let copy = vacant.copy().await.open().await;
    let after = copy.horizon().await.unwrap();
    assert!(after.epoch > before.epoch, "tokens of before are told from those of now");
    assert!(after.position > before.position);
    copy.upload_one_time(&device, 0..5).await;
    let copy = copy.reopen().await;
    assert_eq!(copy.horizon().await.unwrap().epoch, after.epoch);
    assert_eq!(copy.count(&device).await, 5);
    let store = vacant.open().await;
    assert_eq!(store.horizon().await.unwrap().epoch, before.epoch, "the original is as it was");
}

/// A token of a store that was restored must not be taken for one of the store that is restored from the same copy later.
pub async fn the_epochs_of_two_copies_are_not_the_same(store: Store) {
    let vacant = store.close_and_leave().await;
    let (one, two) = (vacant.copy().await, vacant.copy().await);
    let one = one.open().await.horizon().await.unwrap();
    let two = two.open().await.horizon().await.unwrap();
    assert_ne!(one.epoch, two.epoch);
}

/// What is written into a backup.
pub async fn a_store_knows_what_it_is(store: Store) {
    assert_eq!(store.store_facts().await.unwrap().server_name, None);
    store.server_name("one.test").await.unwrap();
    let facts = store.store_facts().await.unwrap();
    assert_eq!(facts.server_name.as_deref(), Some("one.test"));
    assert_eq!(facts.epoch, store.horizon().await.unwrap().epoch);
    assert!(facts.schema > 0);
}
