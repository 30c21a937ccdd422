//! Not written yet.
#![allow(unused_variables, unused_imports, clippy::too_many_arguments)]
use async_trait::async_trait;
use bytes::Bytes;
use ruma::OwnedUserId;
use olmstead_storage::Result;
use olmstead_storage::{StorageError, Media, media::*};
use crate::PostgresStore;

#[async_trait]
impl Media for PostgresStore {
    async fn put_media(&self, media_id: &str, info: MediaInfo, content: Option<Bytes>) -> Result<bool> {
        Err(StorageError::damaged("not written"))
    }
    async fn media_info(&self, media_id: &str) -> Result<Option<MediaInfo>> {
        Err(StorageError::damaged("not written"))
    }
    async fn media_content(&self, media_id: &str) -> Result<Option<Bytes>> {
        Err(StorageError::damaged("not written"))
    }
}
