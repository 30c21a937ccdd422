//! What is special to this engine: lost connections, crashes of the server, restored dumps, schemas of other versions.
//! The rules all engines share are in the conformance suite.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod connections;
mod contention;
mod damage;
mod network;
mod plans;
mod proxy;
mod restored;
mod sessions;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use olmstead_domain::{
    json::RawJson,
    position::{Cursor, Position},
};
use olmstead_postgres::{OpenError, Options, PostgresStore};
use olmstead_postgres_cluster::Database;
use olmstead_storage::{
    AccountData as _, Accounts as _, Changes as _, Devices as _, Keys as _, Storage as _, StorageError, ToDevice as _,
    accounts::Account,
    devices::{DeviceRef, LoginOutcome, NewSession},
    keys::{ClaimWant, KeysUpload},
    to_device::{OutgoingMessage, Recipient, TransactionKey},
};
use ruma::{OwnedUserId, user_id};
use sqlx::{Connection as _, Executor as _, PgConnection};

fn database() -> Database {
    let server = std::env::var("OLMSTEAD_TEST_POSTGRES").expect("OLMSTEAD_TEST_POSTGRES is set by `cargo xtask test`");
    Database::create(&server, "engine").unwrap()
}

/// Runs a statement beside the store.
async fn run(database: &Database, statement: &'static str) {
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    connection.execute(statement).await.unwrap();
}

async fn open(database: &Database) -> Arc<PostgresStore> {
    PostgresStore::open(database.url(), Options::default()).await.unwrap()
}

fn alice() -> OwnedUserId {
    user_id!("@alice:example.org").to_owned()
}

async fn device(store: &PostgresStore, device_id: &str) -> DeviceRef {
    let account = Account::new(alice(), None, 0);
    store.create_account(account, None).await.unwrap();
    let session = NewSession {
        device_id: device_id.into(),
        initial_display_name: Some(format!("name of {device_id}")),
        access: [1; 32],
        access_expires_at: None,
        refresh: None,
        now: 0,
        most_devices: usize::MAX,
    };
    match store.login(&alice(), session).await.unwrap() {
        LoginOutcome::LoggedIn { device, .. } => device,
        other => panic!("{other:?}"),
    }
}

fn json(text: &str) -> RawJson {
    RawJson::from_text(text.to_owned()).unwrap()
}

fn message(device: &DeviceRef, text: &str) -> OutgoingMessage {
    let recipient = Recipient::Device(device.user_id.clone(), device.device_id.clone());
    OutgoingMessage { recipient, event: json(&format!("\"{text}\"")) }
}

fn one_time_keys(count: u64) -> KeysUpload {
    KeysUpload {
        one_time_keys: (0..count).map(|n| (format!("signed_curve25519:{n}"), json(&format!("\"key {n}\"")))).collect(),
        fallback_keys: vec![("signed_curve25519:f".to_owned(), json("\"fallback\""))],
        pool_limit: 1_000,
        claimed_memory: 1_000,
        ..KeysUpload::default()
    }
}

async fn position(store: &PostgresStore) -> Position {
    store.horizon().await.unwrap().position
}

/// Every connection is cut again and again, also in the middle of commits: each command is done exactly once all the
/// same, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn commands_are_done_once_though_connections_are_cut() {
    const SENDERS: usize = 6;
    const EACH: usize = 40;
    let database = database();
    let store = open(&database).await;
    let device = device(&store, "DEVICE").await;
    let sent = Arc::new(AtomicUsize::new(0));
    let mut senders = Vec::new();
    for sender in 0..SENDERS {
        let (store, device, sent) = (Arc::clone(&store), device.clone(), Arc::clone(&sent));
        senders.push(tokio::spawn(async move {
            for number in 0..EACH {
                let messages = vec![message(&device, &format!("{sender} {number}"))];
                assert!(store.send_to_device(None, messages).await.unwrap());
                sent.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }
    let mut cuts = 0;
    let mut ticks = tokio::time::interval(Duration::from_millis(15));
    while sent.load(Ordering::SeqCst) < SENDERS * EACH {
        ticks.tick().await;
        cuts += 1;
        run(
            &database,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await;
        assert!(cuts < 20_000, "the senders are done at some time");
        if senders.iter().any(|sender| sender.is_finished() && sent.load(Ordering::SeqCst) < EACH) {
            break;
        }
    }
    for sender in senders {
        sender.await.unwrap();
    }
    let page = store.inbox(&device, Cursor::START, position(&store).await, 10_000).await.unwrap();
    let mut numbers: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (_, event) in page.messages {
        let text: String = event.read().unwrap();
        let (sender, number) = text.split_once(' ').unwrap();
        numbers.entry(sender.to_owned()).or_default().push(number.parse().unwrap());
    }
    assert_eq!(numbers.len(), SENDERS);
    for numbers in numbers.values() {
        assert!(numbers.iter().copied().eq(0..EACH), "each once and in order: {numbers:?}");
    }
}

/// A recovery of the server empties what is not logged. Positions go on above all that may have been given, and tokens
/// from before stay good.
#[tokio::test(flavor = "multi_thread")]
async fn positions_jump_when_the_server_recovered_from_a_crash() {
    let database = database();
    let (one, two) = (open(&database).await, open(&database).await);
    let device = device(&one, "DEVICE").await;
    let before = one.horizon().await.unwrap();
    run(&database, "DELETE FROM running").await;
    assert!(one.send_to_device(None, vec![message(&device, "after")]).await.unwrap());
    let after = two.horizon().await.unwrap();
    assert!(after.position.0 >= before.position.0 + (1 << 20), "no position is given twice");
    assert_eq!(after.epoch, before.epoch, "nothing that was answered is lost");
    let page = two.inbox(&device, Cursor::at(before.position), after.position, 10).await.unwrap();
    assert_eq!(page.messages.len(), 1);
    run(&database, "DELETE FROM running").await;
    assert!(two.horizon().await.unwrap().position > after.position);
}

/// A dump that was restored into another cluster may be old: one-time keys may have been handed out since.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_dump_is_a_new_epoch_without_one_time_keys() {
    let database = database();
    let store = open(&database).await;
    let device = device(&store, "DEVICE").await;
    store.upload_keys(&device, one_time_keys(20)).await.unwrap();
    assert!(store.send_to_device(None, vec![message(&device, "kept")]).await.unwrap());
    let before = store.horizon().await.unwrap();
    store.close().await.unwrap();
    // Positions of the old cluster were far ahead of where the ids of this one are.
    run(&database, "UPDATE store SET cluster = 'another/1', reached = 1000000000000").await;

    let store = open(&database).await;
    let after = store.horizon().await.unwrap();
    assert!(after.epoch > before.epoch);
    assert!(after.position.0 > 1_000_000_000_000, "positions only grow");
    assert_eq!(store.key_counts(&device).await.unwrap().one_time_keys.values().sum::<u64>(), 0);
    let want = ClaimWant {
        user_id: alice(),
        device_id: device.device_id.clone(),
        algorithm: "signed_curve25519".to_owned(),
        spares: false,
    };
    let claimed = store.claim_keys(std::slice::from_ref(&want)).await.unwrap();
    assert!(claimed.iter().all(|key| key.fallback) && claimed.len() == 1, "the fallback key is kept");
    let page = store.inbox(&device, Cursor::START, position(&store).await, 10).await.unwrap();
    assert_eq!(page.messages.len(), 1, "messages are kept");
    let again = open(&database).await;
    assert_eq!(again.horizon().await.unwrap().epoch, after.epoch, "it is restored once");
}

/// One schema ahead is what nodes meet during an upgrade; further ahead, or declared unfit, is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_not_known_is_refused() {
    let database = database();
    open(&database).await.close().await.unwrap();
    run(&database, "UPDATE store SET schema_version = schema_version + 1").await;
    let beside = open(&database).await;
    device(&beside, "DEVICE").await;
    run(&database, "UPDATE store SET schema_version = schema_version + 1").await;
    let refused = PostgresStore::open(database.url(), Options::default()).await;
    assert!(matches!(refused, Err(OpenError::Newer { .. })), "two schemas ahead");
    run(&database, "UPDATE store SET schema_version = schema_version - 1, oldest_node = schema_version - 1").await;
    let refused = PostgresStore::open(database.url(), Options::default()).await;
    assert!(matches!(refused, Err(OpenError::Newer { .. })), "not fit for this version");
}

/// Of nodes that start at the same time on an empty database, one makes the schema.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_start_together_on_an_empty_database() {
    let database = database();
    let starting = (0..6).map(|_| {
        let url = database.url().to_owned();
        tokio::spawn(async move { PostgresStore::open(&url, Options::default()).await.unwrap() })
    });
    for node in starting.collect::<Vec<_>>() {
        node.await.unwrap().ping().await.unwrap();
    }
}

/// PostgreSQL's texts cannot hold U+0000; what clients choose can.
#[tokio::test(flavor = "multi_thread")]
async fn texts_with_odd_characters_come_back() {
    let database = database();
    let store = open(&database).await;
    let odd = "a\0b\u{1}c\u{1}\u{1}\u{2}\0";
    let device = device(&store, odd).await;
    assert_eq!(device.device_id.as_str(), odd);
    let known = store.devices(&alice()).await.unwrap();
    assert_eq!(known[0].id, device);
    assert_eq!(known[0].display_name.as_deref(), Some(format!("name of {odd}").as_str()));
    store.set_account_data(&alice(), None, odd, json(r#"{"a":"\u0000"}"#)).await.unwrap();
    assert_eq!(store.account_data(&alice(), None, odd).await.unwrap().unwrap().get(), r#"{"a":"\u0000"}"#);
    assert!(store.account_data(&alice(), None, "a").await.unwrap().is_none());
    let transaction =
        || Some(TransactionKey { device: device.clone(), scope: odd.to_owned(), transaction_id: odd.to_owned() });
    assert!(store.send_to_device(transaction(), vec![message(&device, "x")]).await.unwrap());
    assert!(!store.send_to_device(transaction(), vec![message(&device, "x")]).await.unwrap());
    let upload = KeysUpload {
        one_time_keys: vec![(format!("{odd}:{odd}"), json("\"key\""))],
        pool_limit: 10,
        claimed_memory: 10,
        ..KeysUpload::default()
    };
    store.upload_keys(&device, upload).await.unwrap();
    let want =
        ClaimWant { user_id: alice(), device_id: device.device_id.clone(), algorithm: odd.to_owned(), spares: false };
    let claimed = store.claim_keys(&[want]).await.unwrap();
    assert_eq!(claimed[0].key_name, format!("{odd}:{odd}"));
}

/// What the database cannot hold is refused for good, not put off.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_stored_is_not_asked_for_again() {
    let database = database();
    let store = open(&database).await;
    // No key of an index is as long, however it is compressed.
    let long: String = (0..9_000).map(|n: u32| char::from_u32(0x4E00 + n * 7919 % 20_000).unwrap()).collect();
    let too_long = store.set_account_data(&alice(), None, &long, json("{}")).await.unwrap_err();
    let odd = store.server_name("a\0b").await.unwrap_err();
    for refused in [too_long, odd] {
        assert!(!matches!(refused, StorageError::Unavailable { .. } | StorageError::Conflict), "{refused:?}");
    }
}
