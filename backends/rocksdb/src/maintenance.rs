//! Care for a store: copies of it, and keeping others off its directory.

use std::{fs, io, path::Path, sync::Arc};

use async_trait::async_trait;
use olmstead_domain::position::Epoch;
use olmstead_storage::{Changes as _, Maintenance, Result, StorageError, maintenance::StoreFacts};
use rocksdb::checkpoint::Checkpoint;
use rustix::{fs::FlockOperation, io::Errno};

use crate::{
    OpenError, RocksStore, command::Command, engine::storage_error, facts::SERVER_NAME, reads::Reads as _,
    store::blocking,
};

#[async_trait]
impl Maintenance for RocksStore {
    async fn store_facts(&self) -> Result<StoreFacts> {
        let Epoch(epoch) = self.horizon().await?.epoch;
        let name = self.read(|view| view.get(&Command::meta(SERVER_NAME))).await?;
        let name =
            name.map(|name| String::from_utf8(name).map_err(|_| StorageError::damaged("the name of the server")));
        Ok(StoreFacts { server_name: name.transpose()?, schema: Self::FORMAT, epoch: Epoch(epoch) })
    }

    async fn checkpoint(&self, directory: &Path) -> Result<Option<StoreFacts>> {
        self.wal().check()?;
        let (inner, directory) = (Arc::clone(self.inner()), directory.to_owned());
        // Tables in memory are written out first, so nothing of the copy is in a log. What cannot be linked is copied.
        blocking(move || {
            let checkpoint = Checkpoint::new(inner.engine().db()).map_err(storage_error)?;
            checkpoint.create_checkpoint(&directory).map_err(storage_error)
        })
        .await?;
        self.store_facts().await.map(Some)
    }

    async fn failed(&self) -> String {
        self.wal().failed().await
    }
}

/// Keeps everybody from opening the store in a directory, as long as it lives. It is the lock that an open store has, so
/// another process can hold it once; the same process can, and must not, take it while it has the store open.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: fs::File,
}

impl DirectoryLock {
    /// Takes the lock. `None` if there is no store.
    ///
    /// # Errors
    /// [`OpenError::InUse`] if the store is open, [`OpenError::Directory`] if the directory cannot be read.
    pub fn take(path: &Path) -> Result<Option<Self>, OpenError> {
        let refused = |source| OpenError::Directory { path: path.to_owned(), source };
        if !path.join("CURRENT").try_exists().map_err(refused)? {
            return Ok(None);
        }
        let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(path.join("LOCK"));
        let file = file.map_err(refused)?;
        match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(Errno::AGAIN | Errno::ACCESS) => Err(OpenError::InUse { path: path.to_owned() }),
            Err(error) => Err(refused(io::Error::from(error))),
        }
    }
}
