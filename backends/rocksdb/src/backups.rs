//! Server-side key backups.

use std::collections::BTreeMap;

use async_trait::async_trait;
use olmstead_domain::{
    backup::{BackupVersion, KeyBackupData, replaces},
    json::RawJson,
};
use olmstead_storage::{
    Backups, Result, StorageError,
    backups::{
        BackupInfo, BackupKey, BackupSelection, BackupState, DeleteBackupOutcome, PutBackupOutcome, StoredBackupKey,
        UpdateBackupOutcome,
    },
};
use ruma::{RoomId, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    RocksStore,
    keys::{Key, Table},
    locks::Locks,
    reads::{Reads, Span, json},
};

/// Keys are read in groups of this many.
const GROUP: usize = 512;

/// A version as stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct InfoRow {
    algorithm: String,
    auth_data: RawJson,
    count: u64,
    etag: u64,
}

impl InfoRow {
    fn shown(self, version: BackupVersion) -> BackupInfo {
        let Self { algorithm, auth_data, count, etag } = self;
        BackupInfo { version, algorithm, auth_data, count, etag }
    }

    const fn state(&self) -> BackupState {
        BackupState { etag: self.etag, count: self.count }
    }
}

fn counter_key(user_id: &UserId) -> Key {
    Key::new(Table::BackupCounter).text(user_id)
}

fn info_key(user_id: &UserId, version: BackupVersion) -> Key {
    Key::new(Table::BackupInfo).text(user_id).u64(version.0)
}

fn keys_prefix(user_id: &UserId, version: BackupVersion) -> Key {
    Key::new(Table::BackupKey).text(user_id).u64(version.0)
}

/// A selection that owns its ids.
enum Selected {
    All,
    Room(String),
    Session(String, String),
}

impl From<BackupSelection<'_>> for Selected {
    fn from(selection: BackupSelection<'_>) -> Self {
        match selection {
            BackupSelection::All => Self::All,
            BackupSelection::Room(room) => Self::Room(room.to_string()),
            BackupSelection::Session(room, session) => Self::Session(room.to_string(), session.to_owned()),
        }
    }
}

impl Selected {
    /// The rows of a version it takes.
    fn span(&self, keys: &Key) -> Span {
        let keys = keys.clone();
        Span::prefix(&match self {
            Self::All => keys,
            Self::Room(room) => keys.text(room),
            Self::Session(room, session) => keys.text(room).text(session),
        })
    }
}

/// The newest version that exists.
fn newest(reads: &impl Reads, user_id: &UserId) -> Result<Option<(BackupVersion, InfoRow)>> {
    let prefix = Key::new(Table::BackupInfo).text(user_id);
    let Some(row) = reads.scan(Span::prefix(&prefix).backward())?.next() else { return Ok(None) };
    let (key, value) = row?;
    Ok(Some((BackupVersion(prefix.parts_after(&key)?.u64()?), json(Table::BackupInfo, &value)?)))
}

#[async_trait]
impl Backups for RocksStore {
    async fn create_backup(&self, user_id: &UserId, algorithm: String, auth_data: RawJson) -> Result<BackupVersion> {
        let user_id = user_id.to_owned();
        self.command(Locks::new().backup(&user_id), move |command| {
            let counter = counter_key(&user_id);
            let version = BackupVersion(command.get_u64(&counter)?.unwrap_or_default()).next();
            command.put_u64(&counter, version.0)?;
            let info = InfoRow { algorithm: algorithm.clone(), auth_data: auth_data.clone(), count: 0, etag: 0 };
            command.put_json(&info_key(&user_id, version), &info)?;
            Ok(version)
        })
        .await
    }

    async fn backup(&self, user_id: &UserId, version: Option<BackupVersion>) -> Result<Option<BackupInfo>> {
        let user_id = user_id.to_owned();
        self.read(move |view| {
            let found = match version {
                Some(version) => view.get_json(&info_key(&user_id, version))?.map(|info: InfoRow| (version, info)),
                None => newest(view, &user_id)?,
            };
            Ok(found.map(|(version, info)| info.shown(version)))
        })
        .await
    }

    async fn update_backup(
        &self,
        user_id: &UserId,
        version: BackupVersion,
        algorithm: &str,
        auth_data: RawJson,
    ) -> Result<UpdateBackupOutcome> {
        let (user_id, algorithm) = (user_id.to_owned(), algorithm.to_owned());
        self.command(Locks::new().backup(&user_id), move |command| {
            let key = info_key(&user_id, version);
            let Some(mut info) = command.get_json::<InfoRow>(&key)? else { return Ok(UpdateBackupOutcome::NotFound) };
            if info.algorithm != algorithm {
                return Ok(UpdateBackupOutcome::OtherAlgorithm);
            }
            info.auth_data = auth_data.clone();
            command.put_json(&key, &info)?;
            Ok(UpdateBackupOutcome::Updated)
        })
        .await
    }

    async fn delete_backup(&self, user_id: &UserId, version: BackupVersion) -> Result<DeleteBackupOutcome> {
        let user_id = user_id.to_owned();
        self.command(Locks::new().backup(&user_id), move |command| {
            let key = info_key(&user_id, version);
            if command.has(&key)? {
                command.delete(&key)?;
                command.delete_prefix(&keys_prefix(&user_id, version))?;
                return Ok(DeleteBackupOutcome::Deleted);
            }
            // Every number up to the counter was a version once.
            let last = command.get_u64(&counter_key(&user_id))?.unwrap_or_default();
            let was = (1..=last).contains(&version.0);
            Ok(if was { DeleteBackupOutcome::Deleted } else { DeleteBackupOutcome::NotFound })
        })
        .await
    }

    async fn put_backup_keys(
        &self,
        user_id: &UserId,
        version: BackupVersion,
        keys: Vec<BackupKey>,
    ) -> Result<PutBackupOutcome> {
        let (user_id, is_long) = (user_id.to_owned(), keys.len() > GROUP);
        self.command_of(is_long, Locks::new().backup(&user_id), move |command| {
            let mut info = match newest(command, &user_id)? {
                Some((current, info)) if current == version => info,
                Some((current, _)) if command.has(&info_key(&user_id, version))? => {
                    return Ok(PutBackupOutcome::NotCurrent { current });
                }
                _ => return Ok(PutBackupOutcome::NotFound),
            };
            // In the order of the rows, and each session once: of two in one command the rule picks, too.
            let mut best: BTreeMap<(&RoomId, &str), &KeyBackupData> = BTreeMap::new();
            for BackupKey { room_id, session_id, data } in &keys {
                match best.entry((room_id, session_id.as_str())) {
                    std::collections::btree_map::Entry::Vacant(free) => {
                        free.insert(data);
                    }
                    std::collections::btree_map::Entry::Occupied(mut taken) if replaces(taken.get(), data) => {
                        taken.insert(data);
                    }
                    std::collections::btree_map::Entry::Occupied(_) => {}
                }
            }
            let prefix = keys_prefix(&user_id, version);
            let best: Vec<(Key, &KeyBackupData)> = best
                .into_iter()
                .map(|((room_id, session_id), data)| (prefix.clone().text(room_id).text(session_id), data))
                .collect();
            let mut changed = false;
            for group in best.chunks(GROUP) {
                let rows: Vec<Key> = group.iter().map(|(key, _)| key.clone()).collect();
                for ((key, new), stored) in group.iter().zip(command.get_many(&rows)?) {
                    let stored: Option<KeyBackupData> =
                        stored.map(|value| json(Table::BackupKey, &value)).transpose()?;
                    match stored {
                        Some(old) if !replaces(&old, new) => continue,
                        Some(_) => {}
                        None => info.count += 1,
                    }
                    let value = serde_json::to_vec(new).map_err(|error| StorageError::corrupt("a room key", error))?;
                    command.put_blob(key, &value)?;
                    changed = true;
                }
            }
            if changed {
                info.etag += 1;
                command.put_json(&info_key(&user_id, version), &info)?;
            }
            Ok(PutBackupOutcome::Stored(info.state()))
        })
        .await
    }

    async fn backup_keys(
        &self,
        user_id: &UserId,
        version: BackupVersion,
        selection: BackupSelection<'_>,
    ) -> Result<Option<Vec<StoredBackupKey>>> {
        let (user_id, selected) = (user_id.to_owned(), Selected::from(selection));
        let is_long = matches!(selected, Selected::All);
        self.read_view_of(is_long, move |view, _| {
            if !view.has(&info_key(&user_id, version))? {
                return Ok(None);
            }
            let prefix = keys_prefix(&user_id, version);
            let mut keys = Vec::new();
            for row in view.scan(selected.span(&prefix))? {
                let (key, value) = row?;
                let mut parts = prefix.parts_after(&key)?;
                keys.push(StoredBackupKey {
                    room_id: parts.id()?,
                    session_id: parts.text()?,
                    data: String::from_utf8(value.into_vec())
                        .map_err(|error| StorageError::corrupt("a backed-up key", error))?,
                });
            }
            Ok(Some(keys))
        })
        .await
    }

    async fn delete_backup_keys(
        &self,
        user_id: &UserId,
        version: BackupVersion,
        selection: BackupSelection<'_>,
    ) -> Result<Option<BackupState>> {
        let (user_id, selected) = (user_id.to_owned(), Selected::from(selection));
        self.command(Locks::new().backup(&user_id), move |command| {
            let key = info_key(&user_id, version);
            let Some(mut info) = command.get_json::<InfoRow>(&key)? else { return Ok(None) };
            let span = selected.span(&keys_prefix(&user_id, version));
            let gone = match selected {
                Selected::All => info.count,
                _ => {
                    let mut count = 0;
                    for row in command.scan(span.clone())? {
                        row?;
                        count += 1;
                    }
                    count
                }
            };
            if gone > 0 {
                command.delete_span(span)?;
                info.count = info.count.saturating_sub(gone);
                info.etag += 1;
                command.put_json(&key, &info)?;
            }
            Ok(Some(info.state()))
        })
        .await
    }
}
