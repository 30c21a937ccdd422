//! Cross-signing keys.

use olmstead_domain::position::Cursor;
use olmstead_storage::{
    cross_signing::{CrossSigningKeys, NewSignature, PutCrossSigningOutcome, SignatureTarget},
    devices::DeviceRef,
    sync::SyncQuery,
};
use ruma::OwnedUserId;

use crate::{
    Store,
    support::{
        keys::{assert_same_keys, cross_signing_key, identity, public_key},
        parallel, user_id,
    },
};

/// Whom a sync names to this user alone, since a position.
pub(super) async fn named_alone(
    store: &Store,
    device: &DeviceRef,
    since: olmstead_domain::position::Position,
) -> Vec<OwnedUserId> {
    let query = SyncQuery { device: device.clone(), since: Some(since), inbox_from: Cursor::START, inbox_limit: 100 };
    store.sync_facts(&query).await.unwrap().unwrap().own_device_lists
}

/// A write names the revision it was decided on; a stale one stores nothing (XS-12).
pub async fn keys_are_put_at_the_revision_they_were_read(store: Store) {
    let alice = store.user("alice").await;
    assert_eq!(store.cross_signing_keys(&alice).await.unwrap(), CrossSigningKeys::default());
    let (first, second) = (identity(&alice, 1), identity(&alice, 2));
    store.put_identity(&alice, &first).await;
    let stored = store.cross_signing_keys(&alice).await.unwrap();
    assert_same_keys(&stored, &first.keys);
    assert!(stored.revision > 0);
    let from = store.position().await;
    for stale in [0, stored.revision + 1] {
        let outcome = store.put_cross_signing_keys(&alice, stale, second.keys.clone(), second.public.to_vec()).await;
        assert_eq!(outcome.unwrap(), PutCrossSigningOutcome::Stale);
    }
    assert_eq!(store.cross_signing_keys(&alice).await.unwrap(), stored);
    assert!(store.lists_changed_since(from).await.is_empty());
    store.put_identity(&alice, &second).await;
    let after = store.cross_signing_keys(&alice).await.unwrap();
    assert_same_keys(&after, &second.keys);
    assert!(after.revision > stored.revision);
}

/// Of parallel writers on one revision, one wins, whole.
pub async fn of_parallel_writers_one_wins(store: Store) {
    let alice = store.user("alice").await;
    let outcomes = parallel(16, |task| {
        let (store, alice) = (store.clone(), alice.clone());
        async move {
            let keys = identity(&alice, u64::try_from(task).unwrap() + 1);
            store.put_cross_signing_keys(&alice, 0, keys.keys, keys.public.to_vec()).await.unwrap()
        }
    })
    .await;
    let won: Vec<usize> = outcomes
        .iter()
        .enumerate()
        .filter(|(_, outcome)| **outcome == PutCrossSigningOutcome::Stored)
        .map(|(task, _)| task)
        .collect();
    let [winner] = won[..] else { panic!("one winner: {outcomes:?}") };
    let stored = store.cross_signing_keys(&alice).await.unwrap();
    assert_same_keys(&stored, &identity(&alice, u64::try_from(winner).unwrap() + 1).keys);
}

/// A public key that equals a device id of the user is refused, and nothing is stored (XS-5).
pub async fn a_public_key_may_not_be_a_device_id(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    let keys = identity(&alice, 1);
    store.log_in(&alice, &keys.public[1]).await;
    let from = store.position().await;
    let outcome = store.put_cross_signing_keys(&alice, 0, keys.keys.clone(), keys.public.to_vec()).await.unwrap();
    assert_eq!(outcome, PutCrossSigningOutcome::KeyIsDeviceId);
    assert_eq!(store.cross_signing_keys(&alice).await.unwrap(), CrossSigningKeys::default());
    assert!(store.lists_changed_since(from).await.is_empty());
    let theirs = CrossSigningKeys {
        master: Some(cross_signing_key(&bob, "master", &keys.public[1], None)),
        ..CrossSigningKeys::default()
    };
    let outcome = store.put_cross_signing_keys(&bob, 0, theirs, vec![keys.public[1].clone()]).await.unwrap();
    assert_eq!(outcome, PutCrossSigningOutcome::Stored, "another user's device id is no matter");
}

/// Keys are stored for an account that is there and active; a request that lost to its end stores nothing (DEV-18).
pub async fn keys_are_of_an_active_account(store: Store) {
    let alice = store.user("alice").await;
    assert!(store.deactivate_account(&alice, false).await.unwrap());
    let from = store.position().await;
    for user in [alice, user_id("nobody")] {
        let keys = identity(&user, 1);
        let outcome = store.put_cross_signing_keys(&user, 0, keys.keys, keys.public.to_vec()).await.unwrap();
        assert_eq!(outcome, PutCrossSigningOutcome::NoAccount);
        assert_eq!(store.cross_signing_keys(&user).await.unwrap(), CrossSigningKeys::default());
    }
    assert!(store.lists_changed_since(from).await.is_empty());
}

/// A new master or self-signing key changes the device list (XS-16).
pub async fn a_new_master_key_changes_the_device_list(store: Store) {
    let alice = store.user("alice").await;
    let from = store.position().await;
    store.put_identity(&alice, &identity(&alice, 1)).await;
    assert_eq!(store.lists_changed_since(from).await, [alice.clone()]);
    let from = store.position().await;
    let mut other = identity(&alice, 1);
    other.public[1] = public_key(1_000);
    other.keys.self_signing = Some(cross_signing_key(&alice, "self_signing", &other.public[1], Some(&other.public[0])));
    store.put_identity(&alice, &other).await;
    assert_eq!(store.lists_changed_since(from).await, [alice]);
}

/// A new user-signing key shows to the owner alone (DL-11, XS-16).
pub async fn a_new_user_signing_key_is_for_the_owner_alone(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    let (_, other) = store.user_with_device("bob").await;
    store.put_identity(&alice, &identity(&alice, 1)).await;
    let from = store.position().await;
    let mut new = identity(&alice, 1);
    new.public[2] = public_key(1_000);
    new.keys.user_signing = Some(cross_signing_key(&alice, "user_signing", &new.public[2], Some(&new.public[0])));
    store.put_identity(&alice, &new).await;
    assert!(store.lists_changed_since(from).await.is_empty());
    assert_eq!(named_alone(&store, &device, from).await, [alice.clone()]);
    assert!(named_alone(&store, &other, from).await.is_empty());
    assert!(named_alone(&store, &device, store.position().await).await.is_empty(), "it is told once");
    assert_same_keys(&store.cross_signing_keys(&alice).await.unwrap(), &new.keys);
}

/// Signatures that others made on a master key go when it is replaced (XS-14), and stay while it is not.
pub async fn a_new_master_key_loses_signatures_of_others(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    let (ours, theirs) = (identity(&alice, 1), identity(&bob, 2));
    store.put_identity(&alice, &ours).await;
    store.put_identity(&bob, &theirs).await;
    let signature = NewSignature {
        target: SignatureTarget::MasterKey(bob.clone()),
        verified_against: theirs.keys.master.clone().unwrap(),
        signer: alice.clone(),
        key_id: format!("ed25519:{}", ours.public[2]),
        signature: "by alice".to_owned(),
    };
    assert_eq!(store.add_signatures(vec![signature]).await.unwrap(), [true]);
    let expected = [(format!("ed25519:{}", ours.public[2]), "by alice".to_owned())];
    assert_eq!(store.keys_of(&bob, Some(&alice)).await.asker_signatures, expected);
    let mut other = theirs.clone();
    other.public[1] = public_key(1_000);
    other.keys.self_signing = Some(cross_signing_key(&bob, "self_signing", &other.public[1], Some(&other.public[0])));
    store.put_identity(&bob, &other).await;
    assert_eq!(store.keys_of(&bob, Some(&alice)).await.asker_signatures, expected, "the master key is the same");
    store.put_identity(&bob, &identity(&bob, 3)).await;
    assert!(store.keys_of(&bob, Some(&alice)).await.asker_signatures.is_empty());
    store.put_identity(&bob, &theirs).await;
    assert!(store.keys_of(&bob, Some(&alice)).await.asker_signatures.is_empty(), "they do not come back");
}

/// Each user has a set and a revision of their own.
pub async fn keys_of_users_do_not_mix(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    store.put_identity(&alice, &identity(&alice, 1)).await;
    assert_eq!(store.cross_signing_keys(&bob).await.unwrap(), CrossSigningKeys::default());
    let keys = identity(&bob, 2);
    let outcome = store.put_cross_signing_keys(&bob, 0, keys.keys.clone(), keys.public.to_vec()).await.unwrap();
    assert_eq!(outcome, PutCrossSigningOutcome::Stored);
    assert_same_keys(&store.cross_signing_keys(&alice).await.unwrap(), &identity(&alice, 1).keys);
    assert_eq!(store.cross_signing_keys(&user_id("nobody")).await.unwrap(), CrossSigningKeys::default());
}

/// Keys and their revision are there after a restart.
pub async fn cross_signing_keys_survive_a_restart(store: Store) {
    let alice = store.user("alice").await;
    store.put_identity(&alice, &identity(&alice, 1)).await;
    let before = store.cross_signing_keys(&alice).await.unwrap();
    let store = store.reopen().await;
    assert_eq!(store.cross_signing_keys(&alice).await.unwrap(), before);
    store.put_identity(&alice, &identity(&alice, 2)).await;
}
