//! What operators did.

use async_trait::async_trait;
use olmstead_domain::position::Position;
use olmstead_storage::{Audit, Result, audit::AuditEntry};

use crate::{
    RocksStore,
    keys::{Key, Table},
    locks::Locks,
    reads::{Reads as _, Span, json},
};

#[async_trait]
impl Audit for RocksStore {
    async fn add_audit_entry(&self, entry: AuditEntry) -> Result<u64> {
        self.command(Locks::new(), move |command| {
            // Positions are never given twice, and later ones are larger.
            let position = command.position()?;
            command.put_json(&Key::new(Table::Audit).position(position), &entry)?;
            Ok(position.0)
        })
        .await
    }

    async fn audit_entries(&self, before: Option<u64>, limit: usize) -> Result<Vec<(u64, AuditEntry)>> {
        self.read_view_of(true, move |view, _| {
            let table = Key::new(Table::Audit);
            let to = Position(before.unwrap_or(u64::MAX));
            let span = Span::between(&table.clone().position(Position::START), &table.clone().position(to));
            let read = |row: Result<(Box<[u8]>, Box<[u8]>)>| {
                let (key, entry) = row?;
                Ok((table.parts_after(&key)?.position()?.0, json(Table::Audit, &entry)?))
            };
            view.scan(span.backward())?.take(limit).map(read).collect()
        })
        .await
    }
}
