//! What the server says of the sessions of nodes, and a session beside them that holds a lock.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::Database;

/// The sessions of nodes that are in a transaction and do nothing in it.
pub(crate) const LEFT_OPEN: &str = "SELECT FROM pg_stat_activity WHERE datname = current_database()
    AND application_name = 'olmstead' AND state LIKE 'idle in transaction%'";

/// Those of them that just began a view.
pub(crate) const VIEW_BEGUN: &str = "SELECT FROM pg_stat_activity WHERE datname = current_database()
    AND application_name = 'olmstead' AND state LIKE 'idle in transaction%'
    AND query LIKE 'BEGIN ISOLATION LEVEL REPEATABLE READ%'";

/// And those that just began a command under a lock.
pub(crate) const COMMAND_BEGUN: &str = "SELECT FROM pg_stat_activity WHERE datname = current_database()
    AND application_name = 'olmstead' AND state LIKE 'idle in transaction%'
    AND query LIKE 'BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory%'";

/// The sessions of nodes that wait for a lock.
pub(crate) const WAITING: &str = "SELECT FROM pg_stat_activity WHERE datname = current_database()
    AND application_name = 'olmstead' AND state = 'active' AND wait_event_type = 'Lock'";

/// A session of nobody, in a transaction.
pub(crate) async fn session(database: &Database) -> PgConnection {
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    connection.execute("BEGIN").await.unwrap();
    connection
}

/// A session that holds the lock that commands of this kind on this name take.
pub(crate) async fn hold(database: &Database, kind: &str, name: &str) -> PgConnection {
    let mut connection = session(database).await;
    let digest = Sha256::digest(format!("{kind}\0{name}"));
    let number = i64::from_be_bytes(*digest.first_chunk().unwrap());
    connection.execute(AssertSqlSafe(format!("SELECT pg_advisory_xact_lock({number})"))).await.unwrap();
    connection
}

/// Waits until a question has as many rows.
pub(crate) async fn until(database: &Database, question: &'static str, rows: usize) {
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    for _ in 0..1_000 {
        ticks.tick().await;
        if connection.fetch_all(question).await.unwrap().len() == rows {
            return;
        }
    }
    let activity = "SELECT pid, state, wait_event, query FROM pg_stat_activity WHERE datname = current_database()";
    panic!("{rows} rows of {question}; sessions: {:?}", connection.fetch_all(activity).await.unwrap());
}
