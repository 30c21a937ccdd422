//! Transactions on connections of the pool, none of which may come back to it inside of one.
//!
//! sqlx takes a transaction for open once `BEGIN` was answered. Where the `BEGIN` and what comes with it fails, or is not
//! waited for any more, it would give the connection back as it is: with locks that nobody holds, or reading what was
//! true an hour ago. So it is kept here whether a connection is known to be out of its transaction, and one that is not is
//! closed.

use std::ops::{Deref, DerefMut};

use sqlx::{PgConnection, Postgres, SqlStr, pool::PoolConnection, postgres::PgPool};

use crate::error::Done;

/// A connection inside of a transaction. Dropped, it is closed, which rolls back.
pub(crate) struct Transaction {
    connection: PoolConnection<Postgres>,
    ended: bool,
}

impl Transaction {
    /// Begins one. The statement may do more than that, such as take locks.
    pub(crate) async fn begin(pool: &PgPool, statement: SqlStr) -> Done<Self> {
        // From here on the connection is ours to close, whatever becomes of the statement.
        let mut begun = Self { connection: pool.acquire().await?, ended: false };
        sqlx::raw_sql(statement).execute(&mut *begun.connection).await?;
        Ok(begun)
    }

    pub(crate) async fn commit(self) -> Done<()> {
        self.end("COMMIT").await
    }

    pub(crate) async fn roll_back(self) -> Done<()> {
        self.end("ROLLBACK").await
    }

    /// Rolls back without being waited for. The connection is used again, which spares making a new one where work
    /// fails often, as when others were faster.
    pub(crate) fn abandon(self) {
        tokio::spawn(async move {
            if let Err(failure) = self.roll_back().await {
                tracing::debug!(?failure, "a transaction could not be rolled back");
            }
        });
    }

    async fn end(mut self, statement: &'static str) -> Done<()> {
        sqlx::raw_sql(statement).execute(&mut *self.connection).await?;
        self.ended = true;
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.close_on_drop();
        }
    }
}
