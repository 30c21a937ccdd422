//! Not written yet.
#![allow(unused_variables, unused_imports, clippy::too_many_arguments)]
use async_trait::async_trait;
use olmstead_storage::Result;
use olmstead_storage::{StorageError, ShortLived, short_lived::*};
use crate::PostgresStore;

#[async_trait]
impl ShortLived for PostgresStore {
    async fn put_short_lived(&self, kind: &str, key: &str, value: Vec<u8>, expires_at: u64) -> Result<()> {
        Err(StorageError::damaged("not written"))
    }
    async fn short_lived(&self, kind: &str, key: &str, now: u64) -> Result<Option<Vec<u8>>> {
        Err(StorageError::damaged("not written"))
    }
    async fn replace_short_lived(
        &self,
        kind: &str,
        key: &str,
        expected: &[u8],
        value: Vec<u8>,
        expires_at: u64,
    ) -> Result<bool> {
        Err(StorageError::damaged("not written"))
    }
    async fn take_short_lived(&self, kind: &str, key: &str, now: u64) -> Result<Option<Vec<u8>>> {
        Err(StorageError::damaged("not written"))
    }
    async fn expire_short_lived(&self, now: u64) -> Result<usize> {
        Err(StorageError::damaged("not written"))
    }
}
