//! The schema of the database, and how it changes while nodes run.
//!
//! Nodes of two adjacent schemas may run on one database, so that an upgrade replaces them one after the other. So a
//! migration adds what old nodes do not miss, and takes away only what the version before it did not use any more; it
//! says with `oldest_node` from which schema on nodes can run on its result. A node refuses a database that is more than
//! one schema ahead of it or that says it is too old. Migrations run in one transaction, by one node at a time.

use sqlx::{PgConnection, Row as _, postgres::PgPool};

use crate::{OpenError, epoch, layout, locks::Locks};

/// A step of the schema.
struct Migration {
    /// The schema it leads to.
    version: i32,
    /// The oldest schema whose nodes can run on the result.
    oldest_node: i32,
    /// Its statements.
    statements: &'static str,
}

/// All steps, in order.
const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, oldest_node: 1, statements: include_str!("../migrations/0001_initial.sql") },
    Migration { version: 2, oldest_node: 1, statements: include_str!("../migrations/0002_replaced_tokens.sql") },
    Migration { version: 3, oldest_node: 1, statements: include_str!("../migrations/0003_operators.sql") },
];

/// The schema this version is written for.
const KNOWN: i32 = 3;

/// The newest schema that this version may be able to run on.
pub(crate) const NEWEST: i32 = KNOWN + 1;

/// Makes the schema or brings it up to date, and checks that this version may run on it.
/// With `create` false, an empty database stays so.
pub(crate) async fn bring_up_to_date(pool: &PgPool, create: bool) -> Result<(), OpenError> {
    let mut transaction = pool.begin_with(Locks::new().name("schema", "").begin()).await.map_err(OpenError::Connect)?;
    let found = found(&mut transaction).await.map_err(|error| match error {
        sqlx::Error::RowNotFound => OpenError::Altered { what: "there is no row in the table store".to_owned() },
        other => OpenError::Schema(other),
    })?;
    if let Some((version, oldest)) = found
        && !may_run(version, oldest)
    {
        return Err(OpenError::Newer { found: version, oldest, known: KNOWN });
    }
    if found.is_none() && !create {
        return Err(OpenError::Missing);
    }
    let from = found.map_or(0, |(version, _)| version);
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > from) {
        apply(&mut transaction, migration).await.map_err(OpenError::Schema)?;
        tracing::info!(schema = migration.version, "the database has a new schema");
    }
    // A newer schema has more, and may have less of what this version's nodes do without.
    if from <= KNOWN {
        layout::check(&mut transaction).await?;
    }
    transaction.commit().await.map_err(OpenError::Schema)
}

const fn may_run(version: i32, oldest: i32) -> bool {
    version <= NEWEST && oldest <= KNOWN
}

/// Schema and oldest node of the database; `None` for an empty one.
async fn found(connection: &mut PgConnection) -> Result<Option<(i32, i32)>, sqlx::Error> {
    let exists: bool =
        sqlx::query_scalar("SELECT to_regclass('store') IS NOT NULL").fetch_one(&mut *connection).await?;
    if !exists {
        return Ok(None);
    }
    let row = sqlx::query("SELECT schema_version, oldest_node FROM store").fetch_one(connection).await?;
    Ok(Some((row.try_get("schema_version")?, row.try_get("oldest_node")?)))
}

async fn apply(connection: &mut PgConnection, migration: &Migration) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(migration.statements).execute(&mut *connection).await?;
    if migration.version == 1 {
        epoch::create(connection).await?;
    }
    sqlx::query("UPDATE store SET schema_version = $1, oldest_node = $2")
        .bind(migration.version)
        .bind(migration.oldest_node)
        .execute(connection)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_lead_step_by_step_to_what_is_known() {
        assert!(MIGRATIONS.iter().map(|migration| migration.version).eq(1..=KNOWN));
        // Nodes of the schema before can stay while the others are replaced.
        assert!(MIGRATIONS.iter().all(|migration| migration.oldest_node >= 1
            && migration.oldest_node <= migration.version
            && (migration.version == 1 || migration.oldest_node < migration.version)));
    }

    #[test]
    fn two_adjacent_schemas_run_together_and_no_others() {
        assert!(may_run(KNOWN, KNOWN));
        assert!(may_run(KNOWN + 1, KNOWN));
        assert!(!may_run(KNOWN + 1, KNOWN + 1));
        assert!(!may_run(KNOWN + 2, KNOWN));
    }
}
