//! Wrong passwords, counted for each account in the store: whoever guesses at all nodes in turn gets no more guesses than
//! at one.
//!
//! The count is of a window that begins with its first wrong password. Guesses that run at the same time may be counted as
//! one now and then; there are never so many at once that it would matter, since hashing is bounded.

use ruma::UserId;
use serde::{Deserialize, Serialize};

use super::tokens;
use crate::{Context, Result, ServiceError};

/// The kind of short-lived value.
const KIND: &str = "wrong_passwords";
/// Wrong passwords in one window before no more are looked at.
const MAX: u32 = 20;
/// How long a window is, milliseconds.
const WINDOW_MS: u64 = 5 * 60 * 1000;
/// How often a count is written anew when others count at the same time.
const ATTEMPTS: usize = 5;

/// A window as stored.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Window {
    count: u32,
    ends_at: u64,
}

/// Refuses to look at a password after too many wrong ones.
///
/// # Errors
/// [`ServiceError::LimitExceeded`] until the window ends.
pub(crate) async fn check(cx: &Context, user_id: &UserId) -> Result<()> {
    if !cx.config.limit_wrong_passwords {
        return Ok(());
    }
    match read(cx, &key(user_id)).await? {
        Some((window, _)) if window.count >= MAX && !cx.is_over(window.ends_at, WINDOW_MS) => {
            Err(ServiceError::LimitExceeded { retry_after_ms: window.ends_at.saturating_sub(cx.now()).max(1) })
        }
        _ => Ok(()),
    }
}

/// Counts a wrong password.
pub(crate) async fn count(cx: &Context, user_id: &UserId) -> Result<()> {
    if !cx.config.limit_wrong_passwords {
        return Ok(());
    }
    let key = key(user_id);
    for _ in 0..ATTEMPTS {
        let Some((window, stored)) = read(cx, &key).await?.filter(|(window, _)| !cx.is_over(window.ends_at, WINDOW_MS))
        else {
            let ends_at = cx.now().saturating_add(WINDOW_MS);
            cx.storage.put_short_lived(KIND, &key, bytes(Window { count: 1, ends_at })?, ends_at).await?;
            return Ok(());
        };
        let more = Window { count: window.count.saturating_add(1), ..window };
        if cx.storage.replace_short_lived(KIND, &key, &stored, bytes(more)?, window.ends_at).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// The key tells nobody who reads it what names were tried.
fn key(user_id: &UserId) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(tokens::hash(user_id.as_str()))
}

async fn read(cx: &Context, key: &str) -> Result<Option<(Window, Vec<u8>)>> {
    let Some(stored) = cx.storage.short_lived(KIND, key, cx.now()).await? else { return Ok(None) };
    let window = serde_json::from_slice(&stored).map_err(internal)?;
    Ok(Some((window, stored)))
}

fn bytes(window: Window) -> Result<Vec<u8>> {
    serde_json::to_vec(&window).map_err(internal)
}

fn internal(error: serde_json::Error) -> ServiceError {
    ServiceError::Internal(error.to_string())
}
