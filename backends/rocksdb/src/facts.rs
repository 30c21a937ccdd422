//! Facts about the store as a whole: whose it is, and whether it answers.

use std::sync::Arc;

use async_trait::async_trait;
use olmstead_storage::{Result, Storage, StorageError};

use crate::{RocksStore, command::Command, locks::Locks, place, reads::Reads, store::blocking, wal};

const SIGNING_KEY: &str = "signing_key";
pub(crate) const SERVER_NAME: &str = "server_name";

impl RocksStore {
    /// See [`olmstead_storage::Storage::signing_key`].
    pub(crate) async fn kept_signing_key(&self, fresh: ([u8; 32], String)) -> Result<([u8; 32], String)> {
        self.command(Locks::new().name("fact", SIGNING_KEY), move |command| {
            let key = Command::meta(SIGNING_KEY);
            if let Some(kept) = command.get(&key)? {
                let damaged = || StorageError::damaged("the signing key of the server");
                let (seed, version) = kept.split_first_chunk().ok_or_else(damaged)?;
                return Ok((*seed, String::from_utf8(version.to_vec()).map_err(|_| damaged())?));
            }
            command.put(&key, [&fresh.0, fresh.1.as_bytes()].concat())?;
            Ok(fresh.clone())
        })
        .await
    }

    /// See [`olmstead_storage::Storage::server_name`].
    pub(crate) async fn kept_server_name(&self, name: &str) -> Result<String> {
        let name = name.to_owned();
        self.command(Locks::new().name("fact", SERVER_NAME), move |command| {
            let key = Command::meta(SERVER_NAME);
            if let Some(kept) = command.get(&key)? {
                return String::from_utf8(kept).map_err(|_| StorageError::damaged("the name of the server"));
            }
            command.put(&key, name.as_bytes())?;
            Ok(name.clone())
        })
        .await
    }

    /// Whether commands are taken and rows can be read.
    pub(crate) async fn answers(&self) -> Result<()> {
        self.wal().check()?;
        self.read(|view| view.has(&Command::meta(SERVER_NAME))).await.map(drop)
    }

    /// Takes no further commands and waits until all that were taken are on disk.
    pub(crate) async fn shut(&self) -> Result<()> {
        let done = self.wal().close();
        if !done.await.unwrap_or(false) {
            return Err(wal::lost());
        }
        let (inner, directory) = (Arc::clone(self.inner()), self.directory().to_owned());
        // So that a copy from before is not taken for what was closed here, also where a tool puts back only files that differ.
        blocking(move || place::note(inner.engine(), &directory, None)).await
    }
}

#[async_trait]
impl Storage for RocksStore {
    fn engine(&self) -> &'static str {
        "rocksdb"
    }

    async fn signing_key(&self, fresh: ([u8; 32], String)) -> Result<([u8; 32], String)> {
        self.kept_signing_key(fresh).await
    }

    async fn server_name(&self, name: &str) -> Result<String> {
        self.kept_server_name(name).await
    }

    async fn ping(&self) -> Result<()> {
        self.answers().await
    }

    async fn close(&self) -> Result<()> {
        self.shut().await
    }
}
