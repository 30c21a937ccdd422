//! `GET /_olmstead/admin/v1/stats`: how much there is of everything.

use serde::{Deserialize, Serialize};

use crate::{Context, Result, census::Figures};

/// The answer. No row is counted for it: the numbers are those of the last census.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The name in user ids.
    pub server_name: String,
    /// The version of this node.
    pub version: String,
    /// For how long this node has run, milliseconds.
    pub uptime_ms: u64,
    /// The storage engine.
    pub engine: String,
    /// The schema or format of the store, as the engine counts it.
    pub schema: u64,
    /// The life of the store; a restore begins another.
    pub epoch: u64,
    /// Bytes of the store on disk, as the engine knows them.
    pub store_bytes: u64,
    /// The last census; absent until this node has been through all users once.
    pub census: Option<Census>,
}

/// A census: this node goes through all users and rooms, a few at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// When it ended, milliseconds since the Unix epoch.
    pub taken_at: u64,
    /// How long ago that is, milliseconds.
    pub age_ms: u64,
    /// What was counted.
    #[serde(flatten)]
    pub figures: Figures,
}

/// Reads it.
///
/// # Errors
/// Only those of the store.
pub async fn read(cx: &Context) -> Result<Response> {
    let facts = cx.storage.store_facts().await?;
    let census = cx.statistics.last().map(|(taken_at, figures)| Census {
        taken_at,
        age_ms: cx.now().saturating_sub(taken_at),
        figures,
    });
    Ok(Response {
        server_name: cx.config.server_name.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_ms: cx.statistics.uptime_ms(),
        engine: cx.storage.engine().to_owned(),
        schema: facts.schema,
        epoch: facts.epoch.0,
        store_bytes: cx.storage.store_size().await?,
        census,
    })
}
