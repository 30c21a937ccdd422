//! Care for a store. Copies of it are made by PostgreSQL's own programs, see [`crate::backup`].

use std::path::Path;

use async_trait::async_trait;
use olmstead_domain::position::Epoch;
use olmstead_storage::{Maintenance, Result, StorageError, maintenance::StoreFacts};
use sqlx::{PgConnection, Row as _};

use crate::{
    PostgresStore, epoch,
    error::{Done, Failure},
    rows::Columns as _,
    store::give_back,
};

#[async_trait]
impl Maintenance for PostgresStore {
    async fn store_facts(&self) -> Result<StoreFacts> {
        let answer = async {
            let mut connection = self.connection().await?;
            let read = facts(&mut connection).await;
            give_back(connection, read)
        };
        answer.await.map_err(StorageError::from)
    }

    async fn checkpoint(&self, _directory: &Path) -> Result<Option<StoreFacts>> {
        Ok(None)
    }

    /// What was written can always be asked of the database.
    async fn failed(&self) -> String {
        std::future::pending().await
    }
}

/// What the store in a database is.
pub(crate) async fn facts(connection: &mut PgConnection) -> Done<StoreFacts> {
    let row = sqlx::query("SELECT schema_version, epoch, server_name FROM store")
        .fetch_optional(connection)
        .await?
        .ok_or_else(epoch::no_facts)?;
    let schema: i32 = row.try_get("schema_version").map_err(Failure::from)?;
    Ok(StoreFacts {
        server_name: row.try_get("server_name")?,
        schema: u64::try_from(schema).unwrap_or_default(),
        epoch: Epoch(row.count("epoch")?),
    })
}
