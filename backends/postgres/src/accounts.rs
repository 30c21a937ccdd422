//! Accounts.

use async_trait::async_trait;
use olmstead_storage::{
    Accounts, Result, StorageError,
    accounts::{Account, StandingChange},
    devices::{DeviceSelection, LoginOutcome, NewSession},
};
use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use sqlx::{PgConnection, postgres::PgRow};

use crate::{
    PostgresStore,
    command::Command,
    device_lists::{Taken, delete},
    devices::begin_session,
    error::Done,
    locks::Locks,
    rows::{Columns as _, limit, number},
    store::{command, read},
    text::stored,
};

/// A search looks at this many users at most, so that its cost is bounded.
const SEARCHED: i64 = 100_000;

/// What users are found by. No name holds the character between id and name, and no term can span both by accident.
fn search_text(user_id: &UserId, display_name: Option<&str>) -> String {
    let text = format!("{}\0{}", user_id.as_str().to_lowercase(), display_name.unwrap_or_default().to_lowercase());
    stored(&text).into_owned()
}

/// Lets a user be found by id and display name. To be called when the display name changes.
pub(crate) async fn make_searchable(sql: &mut PgConnection, user_id: &UserId, display_name: Option<&str>) -> Done<()> {
    sqlx::query("UPDATE account SET search = $2 WHERE user_id = $1")
        .bind(user_id.as_str())
        .bind(search_text(user_id, display_name))
        .execute(sql)
        .await?;
    Ok(())
}

/// Whether there is an account that was not deactivated.
pub(crate) async fn is_active(sql: &mut PgConnection, user_id: &UserId) -> Done<bool> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT FROM account WHERE user_id = $1 AND NOT deactivated)")
        .bind(user_id.as_str())
        .fetch_one(sql)
        .await?)
}

async fn account(sql: &mut PgConnection, user_id: &UserId) -> Done<Option<Account>> {
    let row = sqlx::query(
        "SELECT user_id, password_hash, guest, admin, deactivated, locked, suspended, created_at
         FROM account WHERE user_id = $1",
    )
    .bind(user_id.as_str())
    .fetch_optional(sql)
    .await?;
    row.as_ref().map(account_of).transpose()
}

/// A whole row of the table.
pub(crate) fn account_of(row: &PgRow) -> Done<Account> {
    Ok(Account {
        user_id: row.id("user_id")?,
        password_hash: row.maybe_text("password_hash")?,
        guest: row.flag("guest")?,
        admin: row.flag("admin")?,
        deactivated: row.flag("deactivated")?,
        locked: row.flag("locked")?,
        suspended: row.flag("suspended")?,
        created_at: row.count("created_at")?,
    })
}

/// Creates an account, with a first session when one is given; `false` when the name is taken. Needs the lock of the user.
pub(crate) async fn create(command: &mut Command, account: &Account, session: Option<&NewSession>) -> Done<bool> {
    let created = sqlx::query(
        "INSERT INTO account
             (user_id, password_hash, guest, admin, deactivated, locked, suspended, created_at, search)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
    )
    .bind(account.user_id.as_str())
    .bind(account.password_hash.as_deref().map(stored))
    .bind(account.guest)
    .bind(account.admin)
    .bind(account.deactivated)
    .bind(account.locked)
    .bind(account.suspended)
    .bind(number(account.created_at))
    .bind(search_text(&account.user_id, None))
    .execute(command.sql())
    .await?
    .rows_affected();
    if created == 0 {
        return Ok(false);
    }
    if let Some(session) = session {
        let LoginOutcome::LoggedIn { .. } = begin_session(command, &account.user_id, session).await? else {
            return Err(StorageError::damaged("a user without an account has cross-signing keys or devices").into());
        };
    }
    Ok(true)
}

async fn set_password(
    command: &mut Command,
    user_id: &UserId,
    password_hash: &str,
    logout_others: bool,
    keep: Option<&OwnedDeviceId>,
) -> Done<Option<Vec<OwnedDeviceId>>> {
    let set = sqlx::query("UPDATE account SET password_hash = $2 WHERE user_id = $1 AND NOT deactivated")
        .bind(user_id.as_str())
        .bind(stored(password_hash))
        .execute(command.sql())
        .await?
        .rows_affected();
    match (set > 0, logout_others) {
        (false, _) => Ok(None),
        (true, false) => Ok(Some(Vec::new())),
        (true, true) => {
            let selection = keep.cloned().map_or(DeviceSelection::All, DeviceSelection::AllBut);
            delete(command, user_id, Taken::Selected(&selection)).await.map(Some)
        }
    }
}

async fn deactivate(command: &mut Command, user_id: &UserId, erase: bool) -> Done<bool> {
    let ended = sqlx::query(
        "UPDATE account SET deactivated = true, password_hash = NULL WHERE user_id = $1 AND NOT deactivated",
    )
    .bind(user_id.as_str())
    .execute(command.sql())
    .await?
    .rows_affected();
    if ended == 0 {
        return Ok(false);
    }
    delete(command, user_id, Taken::Selected(&DeviceSelection::All)).await?;
    let cross_signing = sqlx::query("DELETE FROM cross_signing WHERE user_id = $1")
        .bind(user_id.as_str())
        .execute(command.sql())
        .await?
        .rows_affected();
    if cross_signing > 0 {
        command.device_list_changed(user_id).await?;
    }
    sqlx::query(
        "WITH ids AS (DELETE FROM cross_signing_id WHERE user_id = $1),
              signatures AS (DELETE FROM foreign_signature WHERE signed = $1),
              keys AS (DELETE FROM backup_key WHERE user_id = $1)
         DELETE FROM backup WHERE user_id = $1",
    )
    .bind(user_id.as_str())
    .execute(command.sql())
    .await?;
    sqlx::query("WITH pushers AS (DELETE FROM pusher WHERE user_id = $1) DELETE FROM profile WHERE user_id = $1")
        .bind(user_id.as_str())
        .execute(command.sql())
        .await?;
    if erase {
        sqlx::query(
            "WITH filters AS (DELETE FROM filter WHERE user_id = $1) DELETE FROM account_data WHERE user_id = $1",
        )
        .bind(user_id.as_str())
        .execute(command.sql())
        .await?;
    }
    command.change_of_user(user_id.to_owned());
    Ok(true)
}

async fn set_standing(command: &mut Command, user_id: &UserId, change: StandingChange) -> Done<bool> {
    let set = sqlx::query(
        "UPDATE account SET locked = coalesce($2, locked), suspended = coalesce($3, suspended),
             admin = coalesce($4, admin) WHERE user_id = $1",
    )
    .bind(user_id.as_str())
    .bind(change.locked)
    .bind(change.suspended)
    .bind(change.admin)
    .execute(command.sql())
    .await?
    .rows_affected();
    if set > 0 {
        // Waiting syncs read again and meet the new standing.
        command.change_of_user(user_id.to_owned());
    }
    Ok(set > 0)
}

async fn search(sql: &mut PgConnection, term: &str, most: usize) -> Done<Vec<OwnedUserId>> {
    sqlx::query(
        "SELECT user_id FROM (
             SELECT user_id, search FROM account WHERE NOT deactivated ORDER BY user_id LIMIT $3
         ) searched WHERE strpos(search, $1) > 0 ORDER BY user_id LIMIT $2",
    )
    .bind(stored(&term.to_lowercase()))
    .bind(limit(most))
    .bind(SEARCHED)
    .fetch_all(sql)
    .await?
    .iter()
    .map(|row| row.id("user_id"))
    .collect()
}

#[async_trait]
impl Accounts for PostgresStore {
    async fn create_account(&self, account: Account, session: Option<NewSession>) -> Result<bool> {
        command!(self, Locks::new().user(&account.user_id), |command| {
            create(&mut command, &account, session.as_ref()).await
        })
    }

    async fn account(&self, user_id: &UserId) -> Result<Option<Account>> {
        read!(self, |connection| account(connection, user_id).await)
    }

    async fn set_password(
        &self,
        user_id: &UserId,
        password_hash: String,
        logout_others: bool,
        keep: Option<&OwnedDeviceId>,
    ) -> Result<Option<Vec<OwnedDeviceId>>> {
        command!(self, Locks::new().user(user_id).account_data(user_id), |command| {
            set_password(&mut command, user_id, &password_hash, logout_others, keep).await
        })
    }

    async fn deactivate_account(&self, user_id: &UserId, erase: bool) -> Result<bool> {
        let locks = Locks::new().user(user_id).account_data(user_id).backup(user_id);
        command!(self, locks, |command| deactivate(&mut command, user_id, erase).await)
    }

    async fn set_standing(&self, user_id: &UserId, change: StandingChange) -> Result<bool> {
        command!(self, Locks::new().user(user_id), |command| set_standing(&mut command, user_id, change).await)
    }

    async fn search_users(&self, term: &str, most: usize) -> Result<Vec<OwnedUserId>> {
        read!(self, |connection| search(connection, term, most).await)
    }
}
