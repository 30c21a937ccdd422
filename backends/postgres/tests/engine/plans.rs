//! What statements cost once their plans are generic.

use olmstead_domain::backup::KeyBackupData;
use olmstead_storage::{
    Backups as _, Storage as _,
    backups::{BackupKey, BackupSelection},
};
use ruma::room_id;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};

use crate::{Database, alice, database, json, open, sessions::until};

/// A session tells what it did at its end at the latest.
async fn rows_fetched(database: &Database, table: &str) -> i64 {
    until(
        database,
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'olmstead'",
        0,
    )
    .await;
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let question = format!("SELECT coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relname = '{table}'");
    connection.fetch_one(AssertSqlSafe(question)).await.unwrap().get(0)
}

/// One session of a large backup is read and deleted without a look at the others.
#[tokio::test(flavor = "multi_thread")]
async fn one_key_of_a_large_backup_costs_what_one_key_costs() {
    const KEYS: usize = 2_000;
    let database = database();
    let name = database.url().split(['/', '?']).nth(3).unwrap().to_owned();
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let generic = format!("ALTER DATABASE {name} SET plan_cache_mode = force_generic_plan");
    connection.execute(AssertSqlSafe(generic)).await.unwrap();
    let store = open(&database).await;
    let version = store.create_backup(&alice(), "algorithm".to_owned(), json("{}")).await.unwrap();
    let room =
        |number: usize| if number < 10 { room_id!("!small:example.org") } else { room_id!("!large:example.org") };
    let key = |number: usize| BackupKey {
        room_id: room(number).to_owned(),
        session_id: format!("{number}"),
        data: KeyBackupData { first_message_index: 0, forwarded_count: 0, is_verified: true, session_data: json("{}") },
    };
    store.put_backup_keys(&alice(), version, (0..KEYS).map(key).collect()).await.unwrap();
    connection.execute("VACUUM ANALYZE").await.unwrap();
    store.close().await.unwrap();
    let before = rows_fetched(&database, "backup_key").await;

    let store = open(&database).await;
    for number in 0..10 {
        let session = format!("{}", number + 100);
        let one = BackupSelection::Session(room(100), &session);
        assert_eq!(store.backup_keys(&alice(), version, one).await.unwrap().unwrap().len(), 1);
        let state = store.delete_backup_keys(&alice(), version, one).await.unwrap().unwrap();
        assert_eq!(state.count, (KEYS - number - 1) as u64);
        let few = BackupSelection::Room(room(0));
        assert_eq!(store.backup_keys(&alice(), version, few).await.unwrap().unwrap().len(), 10);
    }
    let few = BackupSelection::Room(room(0));
    assert_eq!(store.delete_backup_keys(&alice(), version, few).await.unwrap().unwrap().count, (KEYS - 20) as u64);
    store.close().await.unwrap();
    let fetched = rows_fetched(&database, "backup_key").await - before;
    assert!(fetched < 1_000, "{fetched} rows were fetched to read and delete a few");
}
