//! The stream of changes: the horizon, and who is touched.

use std::time::Duration;

use olmstead_domain::{
    position::{Cursor, Position},
    rooms::membership::Action,
};
use olmstead_storage::{
    changes::ChangeKey,
    cross_signing::{NewSignature, SignatureTarget},
    devices::DeviceSelection,
    ephemeral::{Presence, Receipt},
    rooms::AppendOutcome,
};
use serde_json::json;

use crate::{
    Store,
    support::{
        keys::{cross_signing_key, identity, public_key},
        parallel, raw,
        rooms::{TestRoom, message},
        to_device,
    },
};

/// The horizon covers a write as soon as it returns, so that a sync right after it tells of it (KQ-11, AD-9).
pub async fn every_write_is_below_the_next_horizon(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    let mut room = TestRoom::create(&store, &alice).await;
    let mut since = store.position().await;
    for number in 0..20_u64 {
        store.send_to_device(None, vec![to_device(&device, number)]).await.unwrap();
        let now = store.position().await;
        let page = store.inbox(&device, Cursor::at(since), now, 100).await.unwrap();
        assert_eq!(page.messages.len(), 1);
        store.set_account_data(&alice, None, "k", raw(json!({ "n": number }))).await.unwrap();
        let then = store.position().await;
        assert_eq!(store.account_data_between(&alice, now, then).await.unwrap().len(), 1);
        let placed = room.say(&store, &alice, "hello").await;
        let last = store.position().await;
        assert!(placed.cursor.position >= then && placed.cursor.position < last);
        assert!(since < now && now < then && then < last);
        since = last;
    }
}

/// While others write, too, a write comes below the horizon: a commit under way holds it back no longer than it takes,
/// however many follow.
pub async fn a_write_comes_below_the_horizon_while_others_write(store: Store) {
    let alice = store.user("alice").await;
    parallel(8, |_| {
        let (store, alice) = (store.clone(), alice.clone());
        async move {
            let room = TestRoom::create(&store, &alice).await;
            let mut last = Position::START;
            let mut hint = store.hint();
            for number in 0..25 {
                let (_, outcome) = room.append_in_race(&store, message(&alice, &format!("{number}")), None).await;
                let AppendOutcome::Appended(position) = outcome else { panic!("{outcome:?}") };
                let wait = async {
                    loop {
                        hint.borrow_and_update();
                        let horizon = store.position().await;
                        assert!(horizon >= last, "horizons never go back");
                        last = horizon;
                        if horizon > position {
                            return;
                        }
                        // A hint may be lost.
                        let _ = tokio::time::timeout(Duration::from_millis(250), hint.changed()).await;
                    }
                };
                tokio::time::timeout(Duration::from_secs(30), wait).await.expect("the horizon passes a write");
            }
        }
    })
    .await;
}

/// Each kind of write wakes those who see it (DL-22, TD-15), or everyone.
pub async fn every_kind_of_write_wakes_those_it_touches(store: Store) {
    use ChangeKey::{Device, DeviceList, Membership, Room, User};
    let (alice, device) = store.user_with_device("alice").await;
    let (bob, bobs) = store.user_with_device("bob").await;
    let of = |device: &olmstead_storage::devices::DeviceRef| Device(device.user_id.clone(), device.device_id.clone());
    let mut room = TestRoom::create(&store, &alice).await;

    let at = store.position().await;
    store.send_to_device(None, vec![to_device(&bobs, 1)]).await.unwrap();
    store.assert_wakes(at, "a message", &[of(&bobs)]).await;

    let at = store.position().await;
    store.upload_one_time(&bobs, 0..1).await;
    store.assert_wakes(at, "one-time keys", &[of(&bobs)]).await;
    let at = store.position().await;
    store.claim(&bobs).await.unwrap();
    store.assert_wakes(at, "a claim", &[of(&bobs)]).await;
    store.upload_fallback(&bobs, 1).await;
    let at = store.position().await;
    store.claim(&bobs).await.unwrap();
    store.assert_wakes(at, "the use of a fallback key", &[of(&bobs)]).await;

    let at = store.position().await;
    store.upload_identity(&bobs, "1").await;
    store.assert_wakes(at, "identity keys", &[DeviceList(bob.clone())]).await;
    let at = store.position().await;
    store.set_device_name(&bob, &bobs.device_id, Some("new".to_owned())).await.unwrap();
    store.assert_wakes(at, "a device's name", &[DeviceList(bob.clone())]).await;
    let (ours, theirs) = (identity(&alice, 1), identity(&bob, 2));
    let at = store.position().await;
    store.put_identity(&alice, &ours).await;
    store.assert_wakes(at, "a master key", &[DeviceList(alice.clone())]).await;
    store.put_identity(&bob, &theirs).await;
    let at = store.position().await;
    let mut new = ours.clone();
    new.public[2] = public_key(1_000);
    new.keys.user_signing = Some(cross_signing_key(&alice, "user_signing", &new.public[2], Some(&new.public[0])));
    store.put_identity(&alice, &new).await;
    store.assert_wakes(at, "a user-signing key", &[User(alice.clone()), DeviceList(alice.clone()), of(&device)]).await;
    let at = store.position().await;
    let signature = NewSignature {
        target: SignatureTarget::MasterKey(bob.clone()),
        verified_against: theirs.keys.master.clone().unwrap(),
        signer: alice.clone(),
        key_id: format!("ed25519:{}", new.public[2]),
        signature: "x".to_owned(),
    };
    assert_eq!(store.add_signatures(vec![signature]).await.unwrap(), [true]);
    store.assert_wakes(at, "a signature on another's key", &[User(alice.clone()), of(&device)]).await;

    let at = store.position().await;
    store.set_account_data(&alice, None, "k", raw(json!({}))).await.unwrap();
    store.assert_wakes(at, "account data", &[User(alice.clone())]).await;
    let at = store.position().await;
    assert!(
        store.replace_account_data(&alice, None, "k", Some(&raw(json!({}))), raw(json!({ "n": 1 }))).await.unwrap()
    );
    store.assert_wakes(at, "replaced account data", &[User(alice.clone())]).await;

    let at = store.position().await;
    room.by_creator(&store, Action::Invite, &bob).await;
    let membership = Membership(room.id.clone(), bob.clone());
    store.assert_wakes(at, "an invite, for the room", &[Room(room.id.clone()), membership.clone()]).await;
    store.assert_wakes(at, "an invite, for the invited", &[User(bob.clone()), membership.clone()]).await;
    let at = store.position().await;
    room.join(&store, &bob).await;
    store.assert_wakes(at, "a join", std::slice::from_ref(&membership)).await;
    let at = store.position().await;
    room.say(&store, &alice, "hello").await;
    store.assert_wakes(at, "a message in a room", &[Room(room.id.clone())]).await;
    let at = store.position().await;
    let receipt = Receipt {
        user_id: bob.clone(),
        kind: "m.read".to_owned(),
        thread_id: None,
        event_id: room.log[0].id(),
        at: 1,
        position: Position::START,
    };
    store.set_receipts(&room.id, vec![receipt]).await.unwrap();
    store.assert_wakes(at, "a receipt", &[Room(room.id.clone())]).await;
    let at = store.position().await;
    store.set_typing(&room.id, &bob, Some(1_000)).await.unwrap();
    store.assert_wakes(at, "typing", &[Room(room.id.clone())]).await;
    let at = store.position().await;
    let presence = Presence {
        user_id: bob.clone(),
        presence: "online".to_owned(),
        status_msg: None,
        last_active_at: 1,
        position: Position::START,
    };
    store.set_presence(presence).await.unwrap();
    store.assert_wakes(at, "presence", &[ChangeKey::Presence(bob.clone())]).await;
    let at = store.position().await;
    room.leave(&store, &bob).await;
    store.assert_wakes(at, "a leave", &[membership]).await;

    let at = store.position().await;
    store.delete_devices(&bob, DeviceSelection::All).await.unwrap();
    store.assert_wakes(at, "the deletion of a keyed device", &[DeviceList(bob.clone())]).await;
    let keyless = store.log_in(&bob, "KEYLESS").await;
    let at = store.position().await;
    store.delete_devices(&bob, DeviceSelection::All).await.unwrap();
    store.assert_wakes(at, "the deletion of a device, for the device", &[User(bob.clone()), of(&keyless)]).await;
}

/// A write sends a hint to those who wait.
pub async fn a_write_sends_a_hint(store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    let mut hint = store.hint();
    for number in 0..5 {
        let before = store.position().await;
        hint.borrow_and_update();
        store.send_to_device(None, vec![to_device(&device, number)]).await.unwrap();
        let wait = async {
            while store.position().await <= before {
                hint.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(30), wait).await.expect("the horizon moves");
    }
    let mut idle = store.hint();
    idle.borrow_and_update();
    let writer = store.clone();
    let write = tokio::spawn(async move { writer.send_to_device(None, vec![to_device(&device, "x")]).await.unwrap() });
    tokio::time::timeout(Duration::from_secs(30), idle.changed()).await.expect("a hint comes").unwrap();
    write.await.unwrap();
}

/// Positions after a restart are above all before, for what is stored and for tokens.
pub async fn positions_grow_over_a_restart(mut store: Store) {
    let (_, device) = store.user_with_device("alice").await;
    let mut last = store.position().await;
    for number in 0..4 {
        store.send_to_device(None, vec![to_device(&device, number)]).await.unwrap();
        let before = store.position().await;
        assert!(before > last);
        store = store.reopen().await;
        let after = store.position().await;
        assert!(after >= before, "a token from before is not from the future");
        store.send_to_device(None, vec![to_device(&device, "after")]).await.unwrap();
        let page = store.inbox(&device, Cursor::at(before), store.position().await, 10).await.unwrap();
        assert_eq!(page.messages.len(), 1, "what came after the token, and only that");
        last = store.position().await;
        let keys = [ChangeKey::Device(device.user_id.clone(), device.device_id.clone())];
        store.assert_wakes(before, "a message after a restart", &keys).await;
    }
}

/// A restart is no new epoch: tokens stay good.
pub async fn the_epoch_stays_over_a_restart(store: Store) {
    let alice = store.user("alice").await;
    let epoch = store.horizon().await.unwrap().epoch;
    store.set_account_data(&alice, None, "k", raw(json!({}))).await.unwrap();
    assert_eq!(store.horizon().await.unwrap().epoch, epoch);
    let store = store.reopen().await;
    assert_eq!(store.horizon().await.unwrap().epoch, epoch);
}
