//! Signatures on keys.

use olmstead_domain::json::RawJson;
use olmstead_storage::{
    cross_signing::{NewSignature, SignatureTarget},
    devices::DeviceSelection,
};
use ruma::{OwnedUserId, UserId};
use serde_json::{Value, json};

use super::cross_signing::named_alone;
use crate::{
    Store,
    support::{
        keys::{identity, identity_keys, public_key},
        parallel,
    },
};

pub(super) fn signature(target: SignatureTarget, object: &RawJson, signer: &UserId, key_id: &str) -> NewSignature {
    NewSignature {
        target,
        verified_against: object.clone(),
        signer: signer.to_owned(),
        key_id: format!("ed25519:{key_id}"),
        signature: format!("by {key_id}"),
    }
}

fn on_master(user: &UserId) -> SignatureTarget {
    SignatureTarget::MasterKey(user.to_owned())
}

fn on_device(user: &UserId) -> SignatureTarget {
    SignatureTarget::Device(user.to_owned(), "DEVICE".into())
}

async fn master(store: &Store, user: &UserId) -> RawJson {
    store.cross_signing_keys(user).await.unwrap().master.unwrap()
}

fn by_owner(object: &RawJson, owner: &UserId) -> Value {
    object.read::<Value>().unwrap()["signatures"][owner.as_str()].clone()
}

/// The owner's signatures join those already in the object (SIG-6), and change the owner's device list (DL-13).
pub async fn own_signatures_merge_into_the_object(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    store.upload_identity(&device, "1").await;
    let keys = identity(&alice, 1);
    store.put_identity(&alice, &keys).await;
    let before = store.cross_signing_keys(&alice).await.unwrap();
    let from = store.position().await;
    let object = store.identity_of(&device).await.unwrap();
    let by_self_signing = signature(on_device(&alice), &object, &alice, &keys.public[1]);
    assert_eq!(store.add_signatures(vec![by_self_signing]).await.unwrap(), [true]);
    assert_eq!(store.lists_changed_since(from).await, [alice.clone()]);
    let signed = store.identity_of(&device).await.unwrap();
    let self_signing = format!("ed25519:{}", keys.public[1]);
    assert_eq!(
        by_owner(&signed, &alice),
        json!({ "ed25519:DEVICE": "own", self_signing: format!("by {}", keys.public[1]) })
    );
    let with_same_text: Value = object.read().unwrap();
    let mut rest: Value = signed.read().unwrap();
    rest["signatures"] = with_same_text["signatures"].clone();
    assert_eq!(rest, with_same_text, "all else is as uploaded");

    let from = store.position().await;
    let by_device = signature(on_master(&alice), &master(&store, &alice).await, &alice, "DEVICE");
    assert_eq!(store.add_signatures(vec![by_device]).await.unwrap(), [true]);
    assert_eq!(store.lists_changed_since(from).await, [alice.clone()]);
    assert_eq!(by_owner(&master(&store, &alice).await, &alice), json!({ "ed25519:DEVICE": "by DEVICE" }));
    let after = store.cross_signing_keys(&alice).await.unwrap();
    assert!(after.revision > before.revision, "a signature on the keys is a write to them");
    assert_eq!((after.self_signing, after.user_signing), (before.self_signing, before.user_signing));

    let store = store.reopen().await;
    assert_eq!(by_owner(&master(&store, &alice).await, &alice), json!({ "ed25519:DEVICE": "by DEVICE" }));
}

/// A signature by another user's user-signing key is read by that user alone (SIG-15), and is a change for that user
/// only (DL-12).
pub async fn signatures_by_others_are_for_them_alone(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    let (bob, bobs) = store.user_with_device("bob").await;
    let (carol, carols) = store.user_with_device("carol").await;
    let (ours, theirs) = (identity(&alice, 1), identity(&bob, 2));
    store.put_identity(&alice, &ours).await;
    store.put_identity(&bob, &theirs).await;
    let object = master(&store, &bob).await;
    let from = store.position().await;
    let new = signature(on_master(&bob), &object, &alice, &ours.public[2]);
    assert_eq!(store.add_signatures(vec![new]).await.unwrap(), [true]);

    let expected = [(format!("ed25519:{}", ours.public[2]), format!("by {}", ours.public[2]))];
    assert_eq!(store.keys_of(&bob, Some(&alice)).await.asker_signatures, expected);
    for asker in [None, Some(&*bob), Some(&*carol)] {
        assert!(store.keys_of(&bob, asker).await.asker_signatures.is_empty(), "{asker:?}");
    }
    assert_eq!(master(&store, &bob).await, object, "the object itself is untouched");
    assert!(store.lists_changed_since(from).await.is_empty());
    assert_eq!(named_alone(&store, &device, from).await, [bob.clone()]);
    assert!(named_alone(&store, &bobs, from).await.is_empty());
    assert!(named_alone(&store, &carols, from).await.is_empty());

    let carols_keys = identity(&carol, 3);
    let by_carol = signature(on_master(&bob), &object, &carol, &carols_keys.public[2]);
    assert_eq!(store.add_signatures(vec![by_carol]).await.unwrap(), [true]);
    assert_eq!(store.keys_of(&bob, Some(&alice)).await.asker_signatures, expected);
    let store = store.reopen().await;
    assert_eq!(store.keys_of(&bob, Some(&alice)).await.asker_signatures, expected);
}

/// A target that is gone or is another object now is refused; the rest of the command is done (SIG-2, SIG-3, SIG-7).
pub async fn a_signature_on_what_is_gone_or_changed_is_refused(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    let bob = store.user("bob").await;
    store.upload_identity(&device, "1").await;
    store.put_identity(&alice, &identity(&alice, 1)).await;
    store.put_identity(&bob, &identity(&bob, 2)).await;
    let good = store.identity_of(&device).await.unwrap();
    let old_master = master(&store, &bob).await;
    store.put_identity(&bob, &identity(&bob, 3)).await;
    let answers = store
        .add_signatures(vec![
            signature(SignatureTarget::Device(alice.clone(), "UNKNOWN".into()), &good, &alice, "K1"),
            signature(on_master(&bob), &old_master, &alice, "K2"),
            signature(on_device(&alice), &good, &alice, "K3"),
            signature(on_device(&alice), &identity_keys(&device, "other"), &alice, "K4"),
            signature(on_master(&crate::support::user_id("nobody")), &old_master, &alice, "K5"),
        ])
        .await
        .unwrap();
    assert_eq!(answers, [false, false, true, false, false]);
    assert!(store.keys_of(&bob, Some(&alice)).await.asker_signatures.is_empty());
    let signed = store.identity_of(&device).await.unwrap();
    assert_eq!(by_owner(&signed, &alice), json!({ "ed25519:DEVICE": "own", "ed25519:K3": "by K3" }));
    store.delete_devices(&alice, DeviceSelection::All).await.unwrap();
    let from = store.position().await;
    let late = signature(on_device(&alice), &signed, &alice, "K6");
    assert_eq!(store.add_signatures(vec![late]).await.unwrap(), [false]);
    assert!(store.lists_changed_since(from).await.is_empty());
}

/// Two signatures on one object in one command both stay, though the first changes the object.
pub async fn two_signatures_in_one_command_both_stay(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    store.upload_identity(&device, "1").await;
    let object = store.identity_of(&device).await.unwrap();
    let two = ["ONE", "TWO"].map(|key| signature(on_device(&alice), &object, &alice, key));
    assert_eq!(store.add_signatures(two.to_vec()).await.unwrap(), [true, true]);
    let signed = store.identity_of(&device).await.unwrap();
    let expected = json!({ "ed25519:DEVICE": "own", "ed25519:ONE": "by ONE", "ed25519:TWO": "by TWO" });
    assert_eq!(by_owner(&signed, &alice), expected);
}

/// Parallel signatures on one object all stay, once those that lost a race try again.
pub async fn parallel_signatures_all_stay(store: Store) {
    let alice: OwnedUserId = store.user("alice").await;
    store.put_identity(&alice, &identity(&alice, 1)).await;
    parallel(16, |task| {
        let (store, alice) = (store.clone(), alice.clone());
        async move {
            loop {
                let object = master(&store, &alice).await;
                let new = signature(on_master(&alice), &object, &alice, &format!("D{task}"));
                if store.add_signatures(vec![new]).await.unwrap() == [true] {
                    return;
                }
            }
        }
    })
    .await;
    let signed = by_owner(&master(&store, &alice).await, &alice);
    assert_eq!(signed.as_object().unwrap().len(), 16);
}

/// A new identity does not keep the signatures on the old one (DK-12).
pub async fn a_new_identity_loses_its_signatures(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    store.upload_identity(&device, "1").await;
    let object = store.identity_of(&device).await.unwrap();
    let by = signature(on_device(&alice), &object, &alice, &public_key(1));
    assert_eq!(store.add_signatures(vec![by]).await.unwrap(), [true]);
    assert!(!store.upload_identity(&device, "1").await, "the same identity keeps them (DK-8)");
    assert_eq!(by_owner(&store.identity_of(&device).await.unwrap(), &alice).as_object().unwrap().len(), 2);
    assert!(store.upload_identity(&device, "2").await);
    assert_eq!(store.identity_of(&device).await, Some(identity_keys(&device, "2")));
}
