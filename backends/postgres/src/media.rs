//! Uploaded media. What is known of it and its content are rows of their own, so that one is read without the other.

use async_trait::async_trait;
use bytes::Bytes;
use olmstead_storage::{Media, Result, media::MediaInfo};
use sqlx::Connection as _;

use crate::{
    PostgresStore,
    command::Command,
    error::Done,
    locks::Locks,
    rows::{Columns as _, number},
    store::{command, read},
    text::stored,
};

async fn put(command: &mut Command, media_id: &str, info: &MediaInfo, content: Option<&Bytes>) -> Done<bool> {
    // A reserved id is filled by one of those who try; the row lock of the update decides. It is one statement: the
    // transaction has no id before the whole content has arrived, and holds back the horizon only while it is written.
    let written: bool = sqlx::query_scalar(
        "WITH put AS (
             INSERT INTO media (media_id, user_id, content_type, file_name, size, created_at, uploaded, unauthenticated)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (media_id) DO UPDATE SET user_id = EXCLUDED.user_id, content_type = EXCLUDED.content_type,
                 file_name = EXCLUDED.file_name, size = EXCLUDED.size, created_at = EXCLUDED.created_at,
                 uploaded = EXCLUDED.uploaded, unauthenticated = EXCLUDED.unauthenticated
             WHERE NOT media.uploaded
             RETURNING media_id
         ), content AS (
             INSERT INTO media_content (media_id, content) SELECT media_id, $9 FROM put WHERE $7
         )
         SELECT EXISTS (SELECT FROM put)",
    )
    .bind(stored(media_id))
    .bind(info.user_id.as_str())
    .bind(info.content_type.as_deref().map(stored))
    .bind(info.file_name.as_deref().map(stored))
    .bind(number(info.size))
    .bind(number(info.created_at))
    .bind(content.is_some())
    .bind(info.unauthenticated)
    .bind(content.map(|content| &content[..]))
    .fetch_one(command.sql())
    .await?;
    // The content may have been large, and the connection lives on.
    command.sql().shrink_buffers();
    Ok(written)
}

#[async_trait]
impl Media for PostgresStore {
    async fn put_media(&self, media_id: &str, info: MediaInfo, content: Option<Bytes>) -> Result<bool> {
        command!(self, Locks::new(), |command| put(&mut command, media_id, &info, content.as_ref()).await)
    }

    async fn media_info(&self, media_id: &str) -> Result<Option<MediaInfo>> {
        read!(self, |connection| {
            let row = sqlx::query(
                "SELECT user_id, content_type, file_name, size, created_at, uploaded, unauthenticated
                 FROM media WHERE media_id = $1",
            )
            .bind(stored(media_id))
            .fetch_optional(connection)
            .await?;
            let Some(row) = row else { return Ok(None) };
            Ok(Some(MediaInfo {
                user_id: row.id("user_id")?,
                content_type: row.maybe_text("content_type")?,
                file_name: row.maybe_text("file_name")?,
                size: row.count("size")?,
                created_at: row.count("created_at")?,
                uploaded: row.flag("uploaded")?,
                unauthenticated: row.flag("unauthenticated")?,
            }))
        })
    }

    async fn media_content(&self, media_id: &str) -> Result<Option<Bytes>> {
        read!(self, |connection| {
            let row = sqlx::query("SELECT content FROM media_content WHERE media_id = $1")
                .bind(stored(media_id))
                .fetch_optional(connection)
                .await?;
            row.map(|row| row.bytes("content").map(Bytes::from)).transpose()
        })
    }
}
