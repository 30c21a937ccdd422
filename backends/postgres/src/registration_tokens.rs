//! Registration tokens.

use async_trait::async_trait;
use olmstead_storage::{
    RegistrationTokens, Result,
    accounts::Account,
    devices::{NewSession, TokenHash},
    registration_tokens::{Invited, RegistrationToken},
};
use sqlx::{PgConnection, postgres::PgRow};

use crate::{
    PostgresStore,
    accounts::create,
    command::Command,
    error::Done,
    locks::Locks,
    rows::{self, Columns as _, number},
    store::{command, read},
    text::stored,
};

fn lock(locks: Locks, hash: &TokenHash) -> Locks {
    locks.name("registration token", &format!("{hash:?}"))
}

fn token_of(row: &PgRow) -> Done<RegistrationToken> {
    Ok(RegistrationToken {
        token: row.text("token")?,
        uses_allowed: row.maybe_count("uses_allowed")?,
        uses_completed: row.count("uses_completed")?,
        expires_at: row.maybe_count("expires_at")?,
        created_at: row.count("created_at")?,
    })
}

async fn find(sql: &mut PgConnection, hash: &TokenHash) -> Done<Option<RegistrationToken>> {
    sqlx::query(
        "SELECT token, uses_allowed, uses_completed, expires_at, created_at FROM registration_token WHERE hash = $1",
    )
    .bind(hash.as_slice())
    .fetch_optional(sql)
    .await?
    .as_ref()
    .map(token_of)
    .transpose()
}

async fn page(sql: &mut PgConnection, after: Option<&TokenHash>, limit: usize) -> Done<Vec<RegistrationToken>> {
    sqlx::query(
        "SELECT token, uses_allowed, uses_completed, expires_at, created_at FROM registration_token
         WHERE $1::bytea IS NULL OR hash > $1 ORDER BY hash LIMIT $2",
    )
    .bind(after.map(<[u8; 32]>::as_slice))
    .bind(rows::limit(limit))
    .fetch_all(sql)
    .await?
    .iter()
    .map(token_of)
    .collect()
}

async fn create_invited(
    command: &mut Command,
    account: &Account,
    session: Option<&NewSession>,
    hash: &TokenHash,
    now: u64,
) -> Done<Invited> {
    // The lock on the token keeps it as it is read.
    if find(command.sql(), hash).await?.is_none_or(|token| !token.is_valid(now)) {
        return Ok(Invited::TokenNotValid);
    }
    if !create(command, account, session).await? {
        return Ok(Invited::NameTaken);
    }
    sqlx::query("UPDATE registration_token SET uses_completed = uses_completed + 1 WHERE hash = $1")
        .bind(hash.as_slice())
        .execute(command.sql())
        .await?;
    Ok(Invited::Created)
}

#[async_trait]
impl RegistrationTokens for PostgresStore {
    async fn add_registration_token(&self, hash: &TokenHash, token: RegistrationToken) -> Result<bool> {
        command!(self, lock(Locks::new(), hash), |command| {
            let added = sqlx::query(
                "INSERT INTO registration_token (hash, token, uses_allowed, uses_completed, expires_at, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            )
            .bind(hash.as_slice())
            .bind(stored(&token.token))
            .bind(token.uses_allowed.map(number))
            .bind(number(token.uses_completed))
            .bind(token.expires_at.map(number))
            .bind(number(token.created_at))
            .execute(command.sql())
            .await?;
            Ok(added.rows_affected() > 0)
        })
    }

    async fn registration_token(&self, hash: &TokenHash) -> Result<Option<RegistrationToken>> {
        read!(self, |connection| find(connection, hash).await)
    }

    async fn registration_tokens_after(
        &self,
        after: Option<&TokenHash>,
        limit: usize,
    ) -> Result<Vec<RegistrationToken>> {
        read!(self, |connection| page(connection, after, limit).await)
    }

    async fn delete_registration_token(&self, hash: &TokenHash) -> Result<bool> {
        command!(self, lock(Locks::new(), hash), |command| {
            let deleted = sqlx::query("DELETE FROM registration_token WHERE hash = $1")
                .bind(hash.as_slice())
                .execute(command.sql())
                .await?;
            Ok(deleted.rows_affected() > 0)
        })
    }

    async fn create_invited_account(
        &self,
        account: Account,
        session: Option<NewSession>,
        hash: &TokenHash,
        now: u64,
    ) -> Result<Invited> {
        command!(self, lock(Locks::new(), hash).user(&account.user_id), |command| {
            create_invited(&mut command, &account, session.as_ref(), hash, now).await
        })
    }
}
