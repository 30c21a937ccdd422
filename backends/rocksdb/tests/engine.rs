//! What is special to this engine: its directory, restarts and crashes. The rules all engines share are in the
//! conformance suite.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{collections::BTreeSet, fs, path::Path, sync::Arc, time::Duration};

use olmstead_domain::{
    json::RawJson,
    position::{Cursor, Position},
};
use olmstead_rocksdb::{OpenError, Options, RocksStore};
use olmstead_storage::{
    Accounts as _, Changes as _, Devices as _, Keys as _, ToDevice as _,
    accounts::Account,
    changes::{ChangeKey, Changed},
    devices::{DeviceRef, DeviceSelection, LoginOutcome, NewSession},
    keys::{ClaimWant, KeysUpload, UploadOutcome},
    to_device::{OutgoingMessage, Recipient},
};
use ruma::OwnedUserId;
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(60);

fn open(path: &Path) -> Arc<RocksStore> {
    RocksStore::open(path, Options::default()).unwrap()
}

/// Opens a copy of the files as they are now: what a process finds that starts after this one was killed.
fn after_a_crash(of: &TempDir) -> (TempDir, Arc<RocksStore>) {
    let copy = TempDir::new().unwrap();
    for entry in fs::read_dir(of.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "LOCK" {
            fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    let store = RocksStore::open(copy.path(), Options { tell_copies: false, ..Options::default() }).unwrap();
    (copy, store)
}

fn user(name: &str) -> OwnedUserId {
    format!("@{name}:example.org").try_into().unwrap()
}

fn account(name: &str) -> Account {
    Account::new(user(name), None, 0)
}

fn session(device: &str, token: u8) -> NewSession {
    NewSession {
        device_id: device.into(),
        initial_display_name: None,
        access: [token; 32],
        access_expires_at: None,
        refresh: None,
        now: 0,
        most_devices: usize::MAX,
    }
}

async fn device(store: &RocksStore, name: &str, device: &str, token: u8) -> DeviceRef {
    store.create_account(account(name), None).await.unwrap();
    match store.login(&user(name), session(device, token)).await.unwrap() {
        LoginOutcome::LoggedIn { device, .. } => device,
        other => panic!("{other:?}"),
    }
}

fn keys(range: std::ops::Range<usize>) -> KeysUpload {
    KeysUpload {
        one_time_keys: range
            .map(|n| (format!("signed_curve25519:{n:06}"), RawJson::from_text(format!(r#""key {n}""#)).unwrap()))
            .collect(),
        pool_limit: 1_000_000,
        claimed_memory: 1000,
        ..KeysUpload::default()
    }
}

fn want(device: &DeviceRef) -> ClaimWant {
    ClaimWant {
        user_id: device.user_id.clone(),
        device_id: device.device_id.clone(),
        algorithm: "signed_curve25519".to_owned(),
        spares: false,
    }
}

fn count(outcome: &UploadOutcome) -> u64 {
    match outcome {
        UploadOutcome::Stored { counts, .. } => counts.one_time_keys.get("signed_curve25519").copied().unwrap_or(0),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_claims_give_each_key_once_in_order_and_a_restart_gives_none_again() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let alice = device(&store, "alice", "A", 1).await;
    assert_eq!(count(&store.upload_keys(&alice, keys(0..300)).await.unwrap()), 300);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..290 {
        let (store, want) = (Arc::clone(&store), want(&alice));
        tasks.spawn(async move { store.claim_keys(&[want]).await.unwrap() });
    }
    let claimed = tokio::time::timeout(DEADLINE, tasks.join_all()).await.unwrap();
    let names: BTreeSet<String> = claimed.into_iter().flatten().map(|key| key.key_name).collect();
    assert_eq!(names.len(), 290);
    assert_eq!(names.last().unwrap(), "signed_curve25519:000289");

    let (_copy, crashed) = after_a_crash(&dir);
    assert_eq!(crashed.key_counts(&alice).await.unwrap().one_time_keys["signed_curve25519"], 10);
    // A late retry of the upload brings no claimed key back (OTK-3).
    assert_eq!(count(&crashed.upload_keys(&alice, keys(0..300)).await.unwrap()), 10);
    let next = crashed.claim_keys(&[want(&alice), want(&alice)]).await.unwrap();
    let next: Vec<&str> = next.iter().map(|key| key.key_name.as_str()).collect();
    assert_eq!(next, ["signed_curve25519:000290", "signed_curve25519:000291"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_do_not_slow_down_as_claimed_keys_pile_up() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let alice = device(&store, "alice", "A", 1).await;
    store.upload_keys(&alice, keys(0..12_000)).await.unwrap();
    let claims = async {
        for first in (0..12_000).step_by(100) {
            let wants: Vec<ClaimWant> = (0..100).map(|_| want(&alice)).collect();
            let claimed = store.claim_keys(&wants).await.unwrap();
            assert_eq!(claimed[0].key_name, format!("signed_curve25519:{first:06}"));
            assert_eq!(claimed.len(), 100);
        }
    };
    tokio::time::timeout(DEADLINE, claims).await.unwrap();
    assert!(store.claim_keys(&[want(&alice)]).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_a_crash_and_positions_are_never_given_twice() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let alice = device(&store, "alice", "A", 1).await;
    let before = store.horizon().await.unwrap();
    for n in 0..20 {
        let event = RawJson::from_text(format!(r#"{{"n":{n}}}"#)).unwrap();
        let message = OutgoingMessage { recipient: Recipient::AllDevices(user("alice")), event };
        assert!(store.send_to_device(None, vec![message]).await.unwrap());
    }
    let horizon = store.horizon().await.unwrap();
    let changed = store.changed(before.position, horizon.position).await.unwrap();
    assert_eq!(changed, Changed::Keys(vec![ChangeKey::Device(user("alice"), "A".into()); 20]));

    let (_copy, crashed) = after_a_crash(&dir);
    let page = crashed.inbox(&alice, Cursor::START, Position::END, 100).await.unwrap();
    let texts: Vec<&str> = page.messages.iter().map(|(_, event)| event.get()).collect();
    assert_eq!(texts, (0..20).map(|n| format!(r#"{{"n":{n}}}"#)).collect::<Vec<_>>());
    assert!(crashed.horizon().await.unwrap().position >= horizon.position);
    assert!(crashed.session(&[1; 32]).await.unwrap().is_some());
    let bob = device(&crashed, "bob", "B", 2).await;
    assert!(bob.generation >= horizon.position.0);
    assert_eq!(crashed.changed(before.position, horizon.position).await.unwrap(), Changed::Everything);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_synced_log_a_crash_loses_answers() {
    let dir = TempDir::new().unwrap();
    let store = RocksStore::open(dir.path(), Options { wal_sync: false, ..Options::default() }).unwrap();
    store.create_account(account("alice"), None).await.unwrap();
    let (_copy, crashed) = after_a_crash(&dir);
    assert_eq!(crashed.account(&user("alice")).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_horizon_never_passes_a_commit_that_is_to_come() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let alice = device(&store, "alice", "A", 1).await;
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let store = Arc::clone(&store);
        senders.spawn(async move {
            for _ in 0..25 {
                let event = RawJson::from_text("{}".to_owned()).unwrap();
                let message = OutgoingMessage { recipient: Recipient::AllDevices(user("alice")), event };
                store.send_to_device(None, vec![message]).await.unwrap();
            }
        });
    }
    let mut read = 0;
    let mut from = Cursor::START;
    let mut hint = store.hint();
    let reading = async {
        while read < 400 {
            let to = store.horizon().await.unwrap().position;
            let page = store.inbox(&alice, from, to, 1000).await.unwrap();
            read += page.messages.len();
            store.acknowledge(&alice, Cursor::at(to)).await.unwrap();
            from = Cursor::at(to);
            if page.messages.is_empty() && read < 400 && store.horizon().await.unwrap().position == to {
                hint.changed().await.unwrap();
            }
        }
    };
    tokio::time::timeout(DEADLINE, reading).await.unwrap();
    senders.join_all().await;
    assert_eq!(read, 400);
    assert!(store.inbox(&alice, Cursor::START, Position::END, 10).await.unwrap().messages.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_made_again_starts_empty() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let old = device(&store, "alice", "A", 1).await;
    store.upload_keys(&old, keys(0..400)).await.unwrap();
    assert_eq!(store.delete_devices(&user("alice"), DeviceSelection::All).await.unwrap(), ["A"]);
    assert_eq!(store.upload_keys(&old, keys(0..5)).await.unwrap(), UploadOutcome::DeviceGone);
    let new = device(&store, "alice", "A", 2).await;
    assert_ne!(old.generation, new.generation);
    assert_eq!(store.session(&[1; 32]).await.unwrap(), None);
    assert!(store.claim_keys(&[want(&new)]).await.unwrap().is_empty());
    assert_eq!(count(&store.upload_keys(&new, keys(0..5)).await.unwrap()), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_refresh_tokens_live_until_a_new_token_is_used() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    store.create_account(account("alice"), None).await.unwrap();
    let first = NewSession { refresh: Some([10; 32]), ..session("A", 1) };
    store.login(&user("alice"), first).await.unwrap();
    assert!(store.refresh_session(&[10; 32], [2; 32], [20; 32], None).await.unwrap().is_some());
    // The answer was lost; the client asks again (AUTH-5).
    assert!(store.refresh_session(&[10; 32], [3; 32], [30; 32], None).await.unwrap().is_some());
    let session = store.session(&[3; 32]).await.unwrap().unwrap();
    assert!(session.retires_previous);
    assert!(store.session(&[1; 32]).await.unwrap().is_some());
    store.retire_previous_tokens(&[3; 32]).await.unwrap();
    assert!(!store.session(&[3; 32]).await.unwrap().unwrap().retires_previous);
    for dead in [1, 2] {
        assert_eq!(store.session(&[dead; 32]).await.unwrap(), None);
    }
    for spent in [10, 20] {
        assert_eq!(store.refresh_session(&[spent; 32], [9; 32], [90; 32], None).await.unwrap(), None);
    }
    // The first use of a refresh token ends the tokens before it just as well.
    assert!(store.refresh_session(&[30; 32], [4; 32], [40; 32], None).await.unwrap().is_some());
    assert!(store.refresh_session(&[40; 32], [5; 32], [50; 32], None).await.unwrap().is_some());
    assert_eq!(store.session(&[3; 32]).await.unwrap(), None);
    assert!(store.session(&[4; 32]).await.unwrap().is_some());
    // A login on the device ends all of them (DEV-15).
    store.login(&user("alice"), self::session("A", 6)).await.unwrap();
    assert_eq!(store.session(&[5; 32]).await.unwrap(), None);
    assert_eq!(store.refresh_session(&[50; 32], [7; 32], [70; 32], None).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_opened_once_and_by_versions_that_know_it() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    store.create_account(account("alice"), None).await.unwrap();
    let error = RocksStore::open(dir.path(), Options::default()).err().unwrap();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    drop(store);
    let store = open(dir.path());
    assert!(store.account(&user("alice")).await.unwrap().is_some());
    drop(store);

    let options = rocksdb::Options::default();
    let families = rocksdb::DB::list_cf(&options, dir.path()).unwrap();
    let db = rocksdb::DB::open_cf(&options, dir.path(), families).unwrap();
    db.put(b"\x01format\x00\x01", 99_u64.to_be_bytes()).unwrap();
    drop(db);
    let error = RocksStore::open(dir.path(), Options::default()).err().unwrap();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_no_directory() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = RocksStore::open(&file, Options::default()).err().unwrap();
    assert!(matches!(error, OpenError::Directory { .. }), "{error}");
}
