//! `GET /_olmstead/admin/v1/audit`: what operators did.

use olmstead_storage::audit::AuditEntry;
use serde::{Deserialize, Serialize};

use super::page_size;
use crate::{Context, Result};

/// Who asks: the name that the configuration gives to the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator(pub String);

/// The query.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Request {
    /// Entries with smaller numbers only.
    pub before: Option<u64>,
    /// How many at most.
    pub limit: Option<usize>,
}

/// An entry and its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbered {
    /// Larger for later entries.
    pub number: u64,
    /// What was done.
    #[serde(flatten)]
    pub entry: AuditEntry,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// Newest first.
    pub entries: Vec<Numbered>,
    /// For `before`, if there may be more.
    pub next: Option<u64>,
}

/// Reads the record from its end.
///
/// # Errors
/// Only those of the store.
pub async fn read(cx: &Context, request: &Request) -> Result<Response> {
    let limit = page_size(request.limit);
    let entries = cx.storage.audit_entries(request.before, limit).await?;
    let next = if entries.len() < limit { None } else { entries.last().map(|(number, _)| *number) };
    Ok(Response { entries: entries.into_iter().map(|(number, entry)| Numbered { number, entry }).collect(), next })
}

/// Writes down what an operator is about to do. Called before it is done, so that nothing is done without a record; see
/// [`recorded`].
///
/// # Errors
/// Those of the store; then it must not be done.
pub async fn record(cx: &Context, operator: &Operator, action: &str, target: &str, details: &str) -> Result<()> {
    let entry = AuditEntry {
        at: cx.now(),
        operator: operator.0.clone(),
        action: action.to_owned(),
        target: target.to_owned(),
        details: details.to_owned(),
    };
    tracing::info!(operator = entry.operator, action, target, details, "an operator acts");
    cx.storage.add_audit_entry(entry).await?;
    Ok(())
}

/// Does what was recorded just before, and records it if it failed.
///
/// # Errors
/// Those of the work.
pub async fn recorded<T>(
    cx: &Context,
    operator: &Operator,
    (action, target, details): (&str, &str, &str),
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    record(cx, operator, action, target, details).await?;
    let done = work.await;
    if let Err(error) = &done {
        record(cx, operator, action, target, &format!("failed: {error}")).await?;
    }
    done
}
