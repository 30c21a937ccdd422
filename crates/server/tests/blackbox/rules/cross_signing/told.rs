//! Who is told of new cross-signing keys and signatures.

use serde_json::json;
use vodozemac::Ed25519SecretKey;

use super::{device_keys, identity, public, sign_well, upload};
use crate::harness::{Client, Server, Syncing, device_lists_changed, keys::CrossSigning};

/// Whether the next sync names a user.
async fn told(sync: &mut Syncing, of: &Client) -> bool {
    device_lists_changed(&sync.now().await).iter().any(|user| user == of.user_id())
}

/// XS-16, DL-1, DL-8, DL-11: of a new master or self-signing key all who share an encrypted room are told, of a new
/// user-signing key the owner's devices alone.
#[tokio::test]
async fn a_user_signing_key_is_the_owners_own_business() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    alice.encrypted_room(&[&bob]).await;
    let (mut at_alice, mut at_bob) = (alice.syncing(), bob.syncing());
    at_alice.now().await;
    at_bob.now().await;
    let first = identity(&alice).await;
    assert!(told(&mut at_bob, &alice).await && told(&mut at_alice, &alice).await);

    let mut next = CrossSigning::new(alice.user_id());
    next.master = Ed25519SecretKey::from_slice(&first.master.to_bytes());
    let mut put = async |body, others: bool| {
        upload(&alice, body).with_password().await.ok();
        assert_eq!(told(&mut at_bob, &alice).await, others);
        assert!(told(&mut at_alice, &alice).await);
        assert!(!told(&mut at_bob, &alice).await && !told(&mut at_alice, &alice).await, "once");
    };
    put(json!({"user_signing_key": next.user_signing_key()}), false).await;
    put(json!({"self_signing_key": next.self_signing_key()}), true).await;
    let other = CrossSigning::new(alice.user_id());
    put(json!({"master_key": other.master_key()}), true).await;

    // What is no news is told to nobody.
    upload(&alice, json!({"master_key": other.master_key()})).await.ok();
    assert!(!told(&mut at_bob, &alice).await && !told(&mut at_alice, &alice).await);
}

/// SIG-15, DL-12, DL-13: of a signature on one's own keys all are told who share an encrypted room; of one on somebody
/// else's master key only the signer's devices.
#[tokio::test]
async fn who_verified_whom_is_told_to_nobody_else() {
    let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
    alice.encrypted_room(&[&bob, &carol]).await;
    let device = device_keys(&alice).await;
    let (alices, bobs) = (identity(&alice).await, identity(&bob).await);
    let mut syncs = [alice.syncing(), bob.syncing(), carol.syncing()];
    for sync in &mut syncs {
        sync.now().await;
    }
    sign_well(&alice, json!({bob.user_id(): {public(&bobs.master): alices.sign_user(&bobs.master_key())}})).await;
    for (sync, expected) in syncs.iter_mut().zip([true, false, false]) {
        let sync = sync.now().await;
        let names = device_lists_changed(&sync);
        assert_eq!(names.iter().any(|user| user == bob.user_id()), expected, "{sync}");
        assert!(!names.iter().any(|user| user == alice.user_id()), "{sync}");
    }
    for object in [
        json!({alice.device_id(): alices.sign_device(&device.signed())}),
        json!({public(&alices.master): device.sign(alices.master_key())}),
    ] {
        sign_well(&alice, json!({alice.user_id(): object})).await;
        for sync in &mut syncs {
            assert!(told(sync, &alice).await);
        }
        // The same again is no news.
        sign_well(&alice, json!({alice.user_id(): object})).await;
        for sync in &mut syncs {
            assert!(!told(sync, &alice).await);
        }
    }
}
