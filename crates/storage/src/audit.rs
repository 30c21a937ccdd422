//! What operators did, for later.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Result;

/// One thing that an operator did, or was about to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When, milliseconds since the Unix epoch.
    pub at: u64,
    /// The name of the operator's token.
    pub operator: String,
    /// What, in a few words with dots, such as `e2ee.drop_one_time_keys`.
    pub action: String,
    /// To whom or what it was done.
    pub target: String,
    /// With which particulars; may be empty.
    pub details: String,
}

/// The record. Nothing in it is ever changed or deleted.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Adds an entry. Its number is larger than that of every entry that was added before.
    async fn add_audit_entry(&self, entry: AuditEntry) -> Result<u64>;

    /// Entries with numbers below `before`, newest first, at most `limit`.
    async fn audit_entries(&self, before: Option<u64>, limit: usize) -> Result<Vec<(u64, AuditEntry)>>;
}
