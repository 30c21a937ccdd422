//! What a network does that is slow, or gone without a word.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use olmstead_domain::backup::KeyBackupData;
use olmstead_postgres::{Options, PostgresStore};
use olmstead_storage::{
    AccountData as _, Backups as _, Changes as _, Media as _, StorageError, backups::BackupKey, media::MediaInfo,
};
use ruma::room_id;
use tokio::time::timeout;

use crate::{
    alice, database, json, open,
    proxy::Proxy,
    run,
    sessions::{COMMAND_BEGUN, WAITING, hold, session, until},
};

/// Within this time a node notices that a connection is dead, and then some.
const NOTICED: Duration = Duration::from_secs(25);

async fn through(proxy: &Proxy, statement_timeout: Duration) -> Arc<PostgresStore> {
    let options = Options { statement_timeout, ..Options::default() };
    PostgresStore::open(proxy.url(), options).await.unwrap()
}

async fn set(store: &PostgresStore, kind: &str) -> Result<(), StorageError> {
    store.set_account_data(&alice(), None, kind, json("{}")).await
}

/// A node asks for the horizon on one connection. If that is dead it asks on another.
#[tokio::test(flavor = "multi_thread")]
async fn commands_are_answered_though_the_connection_that_follows_is_dead() {
    let database = database();
    let proxy = Proxy::start(database.url());
    let store = through(&proxy, Duration::from_secs(30)).await;
    set(&store, "before").await.unwrap();
    assert!(proxy.freeze("pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon FROM running") > 0);
    timeout(NOTICED, set(&store, "after")).await.expect("it is answered").unwrap();
}

/// So it is with the connection that tells other nodes.
#[tokio::test(flavor = "multi_thread")]
async fn others_are_told_though_the_connection_that_tells_is_dead() {
    let database = database();
    let proxy = Proxy::start(database.url());
    let (store, other) = (through(&proxy, Duration::from_secs(30)).await, open(&database).await);
    news(&store, &other, "before").await;
    assert_eq!(proxy.freeze("pg_notify"), 1);
    news(&store, &other, "after").await;
}

/// And with the one that hears them, on which nothing may be said for long.
#[tokio::test(flavor = "multi_thread")]
async fn others_are_heard_though_the_connection_that_hears_is_dead() {
    let database = database();
    let proxy = Proxy::start(database.url());
    let (store, other) = (through(&proxy, Duration::from_secs(30)).await, open(&database).await);
    assert_eq!(proxy.freeze("LISTEN"), 1);
    // What was said while it was dead is asked for, and what is said later is heard.
    news(&other, &store, "first").await;
    news(&other, &store, "second").await;
}

/// Writes at one node, and waits until another has news.
async fn news(store: &PostgresStore, other: &PostgresStore, kind: &str) {
    let mut hint = other.hint();
    let before = store.horizon().await.unwrap().position;
    set(store, kind).await.unwrap();
    timeout(NOTICED, hint.wait_for(|hint| *hint > before)).await.expect("there is news").unwrap();
}

/// A session that did nothing in its transaction for too long is ended by the server, and nothing was written.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_session_was_ended_is_run_again() {
    let database = database();
    let proxy = Proxy::start(database.url());
    let store = through(&proxy, Duration::from_secs(2)).await;
    let holder = hold(&database, "account data", alice().as_str()).await;
    let command = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { set(&store, "kind").await })
    };
    until(&database, WAITING, 1).await;
    proxy.hold_requests(true);
    drop(holder);
    until(&database, COMMAND_BEGUN, 1).await;
    until(&database, COMMAND_BEGUN, 0).await;
    proxy.hold_requests(false);
    command.await.unwrap().unwrap();
    assert!(store.account_data(&alice(), None, "kind").await.unwrap().is_some());
}

/// A connection that is lost while its commit takes long: what becomes of it is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_still_under_way_is_waited_for() {
    let database = database();
    let proxy = Proxy::start(database.url());
    let store = through(&proxy, Duration::from_secs(30)).await;
    for statement in [
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END $$",
        "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON account_data DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION slow()",
    ] {
        run(&database, statement).await;
    }
    let mut holder = session(&database).await;
    sqlx::query("SELECT pg_advisory_xact_lock(1)").execute(&mut holder).await.unwrap();
    let mut command = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { set(&store, "kind").await })
    };
    until(&database, WAITING, 1).await;
    proxy.cut();
    assert!(timeout(Duration::from_secs(2), &mut command).await.is_err(), "nobody knows yet");
    // It goes on, or the server has seen that its client is gone, and it is run again.
    drop(holder);
    command.await.unwrap().unwrap();
    assert!(store.account_data(&alice(), None, "kind").await.unwrap().is_some());
}

/// What takes long to send holds nobody up: while it is on its way no position is taken.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_on_its_way_holds_nobody_up() {
    const SENT: usize = 3 << 20;
    let database = database();
    let proxy = Proxy::start(database.url());
    let (store, other) = (through(&proxy, Duration::from_secs(30)).await, open(&database).await);
    proxy.end_requests_at(Some(SENT));
    let upload = {
        let store = Arc::clone(&store);
        let info = MediaInfo {
            user_id: alice(),
            content_type: None,
            file_name: None,
            size: 2 * SENT as u64,
            created_at: 0,
            uploaded: true,
            unauthenticated: false,
        };
        tokio::spawn(async move { store.put_media("id", info, Some(Bytes::from(vec![7; 2 * SENT]))).await })
    };
    proxy.passed(SENT).await;
    timeout(Duration::from_secs(5), set(&other, "kind")).await.expect("others go on").unwrap();
    proxy.end_requests_at(None);
    assert!(upload.await.unwrap().unwrap());
    assert_eq!(other.media_content("id").await.unwrap().unwrap(), vec![7; 2 * SENT]);
}

/// So it is with keys for a backup, however many.
#[tokio::test(flavor = "multi_thread")]
async fn keys_on_their_way_to_a_backup_hold_nobody_up() {
    const SENT: usize = 3 << 20;
    const KEYS: usize = 6_000;
    let database = database();
    let proxy = Proxy::start(database.url());
    let (store, other) = (through(&proxy, Duration::from_secs(30)).await, open(&database).await);
    let version = store.create_backup(&alice(), "algorithm".to_owned(), json("{}")).await.unwrap();
    let key = |number: usize| BackupKey {
        room_id: room_id!("!room:example.org").to_owned(),
        session_id: format!("{number}"),
        data: KeyBackupData {
            first_message_index: 0,
            forwarded_count: 0,
            is_verified: true,
            session_data: json(&format!("{{\"ciphertext\":\"{}\"}}", "x".repeat(2 * SENT / KEYS))),
        },
    };
    proxy.end_requests_at(Some(SENT));
    let upload = {
        let (store, keys) = (Arc::clone(&store), (0..KEYS).map(key).collect());
        tokio::spawn(async move { store.put_backup_keys(&alice(), version, keys).await })
    };
    proxy.passed(SENT).await;
    timeout(Duration::from_secs(5), set(&other, "kind")).await.expect("others go on").unwrap();
    proxy.end_requests_at(None);
    upload.await.unwrap().unwrap();
    assert_eq!(other.backup(&alice(), None).await.unwrap().unwrap().count, KEYS as u64);
}
