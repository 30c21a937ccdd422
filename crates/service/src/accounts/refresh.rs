//! `POST /refresh`: new tokens for a device (AUTH-4 to AUTH-7).

use super::tokens::{self, IssuedTokens};
use crate::{Context, Result, ServiceError};

/// Replaces the tokens of a device. The old ones work until one of the new is used, so a lost answer does no harm.
///
/// # Errors
/// [`ServiceError::UnknownToken`] for an unknown or spent token (AUTH-6); [`ServiceError::UserLocked`].
pub async fn refresh(cx: &Context, refresh_token: &str) -> Result<IssuedTokens> {
    let issued = tokens::issue(cx, true);
    let new_refresh = issued.refresh_token.as_deref().map(tokens::hash).unwrap_or_default();
    let ends = issued.expires_in_ms.map(|lifetime| cx.now().saturating_add(lifetime));
    let device = cx
        .storage
        .refresh_session(&tokens::hash(refresh_token), tokens::hash(&issued.access_token), new_refresh, ends)
        .await?
        .ok_or(ServiceError::UnknownToken { soft_logout: false })?;
    // The new tokens are given to nobody here, so the old ones stay good for when the lock ends.
    if cx.storage.account(&device.user_id).await?.is_some_and(|account| account.locked) {
        return Err(ServiceError::UserLocked);
    }
    Ok(issued)
}
