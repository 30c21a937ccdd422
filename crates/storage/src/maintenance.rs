//! What an operator asks of a store.

use std::path::Path;

use async_trait::async_trait;
use olmstead_domain::position::Epoch;

use crate::Result;

/// What a copy of a store is a copy of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreFacts {
    /// The server name the store belongs to; `None` as long as no server ran on it.
    pub server_name: Option<String>,
    /// The schema or format of the data, as the engine counts it.
    pub schema: u64,
    /// The life of the store.
    pub epoch: Epoch,
}

/// Care for a store.
#[async_trait]
pub trait Maintenance: Send + Sync {
    /// What the store is.
    async fn store_facts(&self) -> Result<StoreFacts>;

    /// Writes a copy of the store into a directory that is not there yet, in which the engine can open it. All commands
    /// that were answered before are in it, and every command whole or not at all; others go on meanwhile. What is opened
    /// there later is a new epoch.
    ///
    /// `None`, with nothing written, if the engine has no files of its own and is copied with its own programs.
    ///
    /// # Errors
    /// [`crate::StorageError::Unavailable`] if the copy cannot be written; some of it may be left then.
    async fn checkpoint(&self, directory: &Path) -> Result<Option<StoreFacts>>;

    /// Waits until the store has failed for good, and says how: what it last wrote may or may not be on disk, so it can
    /// promise nothing more until it is opened anew, and fails all commands. An engine that finds out by itself what was
    /// written, and goes on, never answers.
    async fn failed(&self) -> String;
}
