//! Registration tokens.

use async_trait::async_trait;
use olmstead_storage::{
    RegistrationTokens, Result,
    accounts::Account,
    devices::{NewSession, TokenHash},
    registration_tokens::{Invited, RegistrationToken},
};

use crate::{
    RocksStore,
    accounts::create,
    keys::{Key, Table},
    locks::Locks,
    reads::{Reads, Span, json},
};

fn token_key(hash: &TokenHash) -> Key {
    Key::new(Table::RegistrationToken).bytes(hash)
}

fn lock(locks: Locks, hash: &TokenHash) -> Locks {
    locks.name("registration-token", &format!("{hash:?}"))
}

#[async_trait]
impl RegistrationTokens for RocksStore {
    async fn add_registration_token(&self, hash: &TokenHash, token: RegistrationToken) -> Result<bool> {
        let key = token_key(hash);
        self.command(lock(Locks::new(), hash), move |command| {
            if command.has(&key)? {
                return Ok(false);
            }
            command.put_json(&key, &token)?;
            Ok(true)
        })
        .await
    }

    async fn registration_token(&self, hash: &TokenHash) -> Result<Option<RegistrationToken>> {
        let key = token_key(hash);
        self.read(move |view| view.get_json(&key)).await
    }

    async fn registration_tokens_after(
        &self,
        after: Option<&TokenHash>,
        limit: usize,
    ) -> Result<Vec<RegistrationToken>> {
        let after = after.map(token_key);
        self.read(move |view| {
            let span = Span::prefix(&Key::new(Table::RegistrationToken));
            let span = match &after {
                Some(after) => span.after(after),
                None => span,
            };
            view.scan(span)?.take(limit).map(|row| json(Table::RegistrationToken, &row?.1)).collect()
        })
        .await
    }

    async fn delete_registration_token(&self, hash: &TokenHash) -> Result<bool> {
        let key = token_key(hash);
        self.command(lock(Locks::new(), hash), move |command| {
            let there = command.has(&key)?;
            if there {
                command.delete(&key)?;
            }
            Ok(there)
        })
        .await
    }

    async fn create_invited_account(
        &self,
        account: Account,
        session: Option<NewSession>,
        hash: &TokenHash,
        now: u64,
    ) -> Result<Invited> {
        let key = token_key(hash);
        self.command(lock(Locks::new(), hash).user(&account.user_id), move |command| {
            let token: Option<RegistrationToken> = command.get_json(&key)?;
            let Some(mut token) = token.filter(|token| token.is_valid(now)) else { return Ok(Invited::TokenNotValid) };
            if !create(command, &account, session.as_ref())? {
                return Ok(Invited::NameTaken);
            }
            token.uses_completed = token.uses_completed.saturating_add(1);
            command.put_json(&key, &token)?;
            Ok(Invited::Created)
        })
        .await
    }
}
