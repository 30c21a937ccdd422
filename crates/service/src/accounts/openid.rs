//! OpenID tokens, by which a third party learns who a user is and nothing else (module OpenID).

use olmstead_storage::devices::Session;
use ruma::{OwnedUserId, UserId};

use super::tokens;
use crate::{Context, Result, ServiceError};

/// The kind of short-lived value.
const KIND: &str = "openid";
/// How long a token works, milliseconds.
pub const LIFETIME_MS: u64 = 3_600_000;

/// Makes a token for the caller.
///
/// # Errors
/// [`crate::Refusal::Forbidden`] for anybody else.
pub async fn create(cx: &Context, session: &Session, user_id: &UserId) -> Result<String> {
    if session.device.user_id != user_id {
        return Err(ServiceError::forbidden("A token is only given for oneself."));
    }
    let token = tokens::fresh(cx, "olo_");
    let ends = cx.now().saturating_add(LIFETIME_MS);
    cx.storage.put_short_lived(KIND, &key(&token), user_id.as_bytes().to_vec(), ends).await?;
    Ok(token)
}

/// Whose token it is.
///
/// # Errors
/// [`ServiceError::UnknownToken`].
pub async fn user_of(cx: &Context, token: &str) -> Result<OwnedUserId> {
    let value = cx.storage.short_lived(KIND, &key(token), cx.now()).await?;
    value
        .and_then(|user_id| String::from_utf8(user_id).ok())
        .and_then(|user_id| UserId::parse(user_id).ok())
        .ok_or(ServiceError::UnknownToken { soft_logout: false })
}

fn key(token: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(tokens::hash(token))
}
