//! Registration tokens: who knows one may make an account.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    Result,
    accounts::Account,
    devices::{NewSession, TokenHash},
};

/// A registration token. Operators have to see it to hand it out, so its text is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationToken {
    /// The token.
    pub token: String,
    /// How many accounts may be made with it; `None` for any number.
    pub uses_allowed: Option<u64>,
    /// How many accounts were made with it.
    pub uses_completed: u64,
    /// From when on it does not work any more, milliseconds since the Unix epoch; `None` for never.
    pub expires_at: Option<u64>,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_at: u64,
}

impl RegistrationToken {
    /// Whether an account may be made with it now.
    #[must_use]
    pub fn is_valid(&self, now: u64) -> bool {
        self.uses_allowed.is_none_or(|allowed| self.uses_completed < allowed)
            && self.expires_at.is_none_or(|end| now < end)
    }
}

/// How making an account with a token ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invited {
    /// The account is made, and the use counted.
    Created,
    /// The name is taken; nothing was done and no use counted.
    NameTaken,
    /// The token is not there, spent or over; nothing was done.
    TokenNotValid,
}

/// Registration tokens, each known by the hash of its text: what an attacker tries is not compared with the texts, so the
/// time that takes says nothing of them.
#[async_trait]
pub trait RegistrationTokens: Send + Sync {
    /// Keeps a new token; `false` when there is one under the hash and nothing was done.
    async fn add_registration_token(&self, hash: &TokenHash, token: RegistrationToken) -> Result<bool>;

    /// The token, valid or not.
    async fn registration_token(&self, hash: &TokenHash) -> Result<Option<RegistrationToken>>;

    /// Tokens in order of their hashes, those after `after`, at most `limit`.
    async fn registration_tokens_after(
        &self,
        after: Option<&TokenHash>,
        limit: usize,
    ) -> Result<Vec<RegistrationToken>>;

    /// Deletes a token; whether it was there.
    async fn delete_registration_token(&self, hash: &TokenHash) -> Result<bool>;

    /// Creates an account as [`crate::Accounts::create_account`] does, and counts a use of the token, which must be valid
    /// `now`, in the same step.
    async fn create_invited_account(
        &self,
        account: Account,
        session: Option<NewSession>,
        hash: &TokenHash,
        now: u64,
    ) -> Result<Invited>;
}
