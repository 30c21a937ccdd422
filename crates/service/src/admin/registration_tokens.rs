//! `/_olmstead/admin/v1/registration_tokens`: tokens that let people register where `registration.mode` is `token`.
//!
//! The path names a token as a whole: whoever may ask may see all of them. The requests of the admin address are in no log
//! of the server with their paths, only with the route.

use olmstead_storage::registration_tokens::RegistrationToken;
use serde::{Deserialize, Serialize};

use super::{
    audit::{Operator, recorded},
    page_size,
};
use crate::{Context, Refusal, Result, ServiceError, accounts::tokens::hash};

/// Random bytes of a token that the server chooses.
const TOKEN_BYTES: usize = 12;
/// The most characters of a token (Client-Server API, Token-authenticated registration).
const MAX_TOKEN: usize = 64;
/// How much of a token the record of what operators did shows.
const SHOWN: usize = 4;

/// The query.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Request {
    /// Tokens after this one.
    pub from: Option<String>,
    /// How many at most.
    pub limit: Option<usize>,
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The token, and what is known of it.
    #[serde(flatten)]
    pub token: RegistrationToken,
    /// Whether an account may be made with it now.
    pub valid: bool,
}

/// The answer: a page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// In no order that means anything.
    pub tokens: Vec<Token>,
    /// For `from`, if there may be more.
    pub next: Option<String>,
}

/// Reads a page. The token of the configuration is not among them.
///
/// # Errors
/// Only those of the store.
pub async fn list(cx: &Context, request: &Request) -> Result<Response> {
    let limit = page_size(request.limit);
    let after = request.from.as_deref().map(hash);
    let tokens = cx.storage.registration_tokens_after(after.as_ref(), limit).await?;
    let next = if tokens.len() == limit { tokens.last().map(|token| token.token.clone()) } else { None };
    Ok(Response { tokens: tokens.into_iter().map(|token| shown(cx, token)).collect(), next })
}

/// One token.
///
/// # Errors
/// [`Refusal::NotFound`].
pub async fn show(cx: &Context, token: &str) -> Result<Token> {
    let found = cx.storage.registration_token(&hash(token)).await?;
    found.map(|token| shown(cx, token)).ok_or_else(unknown)
}

/// The body of a new token.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct New {
    /// The token: letters, digits and `._~-`, 64 at most. The server chooses one when it is absent.
    #[serde(default)]
    pub token: Option<String>,
    /// How many accounts may be made with it; any number when absent.
    #[serde(default)]
    pub uses_allowed: Option<u64>,
    /// From when on it does not work, milliseconds since the Unix epoch; never when absent.
    #[serde(default)]
    pub expires_at: Option<u64>,
}

/// Makes a token.
///
/// # Errors
/// [`Refusal::InvalidParam`] for a text that cannot be a token or is one already, for no uses, and for an end that is over.
pub async fn create(cx: &Context, operator: &Operator, wish: New) -> Result<Token> {
    let text = wish.token.unwrap_or_else(|| cx.random_text(TOKEN_BYTES));
    if !is_token(&text) {
        let message = format!("A token has 1 to {MAX_TOKEN} of the characters A-Z, a-z, 0-9 and . _ ~ -");
        return Err(ServiceError::invalid_param(message));
    }
    if wish.uses_allowed == Some(0) {
        return Err(ServiceError::invalid_param("A token without uses is of no use."));
    }
    let now = cx.now();
    // What PostgreSQL can count to; beyond it nobody lives.
    let limit = u64::try_from(i64::MAX).unwrap_or(u64::MAX);
    if wish.expires_at.is_some_and(|end| end <= now || end > limit) || wish.uses_allowed > Some(limit) {
        return Err(ServiceError::invalid_param("The end is in the past, or a number is too large."));
    }
    let token = RegistrationToken {
        token: text.clone(),
        uses_allowed: wish.uses_allowed,
        uses_completed: 0,
        expires_at: wish.expires_at,
        created_at: now,
    };
    let taken = || ServiceError::invalid_param("There is such a token already.");
    if cx.storage.registration_token(&hash(&text)).await?.is_some() {
        return Err(taken());
    }
    let details = format!("uses {:?}, until {:?}", wish.uses_allowed, wish.expires_at);
    recorded(cx, operator, ("registration_token.create", &hint(&text), &details), async {
        let added = cx.storage.add_registration_token(&hash(&text), token.clone()).await?;
        if added { Ok(()) } else { Err(taken()) }
    })
    .await?;
    Ok(shown(cx, token))
}

/// Deletes a token. Accounts that were made with it stay.
///
/// # Errors
/// [`Refusal::NotFound`].
pub async fn delete(cx: &Context, operator: &Operator, token: &str) -> Result<()> {
    show(cx, token).await?;
    recorded(cx, operator, ("registration_token.delete", &hint(token), ""), async {
        if cx.storage.delete_registration_token(&hash(token)).await? { Ok(()) } else { Err(unknown()) }
    })
    .await
}

fn shown(cx: &Context, token: RegistrationToken) -> Token {
    Token { valid: token.is_valid(cx.now()), token }
}

fn unknown() -> ServiceError {
    ServiceError::refused(Refusal::NotFound, "There is no such registration token.")
}

fn is_token(text: &str) -> bool {
    (1..=MAX_TOKEN).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
}

/// Enough of a token to know it by, and too little to use it: the record is kept for ever.
fn hint(token: &str) -> String {
    let shown: String = token.chars().take(SHOWN.min(token.chars().count() / 2)).collect();
    format!("{shown}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_the_grammar_of_the_specification() {
        for good in ["a", "A-Z_0.9~", &"x".repeat(64)] {
            assert!(is_token(good), "{good}");
        }
        for bad in ["", "a b", "a/b", "é", "a\0", "a%20", &"x".repeat(65)] {
            assert!(!is_token(bad), "{bad}");
        }
    }

    #[test]
    fn a_hint_never_is_the_token() {
        for (token, expected) in [("a", "…"), ("ab", "a…"), ("abcdefghij", "abcd…")] {
            assert_eq!(hint(token), expected);
        }
    }
}
