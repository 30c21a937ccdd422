//! What belongs to the store as a whole.

use olmstead_storage::StorageError;

use crate::{
    Store,
    support::{account, parallel, user_id},
};

/// The first signing key and the first name stay, also over a restart.
pub async fn a_store_keeps_its_signing_key_and_its_name(store: Store) {
    let first = ([1; 32], "a1".to_owned());
    assert_eq!(store.signing_key(first.clone()).await.unwrap(), first);
    assert_eq!(store.signing_key(([2; 32], "b2".to_owned())).await.unwrap(), first);
    assert_eq!(store.server_name("one.test").await.unwrap(), "one.test");
    assert_eq!(store.server_name("two.test").await.unwrap(), "one.test");
    let store = store.reopen().await;
    assert_eq!(store.signing_key(([3; 32], "c3".to_owned())).await.unwrap(), first);
    assert_eq!(store.server_name("three.test").await.unwrap(), "one.test");
}

/// Nodes that start at once on a store that is new all get the same signing key.
pub async fn of_parallel_first_starts_one_signing_key_is_kept(store: Store) {
    let keys = parallel(16, |task| {
        let store = store.clone();
        async move {
            let seed = u8::try_from(task).unwrap();
            let key = store.signing_key(([seed; 32], format!("a{seed}"))).await.unwrap();
            (key, store.server_name(&format!("{seed}.test")).await.unwrap())
        }
    })
    .await;
    let (first, name) = &keys[0];
    assert!(keys.iter().all(|(key, other)| key == first && other == name), "{keys:?}");
    assert_eq!(store.signing_key(([99; 32], "b".to_owned())).await.unwrap(), *first);
}

/// An open store answers; its engine has a name for logs.
pub async fn a_store_answers_and_names_its_engine(store: Store) {
    store.ping().await.unwrap();
    assert!(!store.engine().is_empty());
}

/// After `close`, commands are refused, so that nothing is lost between close and exit.
pub async fn a_closed_store_refuses_commands(store: Store) {
    store.close().await.unwrap();
    let answer = store.create_account(account(&user_id("late")), None).await;
    assert!(matches!(answer, Err(StorageError::Unavailable { .. })), "{answer:?}");
    assert!(store.close().await.is_ok(), "closing again is harmless");
}

/// Nothing is global: two stores in one process know nothing of each other.
pub async fn two_stores_do_not_mix(store: Store) {
    let other = store.another().await;
    let alice = store.user("alice").await;
    let device = store.log_in(&alice, "DEVICE").await;
    store.upload_one_time(&device, 0..3).await;
    assert_eq!(other.account(&alice).await.unwrap(), None);
    assert!(other.devices(&alice).await.unwrap().is_empty());
    assert_eq!(other.claim_name(&device).await, None);
    other.user("alice").await;
    assert_eq!(store.count(&device).await, 3);
}
