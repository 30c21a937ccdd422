//! What was restored is not taken for what goes on.

use std::sync::Arc;

use olmstead_postgres::{
    PostgresStore,
    backup::{BackupError, dump, restore},
};
use olmstead_storage::{Changes as _, Keys as _, Storage as _, changes::Horizon, devices::DeviceRef};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgConnection, Row as _, postgres::PgConnectOptions};

use crate::{Database, database, device, one_time_keys, open, run};

/// A store with one-time keys, closed, and the horizon it had.
async fn left(database: &Database) -> (DeviceRef, Horizon) {
    let store = open(database).await;
    let device = device(&store, "DEVICE").await;
    store.upload_keys(&device, one_time_keys(20)).await.unwrap();
    let horizon = store.horizon().await.unwrap();
    store.close().await.unwrap();
    (device, horizon)
}

async fn one_time_keys_of(store: &PostgresStore, device: &DeviceRef) -> u64 {
    store.key_counts(device).await.unwrap().one_time_keys.values().sum()
}

/// Opens the store, which has to begin a new epoch, once.
async fn opens_anew(database: &Database, (device, before): (DeviceRef, Horizon)) {
    let store = open(database).await;
    let after = store.horizon().await.unwrap();
    assert!(after.epoch > before.epoch, "a new epoch begins");
    assert!(after.position > before.position, "positions only grow");
    assert_eq!(one_time_keys_of(&store, &device).await, 0, "they may have been handed out");
    assert_eq!(open(database).await.horizon().await.unwrap().epoch, after.epoch, "it is restored once");
}

/// Opens the store, which goes on.
async fn goes_on(database: &Database, (device, before): &(DeviceRef, Horizon)) -> Arc<PostgresStore> {
    let store = open(database).await;
    assert_eq!(store.horizon().await.unwrap().epoch, before.epoch);
    assert_eq!(one_time_keys_of(&store, device).await, 20);
    store
}

/// `pg_restore --clean` into the same database makes its tables anew, `running` with what it had when it was dumped.
#[tokio::test(flavor = "multi_thread")]
async fn a_dump_restored_over_the_store_is_a_new_epoch() {
    let database = database();
    let left = left(&database).await;
    for statement in [
        "CREATE TABLE restored (LIKE store INCLUDING ALL)",
        "INSERT INTO restored SELECT * FROM store",
        "DROP TABLE store",
        "ALTER TABLE restored RENAME TO store",
    ] {
        run(&database, statement).await;
    }
    opens_anew(&database, left).await;
}

/// A base backup that was recovered to a point in time, or a standby that was promoted, is on another timeline. What is
/// not logged is empty there, as after a crash.
#[tokio::test(flavor = "multi_thread")]
async fn another_timeline_is_a_new_epoch() {
    let database = database();
    let left = left(&database).await;
    run(&database, "UPDATE store SET cluster = regexp_replace(cluster, '/[0-9A-F]{8}$', '/0000FFFF')").await;
    run(&database, "DELETE FROM running").await;
    opens_anew(&database, left).await;
}

/// A store of before tables and timeline were part of its name is the same still, and gets its new name.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_name_is_of_the_old_form_goes_on() {
    let database = database();
    let left = left(&database).await;
    let named = async || {
        let mut connection = PgConnection::connect(database.url()).await.unwrap();
        connection.fetch_one("SELECT cluster FROM store").await.unwrap().get::<String, _>(0)
    };
    let name = named().await;
    let old: Vec<_> = name.split('/').take(2).collect();
    run(&database, "UPDATE store SET cluster = regexp_replace(cluster, '^([0-9]+/[0-9]+).*$', '\\1')").await;
    assert_eq!(named().await, old.join("/"));
    goes_on(&database, &left).await.close().await.unwrap();
    assert_eq!(named().await, name);
    assert_eq!(name.split('/').count(), 4);
    goes_on(&database, &left).await;
}

/// PostgreSQL ends the sessions of a node a moment after its process, and who has just stopped it may restore.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_waits_for_sessions_that_end() {
    let database = database();
    left(&database).await;
    let file = std::env::temp_dir().join(format!("{}.dump", database.name()));
    dump(database.url(), &file).await.unwrap();
    let node = database.url().parse::<PgConnectOptions>().unwrap().application_name("olmstead");
    let node = node.connect().await.unwrap();
    let (url, from) = (database.url().to_owned(), file.clone());
    let restoring = tokio::spawn(async move { restore::<BackupError>(&url, &from, "1", |_| Ok(())).await });
    let mut beside = PgConnection::connect(database.url()).await.unwrap();
    let asked = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'olmstead-backup'
                 AND query LIKE 'SELECT count(*) FROM pg_stat_activity%' AND state = 'idle')";
    while !restoring.is_finished() && !beside.fetch_one(asked).await.unwrap().get::<bool, _>(0) {}
    beside.close().await.unwrap();
    node.close().await.unwrap();
    let restored = restoring.await.unwrap();
    std::fs::remove_file(file).unwrap();
    assert!(restored.is_ok_and(|restored| restored.aside.is_some()));
}
