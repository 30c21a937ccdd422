//! Uploaded media.

use async_trait::async_trait;
use bytes::Bytes;
use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

use crate::Result;

/// What is known of an upload besides its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaInfo {
    /// The uploader.
    pub user_id: OwnedUserId,
    /// The content type as uploaded.
    pub content_type: Option<String>,
    /// The file name as uploaded.
    pub file_name: Option<String>,
    /// Bytes.
    pub size: u64,
    /// Milliseconds since the Unix epoch.
    pub created_at: u64,
    /// Whether content was uploaded; an id may be reserved before (`POST /media/v1/create`).
    pub uploaded: bool,
    /// Whether the old unauthenticated paths may serve it (media from before the freeze, MED-4).
    pub unauthenticated: bool,
}

/// Media by id. Content is kept whole and byte for byte (MED-5).
#[async_trait]
pub trait Media: Send + Sync {
    /// Stores media under a fresh id, or fills a reserved one; `false` when the id has content already.
    async fn put_media(&self, media_id: &str, info: MediaInfo, content: Option<Bytes>) -> Result<bool>;

    /// What is known of a media id.
    async fn media_info(&self, media_id: &str) -> Result<Option<MediaInfo>>;

    /// The bytes.
    async fn media_content(&self, media_id: &str) -> Result<Option<Bytes>>;
}
