//! What operators did.

use async_trait::async_trait;
use olmstead_storage::{Audit, Result, audit::AuditEntry};

use crate::{
    PostgresStore,
    locks::Locks,
    rows::{self, Columns as _, number},
    store::{command, read},
    text::stored,
};

#[async_trait]
impl Audit for PostgresStore {
    async fn add_audit_entry(&self, entry: AuditEntry) -> Result<u64> {
        // One at a time, so that later ones have larger numbers.
        command!(self, Locks::new().name("audit", ""), |command| {
            let place = command.place().await?;
            sqlx::query(
                "INSERT INTO audit (number, at, operator, action, target, details) VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(place)
            .bind(number(entry.at))
            .bind(stored(&entry.operator))
            .bind(stored(&entry.action))
            .bind(stored(&entry.target))
            .bind(stored(&entry.details))
            .execute(command.sql())
            .await?;
            Ok(command.position().await?.0)
        })
    }

    async fn audit_entries(&self, before: Option<u64>, limit: usize) -> Result<Vec<(u64, AuditEntry)>> {
        read!(self, |connection| {
            sqlx::query(
                "SELECT number, at, operator, action, target, details FROM audit
                 WHERE $1::bigint IS NULL OR number < $1 ORDER BY number DESC LIMIT $2",
            )
            .bind(before.map(number))
            .bind(rows::limit(limit))
            .fetch_all(connection)
            .await?
            .iter()
            .map(|row| {
                let entry = AuditEntry {
                    at: row.count("at")?,
                    operator: row.text("operator")?,
                    action: row.text("action")?,
                    target: row.text("target")?,
                    details: row.text("details")?,
                };
                Ok((row.count("number")?, entry))
            })
            .collect()
        })
    }
}
