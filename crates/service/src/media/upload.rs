//! Uploading, at once or to an id reserved before.

use bytes::Bytes;
use olmstead_storage::{devices::Session, media::MediaInfo};
use ruma::OwnedMxcUri;

use super::{RESERVED_MS, check_local, unknown, uri};
use crate::{Context, Refusal, Result, ServiceError};

/// Random bytes of a media id.
const ID_BYTES: usize = 18;
/// The most bytes of a file name or content type.
const MAX_LABEL: usize = 1024;

/// What is uploaded.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The bytes.
    pub content: Bytes,
    /// The content type as sent.
    pub content_type: Option<String>,
    /// The file name as sent.
    pub file_name: Option<String>,
}

/// Stores content under a new id.
///
/// # Errors
/// [`Refusal::TooLarge`] over the server's limit (MED-6).
pub async fn upload(cx: &Context, session: &Session, upload: Upload) -> Result<OwnedMxcUri> {
    check(cx, &upload)?;
    let media_id = cx.random_text(ID_BYTES);
    let info = info(cx, session, Some(&upload));
    if !cx.storage.put_media(&media_id, info, Some(upload.content)).await? {
        return Err(ServiceError::Internal("a random media id was taken".to_owned()));
    }
    Ok(uri(cx, &media_id))
}

/// Reserves an id; returns it with the time when it ends unless content comes.
///
/// # Errors
/// Only the store's.
pub async fn reserve(cx: &Context, session: &Session) -> Result<(OwnedMxcUri, u64)> {
    let media_id = cx.random_text(ID_BYTES);
    let info = info(cx, session, None);
    let ends = info.created_at.saturating_add(RESERVED_MS);
    if !cx.storage.put_media(&media_id, info, None).await? {
        return Err(ServiceError::Internal("a random media id was taken".to_owned()));
    }
    Ok((uri(cx, &media_id), ends))
}

/// Whether content may come for a reserved id; asked before the content is read.
///
/// # Errors
/// [`Refusal::NotFound`] for an id that was not reserved or has ended, `Forbidden` for one that another user reserved,
/// `CannotOverwriteMedia` for one that has content.
pub async fn check_reserved(cx: &Context, session: &Session, server: &str, media_id: &str) -> Result<()> {
    check_local(cx, server, media_id)?;
    let info = cx.storage.media_info(media_id).await?.ok_or_else(unknown)?;
    if info.user_id != session.device.user_id {
        return Err(ServiceError::forbidden("Another user reserved this media ID."));
    }
    if info.uploaded {
        return Err(overwrites());
    }
    if super::download::has_ended(cx, &info) {
        return Err(unknown());
    }
    Ok(())
}

/// Stores the content of a reserved id.
///
/// # Errors
/// As [`check_reserved`], and [`Refusal::TooLarge`].
pub async fn fill(cx: &Context, session: &Session, server: &str, media_id: &str, upload: Upload) -> Result<()> {
    check(cx, &upload)?;
    check_reserved(cx, session, server, media_id).await?;
    let info = info(cx, session, Some(&upload));
    if cx.storage.put_media(media_id, info, Some(upload.content)).await? { Ok(()) } else { Err(overwrites()) }
}

fn check(cx: &Context, upload: &Upload) -> Result<()> {
    if upload.content.len() as u64 > cx.config.max_upload_size {
        let message = format!("An upload has at most {} bytes.", cx.config.max_upload_size);
        return Err(ServiceError::refused(Refusal::TooLarge, message));
    }
    let label = |text: &Option<String>| text.as_ref().is_none_or(|text| text.len() <= MAX_LABEL);
    if !label(&upload.content_type) || !label(&upload.file_name) {
        return Err(ServiceError::invalid_param("The content type or the file name is too long."));
    }
    Ok(())
}

fn info(cx: &Context, session: &Session, upload: Option<&Upload>) -> MediaInfo {
    MediaInfo {
        user_id: session.device.user_id.clone(),
        content_type: upload.and_then(|upload| upload.content_type.clone()),
        file_name: upload.and_then(|upload| upload.file_name.clone()),
        size: upload.map_or(0, |upload| upload.content.len() as u64),
        created_at: cx.now(),
        uploaded: upload.is_some(),
        unauthenticated: false,
    }
}

fn overwrites() -> ServiceError {
    ServiceError::refused(Refusal::CannotOverwriteMedia, "This media ID has content already.")
}
