//! Caches. Each holds what cannot change under its key, or is emptied by the change stream before a reader can have
//! seen something newer.

use std::fmt;

use moka::sync::Cache;

use crate::media::thumbnail::{Method, Thumbnail};

/// Bytes of thumbnails kept in memory.
const THUMBNAIL_BYTES: u64 = 32 * 1024 * 1024;

/// What a thumbnail was made of. Media never changes under its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ThumbnailKey {
    /// The image.
    pub media_id: String,
    /// Pixels wanted.
    pub width: u32,
    /// Pixels wanted.
    pub height: u32,
    /// How it gets to its size.
    pub method: Method,
    /// Whether it may move.
    pub animated: bool,
}

/// All caches of a server.
pub struct Caches {
    /// Thumbnails made lately.
    pub thumbnails: Cache<ThumbnailKey, Thumbnail>,
}

impl Default for Caches {
    fn default() -> Self {
        let weigh =
            |_: &ThumbnailKey, thumbnail: &Thumbnail| u32::try_from(thumbnail.content.len()).unwrap_or(u32::MAX);
        Self { thumbnails: Cache::builder().max_capacity(THUMBNAIL_BYTES).weigher(weigh).build() }
    }
}

impl fmt::Debug for Caches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caches").finish_non_exhaustive()
    }
}
