//! `POST /login/get_token`: a token that logs another device in, once (AUTH-16).

use olmstead_domain::json::RawJson;
use olmstead_storage::devices::Session;
use ruma::{OwnedUserId, UserId};

use super::tokens;
use crate::{
    Context, Result, ServiceError,
    uia::{self, PASSWORD},
};

/// The kind of short-lived value.
const KIND: &str = "login_token";
/// How long a token works, milliseconds; the default the spec recommends.
pub const LIFETIME_MS: u64 = 120_000;

/// Makes a token after the user proved to be there.
///
/// # Errors
/// The 401 of user-interactive authentication.
pub async fn create(cx: &Context, session: &Session, body: &RawJson) -> Result<String> {
    uia::authorise(cx, session, "POST /login/get_token", body, PASSWORD).await?;
    let token = tokens::fresh(cx, "oll_");
    let ends = cx.now().saturating_add(LIFETIME_MS);
    cx.storage.put_short_lived(KIND, &key(&token), session.device.user_id.as_bytes().to_vec(), ends).await?;
    Ok(token)
}

/// Whom a token logs in, which it still does after this.
///
/// # Errors
/// [`crate::Refusal::Forbidden`] when it is unknown, spent or has ended.
pub(crate) async fn owner(cx: &Context, token: &str) -> Result<OwnedUserId> {
    user(cx.storage.short_lived(KIND, &key(token), cx.now()).await?)
}

/// Takes a token; nobody can take it again.
///
/// # Errors
/// As [`owner`].
pub(crate) async fn redeem(cx: &Context, token: &str) -> Result<OwnedUserId> {
    user(cx.storage.take_short_lived(KIND, &key(token), cx.now()).await?)
}

fn user(stored: Option<Vec<u8>>) -> Result<OwnedUserId> {
    stored
        .and_then(|user_id| String::from_utf8(user_id).ok())
        .and_then(|user_id| UserId::parse(user_id).ok())
        .ok_or_else(|| ServiceError::forbidden("The login token is not valid."))
}

/// Tokens are found by their hash, so reading the store does not give any out.
fn key(token: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(tokens::hash(token))
}
