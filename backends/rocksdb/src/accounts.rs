//! Accounts.

use async_trait::async_trait;
use olmstead_storage::{
    Accounts, Result, StorageError,
    accounts::{Account, StandingChange},
    changes::ChangeKey,
    devices::{DeviceSelection, LoginOutcome, NewSession},
};
use ruma::{OwnedDeviceId, OwnedUserId, UserId};

use crate::{
    RocksStore,
    command::Command,
    devices::{begin_session, select},
    keys::{Key, Table},
    locks::Locks,
    reads::{Reads, Span},
    rows,
};

/// A search looks at this many users at most, so that its cost is bounded.
const SEARCHED: usize = 100_000;

/// The key of an account.
pub(crate) fn account_key(user_id: &UserId) -> Key {
    Key::new(Table::Account).text(user_id)
}

/// Whether there is an account that was not deactivated.
pub(crate) fn is_active(reads: &impl Reads, user_id: &UserId) -> Result<bool> {
    Ok(reads.get_json::<Account>(&account_key(user_id))?.is_some_and(|account| !account.deactivated))
}

fn search_key(user_id: &UserId) -> Key {
    Key::new(Table::UserSearch).text(user_id)
}

/// Lets a user be found by id and display name. To be called when the display name changes, too.
pub(crate) fn make_searchable(command: &mut Command<'_>, user_id: &UserId, display_name: Option<&str>) -> Result<()> {
    // No name holds the byte between them as anything but itself, and no term can span both by accident.
    let text = format!("{}\0{}", user_id.as_str().to_lowercase(), display_name.unwrap_or_default().to_lowercase());
    command.put(&search_key(user_id), text)
}

/// Creates an account, with a first session when one is given; `false` when the name is taken. Needs the lock of the user.
pub(crate) fn create(command: &mut Command<'_>, account: &Account, session: Option<&NewSession>) -> Result<bool> {
    let key = account_key(&account.user_id);
    if command.has(&key)? {
        return Ok(false);
    }
    command.put_json(&key, account)?;
    if !account.deactivated {
        make_searchable(command, &account.user_id, None)?;
    }
    if let Some(session) = session {
        let LoginOutcome::LoggedIn { .. } = begin_session(command, &account.user_id, session)? else {
            return Err(StorageError::damaged("a user without an account has cross-signing keys or devices"));
        };
    }
    Ok(true)
}

#[async_trait]
impl Accounts for RocksStore {
    async fn create_account(&self, account: Account, session: Option<NewSession>) -> Result<bool> {
        self.command(Locks::new().user(&account.user_id), move |command| create(command, &account, session.as_ref()))
            .await
    }

    async fn account(&self, user_id: &UserId) -> Result<Option<Account>> {
        let user_id = user_id.to_owned();
        self.read(move |view| view.get_json(&account_key(&user_id))).await
    }

    async fn set_password(
        &self,
        user_id: &UserId,
        password_hash: String,
        logout_others: bool,
        keep: Option<&OwnedDeviceId>,
    ) -> Result<Option<Vec<OwnedDeviceId>>> {
        let (user_id, keep) = (user_id.to_owned(), keep.cloned());
        self.command(Locks::new().user(&user_id).account_data(&user_id), move |command| {
            let key = account_key(&user_id);
            let account = command.get_json::<Account>(&key)?.filter(|account| !account.deactivated);
            let Some(mut account) = account else { return Ok(None) };
            account.password_hash = Some(password_hash.clone());
            command.put_json(&key, &account)?;
            if !logout_others {
                return Ok(Some(Vec::new()));
            }
            let selection = keep.clone().map_or(DeviceSelection::All, DeviceSelection::AllBut);
            let devices = select(command, &user_id, &selection)?;
            rows::delete_devices(command, &user_id, &devices)?;
            Ok(Some(devices.into_iter().map(|(id, _)| id).collect()))
        })
        .await
    }

    async fn deactivate_account(&self, user_id: &UserId, erase: bool) -> Result<bool> {
        let user_id = user_id.to_owned();
        let locks = Locks::new().user(&user_id).account_data(&user_id).backup(&user_id);
        self.command(locks, move |command| {
            let key = account_key(&user_id);
            let account = command.get_json::<Account>(&key)?.filter(|account| !account.deactivated);
            let Some(mut account) = account else { return Ok(false) };
            account.deactivated = true;
            account.password_hash = None;
            command.put_json(&key, &account)?;
            let devices = rows::devices(command, &user_id)?;
            rows::delete_devices(command, &user_id, &devices)?;
            if command.has(&rows::cross_signing_key(&user_id))? {
                command.delete(&rows::cross_signing_key(&user_id))?;
                rows::device_list_changed(command, &user_id)?;
            }
            let of_the_user = [Table::CrossSigningId, Table::ForeignSignature, Table::BackupInfo, Table::BackupKey];
            for table in of_the_user {
                command.delete_prefix(&Key::new(table).text(&user_id))?;
            }
            rows::delete_pushers(command, &user_id, |_| true)?;
            command.delete_prefix(&Key::new(Table::Profile).text(&user_id))?;
            command.delete(&search_key(&user_id))?;
            if erase {
                for table in [Table::AccountData, Table::AccountDataLog, Table::Filter] {
                    command.delete_prefix(&Key::new(table).text(&user_id))?;
                }
            }
            command.change(ChangeKey::User(user_id.clone()))?;
            Ok(true)
        })
        .await
    }

    async fn set_standing(&self, user_id: &UserId, change: StandingChange) -> Result<bool> {
        let user_id = user_id.to_owned();
        self.command(Locks::new().user(&user_id), move |command| {
            let key = account_key(&user_id);
            let Some(mut account) = command.get_json::<Account>(&key)? else { return Ok(false) };
            account.locked = change.locked.unwrap_or(account.locked);
            account.suspended = change.suspended.unwrap_or(account.suspended);
            account.admin = change.admin.unwrap_or(account.admin);
            command.put_json(&key, &account)?;
            // Waiting syncs read again and meet the new standing.
            command.change(ChangeKey::User(user_id.clone()))?;
            Ok(true)
        })
        .await
    }

    async fn search_users(&self, term: &str, limit: usize) -> Result<Vec<OwnedUserId>> {
        let term = term.to_lowercase();
        self.read(move |view| {
            let table = Key::new(Table::UserSearch);
            let mut users = Vec::new();
            for row in view.scan(Span::prefix(&table))?.take(SEARCHED) {
                if users.len() >= limit {
                    break;
                }
                let (key, text) = row?;
                if String::from_utf8_lossy(&text).contains(&term) {
                    users.push(table.parts_after(&key)?.id()?);
                }
            }
            Ok(users)
        })
        .await
    }
}
