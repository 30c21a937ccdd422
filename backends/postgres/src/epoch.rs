//! What a position is: the id of the transaction, above a base.
//!
//! Ids of transactions are given in order, an id below the oldest running one is never given again, and commits become
//! visible before they stop running; so the oldest running id is a horizon. Two things would break that, and each is
//! met by a new base:
//!
//! - After a **crash** of the server an id may be given again if nothing of it reached the disk, such as that of a
//!   transaction that wrote nothing. A token may be above it. The table `running` is unlogged, so a recovery leaves it
//!   empty and no position can be taken; the next command that finds it so raises the base by more ids than can have
//!   been lost, and fills it.
//! - A **dump restored** into another database meets ids that start elsewhere. The name of cluster and database is
//!   stored; where it does not match, a new epoch begins, above all positions of the old one. One-time keys may have
//!   been handed out since the dump was made: they are dropped, and clients upload new ones. Fallback keys stay.

use olmstead_storage::StorageError;
use sqlx::{PgConnection, Row as _, postgres::PgPool};

use crate::{
    error::{Done, Failure},
    locks::Locks,
    transaction::Transaction,
};

/// More ids than a server can give between two writes of its log.
const LOST_IDS: i64 = 1 << 20;

/// More positions than are used between two notes of how far they reached.
const UNNOTED: i64 = 1 << 32;

/// The cluster and the database, in a word that no other has.
const CLUSTER: &str = "SELECT (SELECT system_identifier FROM pg_control_system())::text || '/' ||
    (SELECT oid FROM pg_database WHERE datname = current_database())::text";

/// Writes the first facts of a new store.
pub(crate) async fn create(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let cluster: String = sqlx::query_scalar(CLUSTER).fetch_one(&mut *connection).await?;
    sqlx::query(
        "INSERT INTO store (schema_version, oldest_node, epoch, base, reached, cluster) VALUES (1, 1, 1, 0, 0, $1)",
    )
    .bind(cluster)
    .execute(&mut *connection)
    .await?;
    sqlx::query("INSERT INTO running (epoch, base) VALUES (1, 0)").execute(&mut *connection).await?;
    sqlx::query("INSERT INTO change_floor (position) VALUES (position_now())").execute(connection).await.map(drop)
}

/// Makes sure that positions can be taken, by a new base where one is needed.
pub(crate) async fn begin(pool: &PgPool) -> Done<()> {
    let mut transaction = Transaction::begin(pool, Locks::new().name("epoch", "").begin()).await?;
    match open(&mut transaction).await {
        Ok(()) => transaction.commit().await,
        Err(failure) => {
            transaction.abandon();
            Err(failure)
        }
    }
}

/// As [`begin`], in a transaction under the lock.
async fn open(transaction: &mut PgConnection) -> Done<()> {
    let cluster: String = sqlx::query_scalar(CLUSTER).fetch_one(&mut *transaction).await?;
    let row = sqlx::query(
        "SELECT s.cluster = $1 AS same, r.base IS NOT NULL AS running, s.epoch, s.base, s.reached,
             pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next
         FROM store s LEFT JOIN running r ON true",
    )
    .bind(&cluster)
    .fetch_one(&mut *transaction)
    .await?;
    let (same, running): (bool, bool) = (row.try_get("same")?, row.try_get("running")?);
    if same && running {
        return Ok(());
    }
    let (epoch, base): (i64, i64) = (row.try_get("epoch")?, row.try_get("base")?);
    let (epoch, base) = if same {
        tracing::warn!("PostgreSQL recovered from a crash: positions go on above all that may have been given");
        (epoch, base.saturating_add(LOST_IDS))
    } else {
        let (reached, next): (i64, i64) = (row.try_get("reached")?, row.try_get("next")?);
        tracing::warn!("the database was restored from a dump: a new epoch begins and one-time keys are dropped");
        let above = base.max(reached).saturating_add(UNNOTED);
        (epoch.saturating_add(1), above.saturating_sub(next).max(base))
    };
    sqlx::query("DELETE FROM running").execute(&mut *transaction).await?;
    sqlx::query("INSERT INTO running (epoch, base) VALUES ($1, $2)")
        .bind(epoch)
        .bind(base)
        .execute(&mut *transaction)
        .await?;
    sqlx::query("UPDATE store SET epoch = $1, base = $2, cluster = $3")
        .bind(epoch)
        .bind(base)
        .bind(&cluster)
        .execute(&mut *transaction)
        .await?;
    if !same {
        drop_one_time_keys(transaction).await?;
    }
    Ok(())
}

/// All one-time keys may be spent: nobody gets one, and every device is told that it has none. What woke whom before is
/// of another time.
async fn drop_one_time_keys(connection: &mut PgConnection) -> Done<()> {
    for statement in [
        "UPDATE pool SET first = next, changed = position_now()",
        "DELETE FROM change_log",
        "UPDATE change_floor SET position = position_now()",
    ] {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Notes how far positions have come, for whoever restores a dump of this database.
pub(crate) async fn note_reached(connection: &mut PgConnection) -> Done<()> {
    let noted =
        sqlx::query("UPDATE store SET reached = greatest(reached, horizon_now()) WHERE horizon_now() IS NOT NULL")
            .execute(connection)
            .await?;
    if noted.rows_affected() == 0 { Err(Failure::NotRunning) } else { Ok(()) }
}

/// A store whose own facts are missing.
pub(crate) fn no_facts() -> Failure {
    StorageError::damaged("the row of the table store is missing").into()
}
