//! Whatever becomes of a command or a read, no connection is used again inside of a transaction.

use std::{sync::Arc, time::Duration};

use olmstead_domain::{backup::BackupVersion, position::Cursor};
use olmstead_postgres::{Options, PostgresStore};
use olmstead_storage::{
    AccountData as _, Backups as _, Changes as _, StorageError, SyncReads as _, backups::BackupSelection,
    devices::DeviceRef, sync::SyncQuery,
};
use ruma::{OwnedUserId, UserId, user_id};
use sqlx::{Connection as _, PgConnection};
use tokio::{task::JoinHandle, time::timeout};

use crate::{
    Database, alice, database, device, json,
    proxy::Proxy,
    sessions::{LEFT_OPEN, VIEW_BEGUN, WAITING, hold, session, until},
};

/// How many connections the stores of these tests have.
const CONNECTIONS: u32 = 3;

fn bob() -> OwnedUserId {
    user_id!("@bob:example.org").to_owned()
}

async fn open(url: &str, statement_timeout: Duration) -> Arc<PostgresStore> {
    let options = Options { max_connections: CONNECTIONS, statement_timeout, ..Options::default() };
    PostgresStore::open(url, options).await.unwrap()
}

fn set(store: &Arc<PostgresStore>, user_id: &UserId) -> JoinHandle<Result<(), StorageError>> {
    let (store, user_id) = (Arc::clone(store), user_id.to_owned());
    tokio::spawn(async move { store.set_account_data(&user_id, None, "kind", json("{}")).await })
}

async fn give_up<T: std::fmt::Debug>(task: JoinHandle<T>) {
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
}

fn query(device: &DeviceRef) -> SyncQuery {
    SyncQuery { device: device.clone(), since: None, inbox_from: Cursor::START, inbox_limit: 10 }
}

/// Each connection does each kind of thing, and reads what was written a moment ago beside it.
async fn works(database: &Database, store: &Arc<PostgresStore>, device: &DeviceRef) {
    until(database, LEFT_OPEN, 0).await;
    let beside = open(database.url(), Duration::from_secs(30)).await;
    for round in 0..4 {
        let content = json(&format!("{{\"round\":{round}}}"));
        beside.set_account_data(&alice(), None, "round", content.clone()).await.unwrap();
        let workers = (0..CONNECTIONS).map(|number| {
            let (store, device, content) = (Arc::clone(store), device.clone(), content.clone());
            tokio::spawn(async move {
                let before = store.horizon().await.unwrap();
                assert_eq!(store.account_data(&alice(), None, "round").await.unwrap(), Some(content));
                let user_id = UserId::parse(format!("@worker{number}:example.org")).unwrap();
                store.set_account_data(&user_id, None, "k", json("{}")).await.unwrap();
                let facts = store.sync_facts(&query(&device)).await.unwrap().unwrap();
                assert!(facts.horizon.position > before.position, "the command is below the horizon");
            })
        });
        for worker in workers.collect::<Vec<_>>() {
            worker.await.unwrap();
        }
    }
    until(database, LEFT_OPEN, 0).await;
}

/// The lock is granted to a connection that nobody waits for.
#[tokio::test(flavor = "multi_thread")]
async fn who_gives_up_waiting_for_a_lock_leaves_no_transaction() {
    let database = database();
    let store = open(database.url(), Duration::from_secs(30)).await;
    let device = device(&store, "DEVICE").await;
    let holder = hold(&database, "account data", bob().as_str()).await;
    let waiting = set(&store, &bob());
    until(&database, WAITING, 1).await;
    give_up(waiting).await;
    drop(holder);
    until(&database, WAITING, 0).await;
    works(&database, &store, &device).await;
}

/// A view begins in one round trip. Who is gone when the answer comes would leave a view of that moment behind.
#[tokio::test(flavor = "multi_thread")]
async fn who_gives_up_beginning_a_view_leaves_no_view() {
    let database = database();
    let proxy = Proxy::start(database.url());
    let store = open(proxy.url(), Duration::from_secs(30)).await;
    let device = device(&store, "DEVICE").await;
    proxy.hold_answers(true);
    let reading = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.backup_keys(&alice(), BackupVersion(1), BackupSelection::All).await })
    };
    until(&database, VIEW_BEGUN, 1).await;
    give_up(reading).await;
    proxy.hold_answers(false);
    works(&database, &store, &device).await;
}

/// A transaction that failed while it began is over for its connection, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_not_free_in_time_leaves_no_transaction() {
    let database = database();
    let patient = open(database.url(), Duration::from_secs(30)).await;
    let device = device(&patient, "DEVICE").await;
    let options = Options {
        max_connections: CONNECTIONS,
        statement_timeout: Duration::from_secs(2),
        acquire_timeout: Duration::from_secs(1),
        ..Options::default()
    };
    let store = PostgresStore::open(database.url(), options).await.unwrap();
    let holder = hold(&database, "account data", bob().as_str()).await;
    let refused = timeout(Duration::from_secs(60), set(&store, &bob())).await.unwrap().unwrap();
    assert!(matches!(refused, Err(StorageError::Conflict)), "{refused:?}");
    drop(holder);
    set(&store, &bob()).await.unwrap().unwrap();
    works(&database, &store, &device).await;
}

/// The server is not left waiting for a row on behalf of nobody, and the connection is not missed.
#[tokio::test(flavor = "multi_thread")]
async fn who_gives_up_in_a_command_is_not_waited_for() {
    let database = database();
    let store = open(database.url(), Duration::from_secs(30)).await;
    let device = device(&store, "DEVICE").await;
    set(&store, &bob()).await.unwrap().unwrap();
    let mut holder = session(&database).await;
    sqlx::query("SELECT FROM account_data FOR UPDATE").execute(&mut holder).await.unwrap();
    for _ in 0..CONNECTIONS {
        let waiting = set(&store, &bob());
        until(&database, WAITING, 1).await;
        give_up(waiting).await;
        until(&database, WAITING, 0).await;
    }
    drop(holder);
    works(&database, &store, &device).await;
}

/// A server that drops connections while a node starts, as one that is just starting again does, only holds it up.
#[tokio::test]
async fn a_start_outlives_lost_connections() {
    let database = database();
    let url = database.url().to_owned();
    let dropping = tokio::spawn(async move {
        let mut beside = PgConnection::connect(&url).await.unwrap();
        let mut dropped = 0;
        while dropped < 20 {
            let gone: Vec<bool> = sqlx::query_scalar(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name = 'olmstead'",
            )
            .fetch_all(&mut beside)
            .await
            .unwrap();
            dropped += gone.len();
        }
    });
    let store = PostgresStore::open(database.url(), Options::default()).await.unwrap();
    dropping.await.unwrap();
    store.set_account_data(&alice(), None, "kind", json("{}")).await.unwrap();
    assert!(store.account_data(&alice(), None, "kind").await.unwrap().is_some());
}
