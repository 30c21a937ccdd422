//! Uploaded media. What is known of it and its content are rows of their own, so that one is read without the other.

use async_trait::async_trait;
use bytes::Bytes;
use olmstead_storage::{Media, Result, media::MediaInfo};

use crate::{
    RocksStore,
    keys::{Key, Table},
    locks::Locks,
    reads::Reads,
};

fn info_key(media_id: &str) -> Key {
    Key::new(Table::MediaInfo).text(media_id)
}

fn content_key(media_id: &str) -> Key {
    Key::new(Table::MediaContent).text(media_id)
}

#[async_trait]
impl Media for RocksStore {
    async fn put_media(&self, media_id: &str, info: MediaInfo, content: Option<Bytes>) -> Result<bool> {
        let media_id = media_id.to_owned();
        self.command(Locks::new().name("media", &media_id), move |command| {
            let key = info_key(&media_id);
            let known: Option<MediaInfo> = command.get_json(&key)?;
            if known.is_some_and(|known| known.uploaded) {
                return Ok(false);
            }
            let info = MediaInfo { uploaded: content.is_some(), ..info.clone() };
            command.put_json(&key, &info)?;
            if let Some(content) = &content {
                command.put_blob(&content_key(&media_id), content)?;
            }
            Ok(true)
        })
        .await
    }

    async fn media_info(&self, media_id: &str) -> Result<Option<MediaInfo>> {
        let key = info_key(media_id);
        self.read(move |view| view.get_json(&key)).await
    }

    async fn media_content(&self, media_id: &str) -> Result<Option<Bytes>> {
        let key = content_key(media_id);
        self.read(move |view| Ok(view.get(&key)?.map(Bytes::from))).await
    }
}
