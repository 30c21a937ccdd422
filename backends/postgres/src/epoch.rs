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
//! - A **restored** store meets ids that start elsewhere, or are of another history. A name of where the store is, is
//!   stored in it; where it does not match, a new epoch begins, above all positions of the old one. One-time keys may
//!   have been handed out since that copy was made: they are dropped, and clients upload new ones. Fallback keys stay.
//!
//! The name has four parts. The cluster and the database are others when a dump was restored elsewhere. The table is
//! another when a dump was restored over the store. The timeline of the cluster's log is another when a base backup was
//! recovered, or a standby was promoted, which may have been behind. None of them changes by a restart or a crash. What
//! they cannot tell is a copy of the files of a cluster that was put back.

use olmstead_storage::StorageError;
use sqlx::{PgConnection, Row as _};

use crate::{
    connections::Connections,
    error::{Done, Failure},
    locks::Locks,
    transaction::Transaction,
};

/// More ids than a server can give between two writes of its log.
const LOST_IDS: i64 = 1 << 20;

/// More positions than are used between two notes of how far they reached.
const UNNOTED: i64 = 1 << 32;

/// Where the store is, in a word that no other place has.
const CLUSTER: &str = "SELECT (SELECT system_identifier FROM pg_control_system())::text || '/' ||
    (SELECT oid FROM pg_database WHERE datname = current_database())::text || '/' ||
    'store'::regclass::oid::text || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)";

/// Whether a store whose name is `stored` is where it was. Names had the first two parts alone once.
fn is_same(stored: &str, found: &str) -> bool {
    let rest = found.strip_prefix(stored);
    rest.is_some_and(|rest| rest.is_empty() || (rest.starts_with('/') && stored.matches('/').count() == 1))
}

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
pub(crate) async fn begin(connections: &Connections) -> Done<()> {
    let mut transaction = Transaction::begin(connections, Locks::new().name("epoch", "").begin()).await?;
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
        "SELECT s.cluster, r.base IS NOT NULL AS running, s.epoch, s.base, s.reached,
             pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next,
             (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now
         FROM store s LEFT JOIN running r ON true",
    )
    .fetch_one(&mut *transaction)
    .await?;
    let (stored, running): (String, bool) = (row.try_get("cluster")?, row.try_get("running")?);
    let same = is_same(&stored, &cluster);
    if same && running {
        if stored != cluster {
            sqlx::query("UPDATE store SET cluster = $1").bind(&cluster).execute(transaction).await?;
        }
        return Ok(());
    }
    let (epoch, base): (i64, i64) = (row.try_get("epoch")?, row.try_get("base")?);
    let (epoch, base) = if same {
        tracing::warn!("PostgreSQL recovered from a crash: positions go on above all that may have been given");
        (epoch, base.saturating_add(LOST_IDS))
    } else {
        let (reached, next): (i64, i64) = (row.try_get("reached")?, row.try_get("next")?);
        tracing::warn!(
            "the database was restored, or a standby promoted: a new epoch begins and one-time keys are dropped"
        );
        let above = base.max(reached).saturating_add(UNNOTED);
        // No epoch that another restore of the same copy has had.
        (epoch.saturating_add(1).max(row.try_get("now")?), above.saturating_sub(next).max(base))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_known_by_all_parts_of_its_name_or_by_the_two_it_once_had() {
        let found = "7/16384/20001/00000001";
        assert!(is_same(found, found));
        assert!(is_same("7/16384", found));
        for other in ["8/16384", "7/1638", "7", "", "7/16384/20001", "7/16384/20001/00000002", "7/16384/2/00000001"] {
            assert!(!is_same(other, found), "{other}");
        }
    }
}
