//! Short-lived values.

use async_trait::async_trait;
use olmstead_storage::{Result, ShortLived};
use sqlx::Row as _;

use crate::{
    PostgresStore,
    locks::Locks,
    rows::{Columns as _, number},
    store::{command, read},
    text::stored,
};

/// How many ended values are forgotten at once.
const SWEEP: i64 = 256;

#[async_trait]
impl ShortLived for PostgresStore {
    async fn put_short_lived(&self, kind: &str, key: &str, value: Vec<u8>, expires_at: u64) -> Result<()> {
        command!(self, Locks::new(), |command| {
            sqlx::query(
                "INSERT INTO short_lived (kind, key, value, expires_at) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (kind, key) DO UPDATE SET value = EXCLUDED.value, expires_at = EXCLUDED.expires_at",
            )
            .bind(stored(kind))
            .bind(stored(key))
            .bind(value.as_slice())
            .bind(number(expires_at))
            .execute(command.sql())
            .await?;
            Ok(())
        })
    }

    async fn short_lived(&self, kind: &str, key: &str, now: u64) -> Result<Option<Vec<u8>>> {
        read!(self, |connection| {
            let row = sqlx::query("SELECT value FROM short_lived WHERE kind = $1 AND key = $2 AND expires_at >= $3")
                .bind(stored(kind))
                .bind(stored(key))
                .bind(number(now))
                .fetch_optional(connection)
                .await?;
            row.map(|row| row.bytes("value")).transpose()
        })
    }

    async fn replace_short_lived(
        &self,
        kind: &str,
        key: &str,
        expected: &[u8],
        value: Vec<u8>,
        expires_at: u64,
    ) -> Result<bool> {
        command!(self, Locks::new(), |command| {
            let replaced = sqlx::query(
                "UPDATE short_lived SET value = $4, expires_at = $5 WHERE kind = $1 AND key = $2 AND value = $3",
            )
            .bind(stored(kind))
            .bind(stored(key))
            .bind(expected)
            .bind(value.as_slice())
            .bind(number(expires_at))
            .execute(command.sql())
            .await?;
            Ok(replaced.rows_affected() > 0)
        })
    }

    async fn take_short_lived(&self, kind: &str, key: &str, now: u64) -> Result<Option<Vec<u8>>> {
        command!(self, Locks::new(), |command| {
            let row = sqlx::query(
                "DELETE FROM short_lived WHERE kind = $1 AND key = $2 RETURNING value, expires_at >= $3 AS live",
            )
            .bind(stored(kind))
            .bind(stored(key))
            .bind(number(now))
            .fetch_optional(command.sql())
            .await?;
            match row {
                Some(row) if row.flag("live")? => Ok(Some(row.try_get("value")?)),
                _ => Ok(None),
            }
        })
    }

    async fn expire_short_lived(&self, now: u64) -> Result<usize> {
        command!(self, Locks::new(), |command| {
            // Nodes that sweep at the same time take different rows.
            let forgotten = sqlx::query(
                "DELETE FROM short_lived WHERE (kind, key) IN (
                     SELECT kind, key FROM short_lived WHERE expires_at < $1 ORDER BY expires_at LIMIT $2
                     FOR UPDATE SKIP LOCKED
                 )",
            )
            .bind(number(now))
            .bind(SWEEP)
            .execute(command.sql())
            .await?;
            Ok(usize::try_from(forgotten.rows_affected()).unwrap_or(usize::MAX))
        })
    }
}
