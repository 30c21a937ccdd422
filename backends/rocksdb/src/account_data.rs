//! Account data, filters, profiles and pushers.

use async_trait::async_trait;
use olmstead_domain::{json::RawJson, position::Position};
use olmstead_storage::{
    AccountData, Result, StorageError,
    account_data::{AccountDataEntry, Pusher},
    accounts::Account,
    changes::ChangeKey,
};
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};

use crate::{
    RocksStore,
    accounts::{account_key, make_searchable},
    command::Command,
    keys::{Key, Table},
    locks::Locks,
    reads::{Reads, Span, json, raw},
    rows::live_device,
};

/// A new filter is compared with this many of the user's newest: clients set the same one at each start.
const COMPARED_FILTERS: usize = 64;

/// The room of an entry in keys: empty for global data, which no room id is.
fn room_part(room_id: Option<&RoomId>) -> &str {
    room_id.map_or("", RoomId::as_str)
}

fn entry_key(user_id: &UserId, room: &str, kind: &str) -> Key {
    Key::new(Table::AccountData).text(user_id).text(room).text(kind)
}

/// Position and content of an entry.
fn read_entry(value: &[u8]) -> Result<(Position, RawJson)> {
    let (position, content) = position_of(value)?;
    Ok((position, raw(Table::AccountData, content)?))
}

/// Position and unread content of an entry.
fn position_of(value: &[u8]) -> Result<(Position, &[u8])> {
    let Some((position, content)) = value.split_first_chunk::<8>() else {
        return Err(StorageError::damaged("an entry of account data"));
    };
    Ok((Position(u64::from_be_bytes(*position)), content))
}

fn entry(reads: &impl Reads, key: &Key) -> Result<Option<(Position, RawJson)>> {
    reads.get(key)?.map(|value| read_entry(&value)).transpose()
}

fn set_entry(
    command: &mut Command<'_>,
    user_id: &UserId,
    room: &str,
    kind: &str,
    before: Option<Position>,
    content: &RawJson,
) -> Result<()> {
    let log = |position| Key::new(Table::AccountDataLog).text(user_id).position(position).text(room).text(kind);
    if let Some(before) = before {
        command.delete(&log(before))?;
    }
    let position = command.position()?;
    let mut value = position.0.to_be_bytes().to_vec();
    value.extend_from_slice(content.get().as_bytes());
    command.put(&entry_key(user_id, room, kind), value)?;
    command.put(&log(position), [])?;
    command.change(ChangeKey::User(user_id.to_owned()))
}

/// Entries last set in a span, in the order they were set.
pub(crate) fn entries_between(
    reads: &impl Reads,
    user_id: &UserId,
    from: Position,
    to: Position,
) -> Result<Vec<AccountDataEntry>> {
    let log = Key::new(Table::AccountDataLog).text(user_id);
    let span = Span::between(&log.clone().position(from), &log.clone().position(to));
    let (mut names, mut keys) = (Vec::new(), Vec::new());
    for row in reads.scan(span)? {
        let (key, _) = row?;
        let mut parts = log.parts_after(&key)?;
        parts.position()?;
        let (room, kind) = (parts.text()?, parts.text()?);
        keys.push(entry_key(user_id, &room, &kind));
        names.push((room, kind));
    }
    let mut entries = Vec::with_capacity(keys.len());
    for ((room, kind), value) in names.into_iter().zip(reads.get_many(&keys)?) {
        let Some(value) = value else { continue };
        let damaged = |_| StorageError::damaged("a room id of account data");
        let room_id = if room.is_empty() { None } else { Some(OwnedRoomId::try_from(room).map_err(damaged)?) };
        let (position, content) = read_entry(&value)?;
        entries.push(AccountDataEntry { room_id, kind, content, position });
    }
    Ok(entries)
}

/// When one of several global entries was last set.
pub(crate) fn newest_of(reads: &impl Reads, user_id: &UserId, kinds: &[&str]) -> Result<Position> {
    let keys: Vec<Key> = kinds.iter().map(|kind| entry_key(user_id, room_part(None), kind)).collect();
    let mut newest = Position::START;
    for value in reads.get_many(&keys)?.into_iter().flatten() {
        newest = newest.max(position_of(&value)?.0);
    }
    Ok(newest)
}

fn filter_key(user_id: &UserId, number: u64) -> Key {
    Key::new(Table::Filter).text(user_id).u64(number)
}

fn put_filter(command: &mut Command<'_>, user_id: &UserId, filter: &RawJson) -> Result<u64> {
    let prefix = Key::new(Table::Filter).text(user_id);
    let mut newest = None;
    for row in command.scan(Span::prefix(&prefix).backward())?.take(COMPARED_FILTERS) {
        let (key, value) = row?;
        let id = prefix.parts_after(&key)?.u64()?;
        newest = newest.or(Some(id));
        if *value == *filter.get().as_bytes() {
            return Ok(id);
        }
    }
    let id = newest.map_or(0, |newest: u64| newest.saturating_add(1));
    command.put_raw(&filter_key(user_id, id), filter)?;
    Ok(id)
}

fn pusher_key(user_id: &UserId, app_id: &str, pushkey: &str) -> Key {
    Key::new(Table::Pusher).text(user_id).text(app_id).text(pushkey)
}

/// The users who have a pusher.
fn pusher_users(app_id: &str, pushkey: &str) -> Key {
    Key::new(Table::PusherByKey).text(app_id).text(pushkey)
}

fn users_with(reads: &impl Reads, app_id: &str, pushkey: &str) -> Result<Vec<OwnedUserId>> {
    let prefix = pusher_users(app_id, pushkey);
    reads.scan(Span::prefix(&prefix))?.map(|row| prefix.parts_after(&row?.0)?.id()).collect()
}

fn delete_pusher(command: &mut Command<'_>, user_id: &UserId, app_id: &str, pushkey: &str) -> Result<()> {
    command.delete(&pusher_key(user_id, app_id, pushkey))?;
    command.delete(&pusher_users(app_id, pushkey).text(user_id))
}

#[async_trait]
impl AccountData for RocksStore {
    async fn set_account_data(
        &self,
        user_id: &UserId,
        room_id: Option<&RoomId>,
        kind: &str,
        content: RawJson,
    ) -> Result<()> {
        let (user_id, room, kind) = (user_id.to_owned(), room_part(room_id).to_owned(), kind.to_owned());
        self.command(Locks::new().account_data(&user_id), move |command| {
            let before = entry(command, &entry_key(&user_id, &room, &kind))?.map(|(position, _)| position);
            set_entry(command, &user_id, &room, &kind, before, &content)
        })
        .await
    }

    async fn account_data(&self, user_id: &UserId, room_id: Option<&RoomId>, kind: &str) -> Result<Option<RawJson>> {
        let key = entry_key(user_id, room_part(room_id), kind);
        self.read(move |view| Ok(entry(view, &key)?.map(|(_, content)| content))).await
    }

    async fn replace_account_data(
        &self,
        user_id: &UserId,
        room_id: Option<&RoomId>,
        kind: &str,
        expected: Option<&RawJson>,
        content: RawJson,
    ) -> Result<bool> {
        let (user_id, room, kind) = (user_id.to_owned(), room_part(room_id).to_owned(), kind.to_owned());
        let expected = expected.cloned();
        self.command(Locks::new().account_data(&user_id), move |command| {
            let before = entry(command, &entry_key(&user_id, &room, &kind))?;
            if before.as_ref().map(|(_, content)| content) != expected.as_ref() {
                return Ok(false);
            }
            set_entry(command, &user_id, &room, &kind, before.map(|(position, _)| position), &content)?;
            Ok(true)
        })
        .await
    }

    async fn account_data_between(
        &self,
        user_id: &UserId,
        from: Position,
        to: Position,
    ) -> Result<Vec<AccountDataEntry>> {
        let user_id = user_id.to_owned();
        self.read_view(move |view, _| entries_between(view, &user_id, from, to)).await
    }

    async fn put_filter(&self, user_id: &UserId, filter: RawJson) -> Result<String> {
        let user_id = user_id.to_owned();
        self.command(Locks::new().account_data(&user_id), move |command| {
            put_filter(command, &user_id, &filter).map(|id| id.to_string())
        })
        .await
    }

    async fn filter(&self, user_id: &UserId, filter_id: &str) -> Result<Option<RawJson>> {
        // One filter has one id: no sign, no leading zeros.
        let Some(number) = filter_id.parse::<u64>().ok().filter(|number| number.to_string() == filter_id) else {
            return Ok(None);
        };
        let key = filter_key(user_id, number);
        self.read(move |view| view.get_raw(&key)).await
    }

    async fn profile(&self, user_id: &UserId) -> Result<Option<Vec<(String, RawJson)>>> {
        let user_id = user_id.to_owned();
        self.read_view(move |view, _| {
            if !view.has(&account_key(&user_id))? {
                return Ok(None);
            }
            let prefix = Key::new(Table::Profile).text(&user_id);
            let mut fields = Vec::new();
            for row in view.scan(Span::prefix(&prefix))? {
                let (key, value) = row?;
                fields.push((prefix.parts_after(&key)?.text()?, raw(Table::Profile, value)?));
            }
            Ok(Some(fields))
        })
        .await
    }

    async fn set_profile_field(&self, user_id: &UserId, field: &str, value: Option<RawJson>) -> Result<()> {
        let (user_id, field) = (user_id.to_owned(), field.to_owned());
        self.command(Locks::new().account_data(&user_id), move |command| {
            // A deactivation takes the same lock, and what it removed must not come back.
            let account: Option<Account> = command.get_json(&account_key(&user_id))?;
            if account.is_none_or(|account| account.deactivated) {
                return Ok(());
            }
            let key = Key::new(Table::Profile).text(&user_id).text(&field);
            match &value {
                Some(value) => command.put_raw(&key, value)?,
                None => command.delete(&key)?,
            }
            if field == "displayname" {
                let name: Option<String> = value.as_ref().and_then(|value| value.read().ok());
                make_searchable(command, &user_id, name.as_deref())?;
            }
            Ok(())
        })
        .await
    }

    async fn set_pusher(&self, pusher: Pusher, append: bool) -> Result<()> {
        loop {
            let (app_id, pushkey) = (pusher.app_id.clone(), pusher.pushkey.clone());
            let mut others = Vec::new();
            if !append {
                others = self.read(move |view| users_with(view, &app_id, &pushkey)).await?;
            }
            let locks = others.iter().fold(Locks::new(), |locks, other| locks.account_data(other));
            let locks = locks.account_data(&pusher.device.user_id).user_shared(&pusher.device.user_id);
            let pusher = pusher.clone();
            let done = self
                .command(locks, move |command| {
                    let (owner, app_id, pushkey) = (&pusher.device.user_id, &pusher.app_id, &pusher.pushkey);
                    if !append {
                        for other in users_with(command, app_id, pushkey)? {
                            if !others.contains(&other) && other != *owner {
                                // Set meanwhile by a user who is not locked.
                                return Ok(false);
                            }
                        }
                        for other in others.iter().filter(|other| *other != owner) {
                            delete_pusher(command, other, app_id, pushkey)?;
                        }
                    }
                    // Pushers go with their device.
                    if live_device(command, &pusher.device)?.is_some() {
                        command.put_json(&pusher_key(owner, app_id, pushkey), &pusher)?;
                        command.put(&pusher_users(app_id, pushkey).text(owner), [])?;
                    }
                    Ok(true)
                })
                .await?;
            if done {
                return Ok(());
            }
        }
    }

    async fn delete_pusher(&self, user_id: &UserId, app_id: &str, pushkey: &str) -> Result<()> {
        let (user_id, app_id, pushkey) = (user_id.to_owned(), app_id.to_owned(), pushkey.to_owned());
        self.command(Locks::new().account_data(&user_id), move |command| {
            delete_pusher(command, &user_id, &app_id, &pushkey)
        })
        .await
    }

    async fn pushers(&self, user_id: &UserId) -> Result<Vec<Pusher>> {
        let prefix = Key::new(Table::Pusher).text(user_id);
        self.read_view(move |view, _| {
            view.scan(Span::prefix(&prefix))?.map(|row| json(Table::Pusher, &row?.1)).collect()
        })
        .await
    }
}
