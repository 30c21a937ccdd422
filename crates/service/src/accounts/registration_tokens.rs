//! Registration tokens: the one of the configuration, which works without end, and those of the store, which operators
//! make, count and delete.

use olmstead_storage::devices::TokenHash;

use super::tokens;
use crate::{Context, RegistrationMode, Result, Secret};

/// What a token that works now is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invitation {
    /// The token of the configuration; its uses are not counted.
    Endless,
    /// A token of the store, by its hash; a use is counted when the account is made.
    Counted(TokenHash),
}

/// What lets this token register, if it does now.
///
/// Only hashes are compared and looked up, and nobody can choose a text so that its hash comes near to another: the time
/// an answer takes says nothing of the tokens there are.
pub(crate) async fn invitation(cx: &Context, token: &str) -> Result<Option<Invitation>> {
    let RegistrationMode::Token(fixed) = &cx.config.registration else { return Ok(None) };
    let hash = tokens::hash(token);
    let fixed = fixed.as_ref().map(Secret::reveal).filter(|fixed| !fixed.is_empty());
    if fixed.is_some_and(|fixed| tokens::hash(fixed) == hash) {
        return Ok(Some(Invitation::Endless));
    }
    let found = cx.storage.registration_token(&hash).await?;
    Ok(found.filter(|token| token.is_valid(cx.now())).map(|_| Invitation::Counted(hash)))
}
