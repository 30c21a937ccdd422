//! Accounts: who exists, and in what standing.

use olmstead_domain::backup::KeyBackupData;
use olmstead_storage::{
    account_data::Pusher,
    accounts::StandingChange,
    backups::{BackupKey, BackupSelection},
    cross_signing::{CrossSigningKeys, NewSignature, SignatureTarget},
    devices::{DeviceSelection, LoginOutcome},
};
use serde_json::json;

use crate::{
    Store,
    support::{
        account, assert_same,
        keys::{assert_same_keys, identity},
        parallel, raw, room_id, session, to_device, user_id,
    },
};

/// A name is given once; the first account stays as it is.
pub async fn an_account_is_created_once(store: Store) {
    let alice = user_id("alice");
    assert_eq!(store.account(&alice).await.unwrap(), None);
    let first = account(&alice);
    assert!(store.create_account(first.clone(), None).await.unwrap());
    let mut second = first.clone();
    second.password_hash = Some("another".to_owned());
    second.admin = true;
    assert!(!store.create_account(second, Some(session("SECOND"))).await.unwrap());
    assert_eq!(store.account(&alice).await.unwrap(), Some(first));
    assert!(store.devices(&alice).await.unwrap().is_empty(), "nothing of the second was done");
}

/// Of many who ask for a name at once, one gets it, whole.
pub async fn of_parallel_creations_one_wins(store: Store) {
    let alice = user_id("alice");
    let answers = parallel(16, |index| {
        let (store, mut account) = (store.clone(), account(&alice));
        account.password_hash = Some(format!("hash {index}"));
        let session = session(&format!("D{index}"));
        async move { store.create_account(account, Some(session)).await.unwrap() }
    })
    .await;
    let winners: Vec<usize> = answers.iter().enumerate().filter(|(_, won)| **won).map(|(index, _)| index).collect();
    let [winner] = winners[..] else { panic!("one winner: {winners:?}") };
    let stored = store.account(&alice).await.unwrap().unwrap();
    assert_eq!(stored.password_hash, Some(format!("hash {winner}")));
    let devices = store.devices(&alice).await.unwrap();
    assert_eq!(devices.len(), 1);
    assert_eq!(devices[0].id.device_id, format!("D{winner}"));
}

/// Registration makes account and session in one step.
pub async fn an_account_may_start_with_a_session(store: Store) {
    let alice = user_id("alice");
    let first = session("FIRST");
    assert!(store.create_account(account(&alice), Some(first.clone())).await.unwrap());
    let found = store.session(&first.access).await.unwrap().unwrap();
    assert_eq!(found.device.user_id, alice);
    assert_eq!(found.device.device_id, "FIRST");
    let devices = store.devices(&alice).await.unwrap();
    assert_eq!(devices.len(), 1);
    assert_eq!(devices[0].display_name.as_deref(), Some("name of FIRST"));
}

/// A change of password deletes all devices but the one that asked (DEV-17).
pub async fn a_new_password_logs_out_the_other_devices(store: Store) {
    let alice = store.user("alice").await;
    let (kept, gone) = (session("KEPT"), session("GONE"));
    store.login(&alice, kept.clone()).await.unwrap();
    store.login(&alice, gone.clone()).await.unwrap();
    store.log_in(&alice, "GONE2").await;
    let deleted = store.set_password(&alice, "new".to_owned(), true, Some(&kept.device_id)).await.unwrap().unwrap();
    assert_same(deleted, ["GONE".into(), "GONE2".into()]);
    assert!(store.session(&gone.access).await.unwrap().is_none());
    assert!(store.session(&kept.access).await.unwrap().is_some());
    assert_eq!(store.account(&alice).await.unwrap().unwrap().password_hash.as_deref(), Some("new"));
    let deleted = store.set_password(&alice, "newer".to_owned(), true, None).await.unwrap().unwrap();
    assert_eq!(deleted, ["KEPT"], "without a device to keep, all go");
    assert!(store.devices(&alice).await.unwrap().is_empty());
}

/// A change of password may leave the devices alone (DEV-17).
pub async fn a_new_password_may_leave_devices_alone(store: Store) {
    let (alice, device) = store.user_with_device("alice").await;
    store.upload_one_time(&device, 0..2).await;
    assert_eq!(store.set_password(&alice, "new".to_owned(), false, None).await.unwrap(), Some(Vec::new()));
    assert_eq!(store.devices(&alice).await.unwrap().len(), 1);
    assert_eq!(store.count(&device).await, 2);
}

/// Neither an unknown nor a deactivated account gets a password.
pub async fn only_active_accounts_get_a_password(store: Store) {
    let nobody = user_id("nobody");
    assert_eq!(store.set_password(&nobody, "new".to_owned(), true, None).await.unwrap(), None);
    assert_eq!(store.account(&nobody).await.unwrap(), None);
    let alice = store.user("alice").await;
    assert!(store.deactivate_account(&alice, false).await.unwrap());
    assert_eq!(store.set_password(&alice, "new".to_owned(), true, None).await.unwrap(), None);
    assert_eq!(store.account(&alice).await.unwrap().unwrap().password_hash, None);
}

/// Deactivation takes devices with all that is theirs, pushers and profile, and tells those who share rooms (DEV-18);
/// the name stays taken.
pub async fn deactivation_takes_everything_but_the_name(store: Store) {
    let alice = store.user("alice").await;
    let login = session("DEVICE");
    store.login(&alice, login.clone()).await.unwrap();
    let device = store.log_in(&alice, "DEVICE").await;
    store.upload_identity(&device, "1").await;
    store.upload_one_time(&device, 0..2).await;
    store.upload_fallback(&device, 1).await;
    store.send_to_device(None, vec![to_device(&device, 1)]).await.unwrap();
    store.set_profile_field(&alice, "displayname", Some(raw(json!("Alice")))).await.unwrap();
    store.set_account_data(&alice, None, "org.example", raw(json!({ "a": 1 }))).await.unwrap();
    let pusher = Pusher {
        app_id: "app".to_owned(),
        pushkey: "key".to_owned(),
        device: device.clone(),
        data: raw(json!({ "kind": "http" })),
    };
    store.set_pusher(pusher, false).await.unwrap();

    let from = store.position().await;
    assert!(store.deactivate_account(&alice, false).await.unwrap());
    assert_eq!(store.lists_changed_since(from).await, [alice.clone()]);
    let stored = store.account(&alice).await.unwrap().unwrap();
    assert!(stored.deactivated);
    assert_eq!(stored.password_hash, None);
    assert!(store.devices(&alice).await.unwrap().is_empty());
    assert!(store.session(&login.access).await.unwrap().is_none());
    assert_eq!(store.claim_name(&device).await, None);
    assert!(store.keys_of(&alice, None).await.devices.is_empty());
    assert!(store.pushers(&alice).await.unwrap().is_empty());
    assert!(store.profile(&alice).await.unwrap().unwrap_or_default().is_empty());
    let kept = store.account_data(&alice, None, "org.example").await.unwrap();
    assert_eq!(kept, Some(raw(json!({ "a": 1 }))), "without `erase`, account data stays");

    assert_eq!(store.login(&alice, session("NEW")).await.unwrap(), LoginOutcome::NoAccount);
    assert!(!store.create_account(account(&alice), None).await.unwrap(), "the name stays taken");
    assert!(!store.deactivate_account(&alice, false).await.unwrap(), "there is no such active account");
    assert!(!store.deactivate_account(&user_id("nobody"), false).await.unwrap());
    assert!(store.delete_devices(&alice, DeviceSelection::All).await.unwrap().is_empty());
}

/// Deactivation takes cross-signing keys with the signatures on them, and backups. Keys of a user without a device that
/// has keys make a change of the device list, too (DEV-18).
pub async fn deactivation_takes_cross_signing_keys_and_backups(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    let (ours, theirs) = (identity(&alice, 1), identity(&bob, 2));
    store.put_identity(&alice, &ours).await;
    store.put_identity(&bob, &theirs).await;
    let by_bob = NewSignature {
        target: SignatureTarget::MasterKey(alice.clone()),
        verified_against: ours.keys.master.clone().unwrap(),
        signer: bob.clone(),
        key_id: format!("ed25519:{}", theirs.public[2]),
        signature: "by bob".to_owned(),
    };
    assert_eq!(store.add_signatures(vec![by_bob]).await.unwrap(), [true]);
    let mut versions = Vec::new();
    for user in [&alice, &bob] {
        let version = store.create_backup(user, "m.algorithm".to_owned(), raw(json!({}))).await.unwrap();
        let data = KeyBackupData {
            first_message_index: 0,
            forwarded_count: 0,
            is_verified: true,
            session_data: raw(json!({})),
        };
        let key = BackupKey { room_id: room_id("room"), session_id: "s".to_owned(), data };
        store.put_backup_keys(user, version, vec![key]).await.unwrap();
        versions.push(version);
    }

    let from = store.position().await;
    assert!(store.deactivate_account(&alice, false).await.unwrap());
    assert_eq!(store.lists_changed_since(from).await, [alice.clone()]);
    assert_eq!(store.cross_signing_keys(&alice).await.unwrap(), CrossSigningKeys::default());
    assert!(store.keys_of(&alice, Some(&bob)).await.asker_signatures.is_empty());
    assert_eq!(store.backup(&alice, None).await.unwrap(), None);
    let all = store.backup_keys(&alice, versions[0], BackupSelection::All).await.unwrap();
    assert!(all.is_none());
    assert_same_keys(&store.cross_signing_keys(&bob).await.unwrap(), &theirs.keys);
    let kept = store.backup_keys(&bob, versions[1], BackupSelection::All).await.unwrap();
    assert_eq!(kept.unwrap().len(), 1);
}

/// With `erase`, account data goes too, of rooms also; that of others stays (AD-8).
pub async fn deactivation_erases_account_data_if_asked(store: Store) {
    let (alice, bob) = (store.user("alice").await, store.user("bob").await);
    let room = room_id("room");
    for user in [&alice, &bob] {
        store.set_account_data(user, None, "org.example", raw(json!({}))).await.unwrap();
        store.set_account_data(user, Some(&room), "m.tag", raw(json!({}))).await.unwrap();
    }
    assert!(store.deactivate_account(&alice, true).await.unwrap());
    assert_eq!(store.account_data(&alice, None, "org.example").await.unwrap(), None);
    assert_eq!(store.account_data(&alice, Some(&room), "m.tag").await.unwrap(), None);
    assert!(store.account_data(&bob, None, "org.example").await.unwrap().is_some());
    assert!(store.account_data(&bob, Some(&room), "m.tag").await.unwrap().is_some());
}

/// Each flag is set by itself and seen by sessions at once (GEN-15, GEN-16); keys and tokens stay.
pub async fn standing_is_set_flag_by_flag(store: Store) {
    let alice = store.user("alice").await;
    let login = session("DEVICE");
    store.login(&alice, login.clone()).await.unwrap();
    let set = |change| store.set_standing(&alice, change);
    assert!(set(StandingChange { locked: Some(true), ..Default::default() }).await.unwrap());
    assert!(set(StandingChange { suspended: Some(true), ..Default::default() }).await.unwrap());
    assert!(set(StandingChange { admin: Some(true), ..Default::default() }).await.unwrap());
    assert!(set(StandingChange { locked: Some(false), ..Default::default() }).await.unwrap());
    let stored = store.account(&alice).await.unwrap().unwrap();
    assert!(!stored.locked && stored.suspended && stored.admin);
    let found = store.session(&login.access).await.unwrap().unwrap();
    assert!(!found.locked && found.suspended && found.admin && !found.guest);
    assert!(!store.set_standing(&user_id("nobody"), StandingChange::default()).await.unwrap());
}

/// Users are found by a part of the id or of the display name, in any case, never deactivated ones, in a stable order.
pub async fn users_are_found_by_id_and_display_name(store: Store) {
    let carol = store.user("carol").await;
    let caroline = store.user("caroline").await;
    let bob = store.user("bob").await;
    let gone = store.user("carolgone").await;
    store.user("dave").await;
    store.set_profile_field(&bob, "displayname", Some(raw(json!("Bob CAROLus")))).await.unwrap();
    store.deactivate_account(&gone, false).await.unwrap();
    let found = store.search_users("cArOl", 10).await.unwrap();
    assert_same(found.clone(), [carol, caroline, bob]);
    assert_eq!(store.search_users("carol", 2).await.unwrap(), found[..2]);
    assert!(store.search_users("zzz", 10).await.unwrap().is_empty());
}

/// Accounts are there after a restart.
pub async fn accounts_survive_a_restart(store: Store) {
    let alice = store.user("alice").await;
    store.set_standing(&alice, StandingChange { locked: Some(true), ..Default::default() }).await.unwrap();
    let before = store.account(&alice).await.unwrap();
    let store = store.reopen().await;
    assert_eq!(store.account(&alice).await.unwrap(), before);
    assert!(!store.create_account(account(&alice), None).await.unwrap());
}
