//! Downloading.

use std::time::Duration;

use bytes::Bytes;
use olmstead_storage::media::MediaInfo;

use super::{RESERVED_MS, check_local, unknown};
use crate::{Context, Refusal, Result, ServiceError};

/// How long a download waits for content that was not uploaded yet when the client does not say, milliseconds.
pub const DEFAULT_WAIT_MS: u64 = 20_000;
/// The longest it waits, milliseconds.
const MAX_WAIT_MS: u64 = 60_000;
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What a download may have.
#[derive(Debug, Clone, Copy)]
pub enum Access {
    /// Anything: the caller showed a token.
    Authenticated,
    /// Only media from before the freeze of the old endpoints (MED-4).
    Unauthenticated,
}

/// Content and what is known of it. Waits for content that was not uploaded yet.
///
/// # Errors
/// [`Refusal::NotFound`]; [`Refusal::NotYetUploaded`] after `wait_ms`; `InvalidParam` for an id that cannot be (MED-8).
pub async fn download(
    cx: &Context,
    server: &str,
    media_id: &str,
    wait_ms: u64,
    access: Access,
) -> Result<(MediaInfo, Bytes)> {
    let info = find(cx, server, media_id, wait_ms, access).await?;
    let content = cx.storage.media_content(media_id).await?.ok_or_else(unknown)?;
    Ok((info, content))
}

/// What is known of uploaded media.
///
/// # Errors
/// As [`download`].
pub(super) async fn find(
    cx: &Context,
    server: &str,
    media_id: &str,
    wait_ms: u64,
    access: Access,
) -> Result<MediaInfo> {
    check_local(cx, server, media_id)?;
    let deadline = tokio::time::Instant::now() + Duration::from_millis(wait_ms.min(MAX_WAIT_MS));
    loop {
        let info = cx.storage.media_info(media_id).await?.ok_or_else(unknown)?;
        if matches!(access, Access::Unauthenticated) && !info.unauthenticated {
            return Err(unknown());
        }
        if info.uploaded {
            return Ok(info);
        }
        if has_ended(cx, &info) {
            return Err(unknown());
        }
        // The upload may come in by another node, so there is nothing in this process to wait for.
        let next = tokio::time::Instant::now() + LOOK_EVERY;
        if next > deadline || cx.notifier.is_closing() {
            return Err(ServiceError::refused(Refusal::NotYetUploaded, "The content has not been uploaded yet."));
        }
        tokio::time::sleep_until(next).await;
    }
}

/// Whether a reserved id waited too long for its content.
pub(super) fn has_ended(cx: &Context, info: &MediaInfo) -> bool {
    !info.uploaded && info.created_at.saturating_add(RESERVED_MS) <= cx.now()
}
