//! Transactions on connections of the pool, none of which may come back to it inside of one.
//!
//! sqlx takes a transaction for open once `BEGIN` was answered. Where the `BEGIN` and what comes with it fails, or is not
//! waited for any more, it would give the connection back as it is: with locks that nobody holds, or reading what was
//! true an hour ago. So it is kept with each connection whether it is known to be out of its transaction, and one that is
//! not is closed.

use std::ops::{Deref, DerefMut};

use sqlx::{PgConnection, SqlStr};

use crate::{
    connections::{Connection, Connections},
    error::{Done, Failure},
};

/// A connection inside of a transaction. Dropped, it is closed, which rolls back.
pub(crate) struct Transaction(Connection);

impl Transaction {
    /// Begins one. The statement may do more than that, such as take locks.
    pub(crate) async fn begin(connections: &Connections, statement: SqlStr) -> Done<Self> {
        let mut connection = connections.acquire().await?;
        // From here on the connection is ours to close, whatever becomes of the statement.
        connection.set_in_transaction(true);
        match sqlx::raw_sql(statement).execute(&mut *connection).await {
            Ok(_) => Ok(Self(connection)),
            Err(error) => Err(failed(connection, error)),
        }
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

    async fn end(self, statement: &'static str) -> Done<()> {
        let Self(mut connection) = self;
        match sqlx::raw_sql(statement).execute(&mut *connection).await {
            Ok(_) => {
                connection.set_in_transaction(false);
                connection.done();
                Ok(())
            }
            Err(error) => Err(failed(connection, error)),
        }
    }
}

/// A connection whose transaction did not begin or end as it should.
fn failed(connection: Connection, error: sqlx::Error) -> Failure {
    let failure = Failure::from(error);
    if let Failure::Lost(_) = &failure {
        connection.lost();
    }
    failure
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}
