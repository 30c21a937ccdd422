//! `POST /refresh`: new tokens for a device (AUTH-4 to AUTH-7).

use super::tokens::{self, IssuedTokens};
use crate::{Context, Result, ServiceError};

/// Replaces the tokens of a device. The old ones work until one of the new is used, so a lost answer does no harm.
///
/// # Errors
/// [`ServiceError::UnknownToken`] for an unknown or spent token (AUTH-6), as a soft logout while the device of a spent one
/// lives (AUTH-1); [`ServiceError::UserLocked`].
pub async fn refresh(cx: &Context, refresh_token: &str) -> Result<IssuedTokens> {
    let issued = tokens::issue(cx, true);
    let new_refresh = issued.refresh_token.as_deref().map(tokens::hash).unwrap_or_default();
    let ends = issued.expires_in_ms.map(|lifetime| cx.now().saturating_add(lifetime));
    let old_refresh = tokens::hash(refresh_token);
    let refreshed =
        cx.storage.refresh_session(&old_refresh, tokens::hash(&issued.access_token), new_refresh, ends).await?;
    let Some(device) = refreshed else {
        // A client without it would take its device for gone, and its keys with it.
        return Err(ServiceError::UnknownToken { soft_logout: cx.storage.was_replaced(&old_refresh).await? });
    };
    // The new tokens are given to nobody here, so the old ones stay good for when the lock ends.
    if cx.storage.account(&device.user_id).await?.is_some_and(|account| account.locked) {
        return Err(ServiceError::UserLocked);
    }
    Ok(issued)
}
