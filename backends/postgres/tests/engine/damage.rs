//! Databases of which something is missing or was altered, that take no writes, or that have no connection left.

use std::{sync::Arc, time::Duration};

use olmstead_postgres::{OpenError, Options, PostgresStore};
use olmstead_postgres_cluster::{Cluster, Database};
use olmstead_storage::{Accounts as _, Storage as _, StorageError};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};

use crate::{alice, database, device, open, run};

/// Why a store does not open.
async fn refusal(database: &Database) -> String {
    match PostgresStore::open(database.url(), Options::default()).await {
        Ok(_) => panic!("a damaged store was opened"),
        Err(error) => error.to_string(),
    }
}

/// All that an operator may have dropped or changed is told by name, and opens again when it was undone.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_or_altered_is_named() {
    let database = database();
    let store = open(&database).await;
    device(&store, "DEVICE").await;
    store.close().await.unwrap();
    for (harm, undo, named) in [
        ("ALTER TABLE inbox RENAME TO lost", "ALTER TABLE lost RENAME TO inbox", "column inbox.event text not null"),
        ("ALTER TABLE pool RENAME first TO lost", "ALTER TABLE pool RENAME lost TO first", "column pool.first bigint"),
        (
            "ALTER TABLE account ALTER locked TYPE text",
            "ALTER TABLE account ALTER locked TYPE boolean USING locked::boolean",
            "column account.locked boolean not null",
        ),
        (
            "DROP INDEX change_log_position",
            "CREATE INDEX change_log_position ON change_log (position)",
            "index of change_log",
        ),
        (
            "ALTER TABLE one_time_key DROP CONSTRAINT one_time_key_pkey",
            "ALTER TABLE one_time_key ADD PRIMARY KEY (generation, algorithm, number)",
            "index of one_time_key unique",
        ),
        (
            "ALTER FUNCTION position_now RENAME TO lost",
            "ALTER FUNCTION lost RENAME TO position_now",
            "function position_now",
        ),
        (
            "ALTER SEQUENCE device_generation RENAME TO lost",
            "ALTER SEQUENCE lost RENAME TO device_generation",
            "sequence device_generation",
        ),
    ] {
        run(&database, harm).await;
        let text = refusal(&database).await;
        assert!(text.contains(named) && text.contains("olmstead restore"), "{harm}: {text}");
        run(&database, undo).await;
        open(&database).await.close().await.unwrap();
    }
    // What the operator added is nobody's business.
    run(&database, "CREATE INDEX mine ON account (created_at)").await;
    run(&database, "CREATE TABLE mine_too (one integer)").await;
    assert!(open(&database).await.account(&alice()).await.unwrap().is_some());
    run(&database, "DELETE FROM store").await;
    assert!(refusal(&database).await.contains("store"));
}

/// A table that is gone while the server runs is damage, and nothing to wait for.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_dropped_meanwhile_is_damage() {
    let database = database();
    let store = open(&database).await;
    run(&database, "DROP TABLE account").await;
    let found = store.account(&alice()).await;
    assert!(matches!(found, Err(StorageError::Corrupt { .. })), "{found:?}");
}

/// A database that takes no writes is told so when a store is opened, and waited for when it is open.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_takes_no_writes_is_named() {
    let database = database();
    let options = Options { acquire_timeout: Duration::from_millis(300), ..Options::default() };
    let store = PostgresStore::open(database.url(), options).await.unwrap();
    let mut beside = PgConnection::connect(database.url()).await.unwrap();
    let name: String = beside.fetch_one("SELECT current_database()").await.unwrap().get(0);
    let read_only = async |is: &str| {
        let statement = format!("ALTER DATABASE {name} SET default_transaction_read_only = {is}");
        let mut beside = PgConnection::connect(database.url()).await.unwrap();
        beside.execute("SET default_transaction_read_only = off").await.unwrap();
        beside.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
        // Those of the store come anew.
        database.drop_connections().unwrap();
    };
    read_only("on").await;
    assert!(refusal(&database).await.contains("takes no writes"));
    let refused = store.create_account(olmstead_storage::accounts::Account::new(alice(), None, 0), None).await;
    match refused {
        Err(StorageError::Unavailable { message, .. }) => assert!(message.contains("takes no writes"), "{message}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(store.account(&alice()).await.unwrap(), None, "reads go on");
    read_only("off").await;
    device(&store, "DEVICE").await;
}

/// When other programs hold all connections, commands fail after a bounded time, and go on when there is one.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_connection_left_is_waited_for_and_no_longer() {
    let cluster = Cluster::start(&olmstead_postgres_cluster::Options { max_connections: 12, ..Default::default() });
    let cluster = cluster.unwrap();
    let database = Database::create(&cluster.url("postgres"), "engine").unwrap();
    let options = Options { acquire_timeout: Duration::from_millis(500), max_connections: 4, ..Options::default() };
    let store = PostgresStore::open(database.url(), options.clone()).await.unwrap();
    database.drop_connections().unwrap();
    let mut hogs = Vec::new();
    let refused = loop {
        match PgConnection::connect(database.url()).await {
            Ok(connection) => hogs.push(connection),
            Err(error) => break error,
        }
        assert!(hogs.len() < 20);
    };
    assert!(refused.to_string().contains("too many"), "{refused}");
    let began = std::time::Instant::now();
    let found = store.account(&alice()).await;
    assert!(matches!(found, Err(StorageError::Unavailable { .. })), "{found:?}");
    assert!(store.ping().await.is_err());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    match PostgresStore::open(database.url(), options).await {
        Err(OpenError::Connect(error)) => assert!(error.to_string().contains("too many"), "{error}"),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("there is no connection"),
    }
    for hog in hogs {
        hog.close().await.unwrap();
    }
    let store = Arc::clone(&store);
    device(&store, "DEVICE").await;
    assert!(store.account(&alice()).await.unwrap().is_some());
}

/// A database without a store stays as it is when none is to be made.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_is_no_store_where_none_is_to_be_made() {
    let database = database();
    let never = || Options { create: false, ..Options::default() };
    let refused = PostgresStore::open(database.url(), never()).await.err().unwrap();
    assert!(matches!(refused, OpenError::Missing), "{refused}");
    open(&database).await.close().await.unwrap();
    PostgresStore::open(database.url(), never()).await.unwrap();
}
