//! The model of key backups: to each user versions, to each version keys.

use std::collections::BTreeMap;

use olmstead_domain::backup::{BackupVersion, KeyBackupData, replaces};
use olmstead_storage::backups::{
    BackupKey, BackupSelection, BackupState, DeleteBackupOutcome, PutBackupOutcome, UpdateBackupOutcome,
};
use ruma::{OwnedRoomId, OwnedUserId};
use serde_json::json;

use super::{StoreModel, same};
use crate::{
    Store,
    random::Random,
    support::{raw, room_id},
};

const USERS: [&str; 2] = ["alice", "bob"];

/// A room and a session.
type Place = (usize, usize);

/// Which keys: all, those of a room, or one.
type Selection = Option<(usize, Option<usize>)>;

/// How far back from the last version that was made; beyond the first, or before it (`None`), there is none.
type Back = Option<u64>;

#[derive(Debug, Clone)]
pub(crate) enum Command {
    Create(usize),
    Put(usize, Back, Vec<(Place, bool, u64, u64)>),
    Update(usize, Back, bool),
    Delete(usize, Back),
    DeleteKeys(usize, Back, Selection),
    Read(usize, Back, Selection),
    Newest(usize),
}

#[derive(Debug, Default)]
struct Version {
    auth_data: u64,
    keys: BTreeMap<(OwnedRoomId, String), KeyBackupData>,
    /// The etag as the store said it last.
    etag: u64,
}

#[derive(Debug, Default)]
struct User {
    last: u64,
    versions: BTreeMap<u64, Version>,
}

pub(crate) struct Model {
    ids: Vec<OwnedUserId>,
    users: Vec<User>,
    updates: u64,
}

fn back(random: &mut Random) -> Back {
    match random.below(8) {
        0 => None,
        1 => Some(random.number() % 4),
        _ => Some(0),
    }
}

fn selection(random: &mut Random) -> Selection {
    match random.below(3) {
        0 => None,
        1 => Some((random.below(3), None)),
        _ => Some((random.below(3), Some(random.below(4)))),
    }
}

fn room(number: usize) -> OwnedRoomId {
    room_id(["a", "ab", "b"][number])
}

fn session(number: usize) -> String {
    ["s", "s/1", "s1", ""][number].to_owned() + "x"
}

/// A selection that owns what it names.
struct Selected(OwnedRoomId, String, Selection);

impl Selected {
    fn new(selection: Selection) -> Self {
        let (at, number) = selection.unwrap_or_default();
        Self(room(at), session(number.unwrap_or_default()), selection)
    }

    fn get(&self) -> BackupSelection<'_> {
        match self.2 {
            None => BackupSelection::All,
            Some((_, None)) => BackupSelection::Room(&self.0),
            Some((_, Some(_))) => BackupSelection::Session(&self.0, &self.1),
        }
    }
}

fn is_selected(selection: Selection, place: &(OwnedRoomId, String)) -> bool {
    selection.is_none_or(|(number, at)| place.0 == room(number) && at.is_none_or(|at| place.1 == session(at)))
}

impl Version {
    fn count(&self) -> u64 {
        u64::try_from(self.keys.len()).unwrap()
    }

    /// Compares a state that the store gives with the keys; the etag has grown if they `changed`, else it is the same.
    fn check_state(&mut self, state: BackupState, changed: bool) -> Result<(), String> {
        same("the count", state.count, self.count())?;
        let grown = if changed { state.etag > self.etag } else { state.etag == self.etag };
        if !grown {
            return Err(format!("etag {} after {}, changed: {changed}", state.etag, self.etag));
        }
        self.etag = state.etag;
        Ok(())
    }
}

impl User {
    fn version(&self, back: Back) -> BackupVersion {
        BackupVersion(back.map_or(self.last + 7, |back| self.last.saturating_sub(back)))
    }
}

impl StoreModel for Model {
    type Command = Command;

    fn command(random: &mut Random) -> Command {
        let user = random.below(USERS.len());
        match random.below(20) {
            0 | 1 => Command::Create(user),
            2..=9 => {
                let keys: BTreeMap<Place, (bool, u64, u64)> = (0..random.below(5))
                    .map(|_| {
                        let place = (random.below(3), random.below(4));
                        (place, (random.once_in(3), random.number() % 3, random.number() % 3))
                    })
                    .collect();
                let keys =
                    keys.into_iter().map(|(place, (verified, index, forwarded))| (place, verified, index, forwarded));
                Command::Put(user, back(random), keys.collect())
            }
            10 | 11 => Command::Update(user, back(random), random.once_in(4)),
            12 if random.once_in(2) => Command::Delete(user, back(random)),
            12 | 13 => Command::DeleteKeys(user, back(random), selection(random)),
            14..=17 => Command::Read(user, back(random), selection(random)),
            _ => Command::Newest(user),
        }
    }

    async fn begin(store: &Store) -> Self {
        let mut ids = Vec::new();
        for name in USERS {
            ids.push(store.user(name).await);
        }
        Self { ids, users: USERS.map(|_| User::default()).into(), updates: 0 }
    }

    async fn step(&mut self, store: &Store, command: &Command) -> Result<(), String> {
        match command {
            Command::Create(user) => {
                let (id, user) = (&self.ids[*user], &mut self.users[*user]);
                self.updates += 1;
                let made = store.create_backup(id, "algorithm".to_owned(), raw(json!({ "n": self.updates }))).await;
                let made = made.unwrap().0;
                if made <= user.last {
                    return Err(format!("version {made} after {}", user.last));
                }
                user.last = made;
                let info = store.backup(id, None).await.unwrap().ok_or("the new version is not there")?;
                let version = Version { auth_data: self.updates, keys: BTreeMap::new(), etag: info.etag };
                user.versions.insert(made, version);
                same("the newest", (info.version.0, info.count), (made, 0))
            }
            Command::Put(user, back, keys) => self.put(store, *user, *back, keys).await,
            Command::Update(user, back, other) => {
                let (id, user) = (&self.ids[*user], &mut self.users[*user]);
                let version = user.version(*back);
                self.updates += 1;
                let algorithm = if *other { "other" } else { "algorithm" };
                let outcome =
                    store.update_backup(id, version, algorithm, raw(json!({ "n": self.updates }))).await.unwrap();
                let expected = match user.versions.get_mut(&version.0) {
                    None => UpdateBackupOutcome::NotFound,
                    Some(_) if *other => UpdateBackupOutcome::OtherAlgorithm,
                    Some(version) => {
                        version.auth_data = self.updates;
                        UpdateBackupOutcome::Updated
                    }
                };
                same("an update", outcome, expected)
            }
            Command::Delete(user, back) => {
                let (id, user) = (&self.ids[*user], &mut self.users[*user]);
                let version = user.version(*back);
                let outcome = store.delete_backup(id, version).await.unwrap();
                user.versions.remove(&version.0);
                // Numbers between the versions that were made need not be known.
                let was = version.0 > 0 && version.0 <= user.last;
                let expected = if was { DeleteBackupOutcome::Deleted } else { DeleteBackupOutcome::NotFound };
                same("a deletion", outcome, expected)
            }
            Command::DeleteKeys(user, back, selection) => {
                let (id, user) = (&self.ids[*user], &mut self.users[*user]);
                let version = user.version(*back);
                let selected = Selected::new(*selection);
                let state = store.delete_backup_keys(id, version, selected.get()).await;
                match (state.unwrap(), user.versions.get_mut(&version.0)) {
                    (None, None) => Ok(()),
                    (Some(state), Some(version)) => {
                        let before = version.keys.len();
                        version.keys.retain(|place, _| !is_selected(*selection, place));
                        let changed = version.keys.len() != before;
                        version.check_state(state, changed)
                    }
                    (state, version) => Err(format!("deleted keys: the store {state:?}, the model {version:?}")),
                }
            }
            Command::Read(user, back, selection) => self.read(store, *user, *back, *selection).await,
            Command::Newest(user) => {
                let (id, user) = (&self.ids[*user], &mut self.users[*user]);
                let info = store.backup(id, None).await.unwrap();
                let newest = user.versions.last_key_value().map(|(number, _)| *number);
                same("the newest", info.as_ref().map(|info| info.version.0), newest)
            }
        }
    }
}

impl Model {
    async fn put(
        &mut self,
        store: &Store,
        user: usize,
        back: Back,
        keys: &[(Place, bool, u64, u64)],
    ) -> Result<(), String> {
        let (id, user) = (&self.ids[user], &mut self.users[user]);
        let version = user.version(back);
        let keys: Vec<BackupKey> = keys
            .iter()
            .map(|((at, number), verified, index, forwarded)| {
                self.updates += 1;
                let data = KeyBackupData {
                    first_message_index: *index,
                    forwarded_count: *forwarded,
                    is_verified: *verified,
                    session_data: raw(json!({ "n": self.updates })),
                };
                BackupKey { room_id: room(*at), session_id: session(*number), data }
            })
            .collect();
        let outcome = store.put_backup_keys(id, version, keys.clone()).await.unwrap();
        let newest = user.versions.last_key_value().map(|(number, _)| *number);
        match (outcome, user.versions.get_mut(&version.0)) {
            (PutBackupOutcome::NotFound, None) => Ok(()),
            (PutBackupOutcome::NotCurrent { current }, Some(_)) if Some(version.0) != newest => {
                same("the current version", Some(current.0), newest)
            }
            (PutBackupOutcome::Stored(state), Some(stored)) if Some(version.0) == newest => {
                let mut changed = false;
                for key in keys {
                    let place = (key.room_id, key.session_id);
                    if stored.keys.get(&place).is_none_or(|old| replaces(old, &key.data)) {
                        stored.keys.insert(place, key.data);
                        changed = true;
                    }
                }
                stored.check_state(state, changed)
            }
            (outcome, stored) => Err(format!("a put: the store {outcome:?}, the model {stored:?}, newest {newest:?}")),
        }
    }

    async fn read(&mut self, store: &Store, user: usize, back: Back, selection: Selection) -> Result<(), String> {
        let (id, user) = (&self.ids[user], &mut self.users[user]);
        let version = user.version(back);
        let keys = store.backup_keys(id, version, Selected::new(selection).get()).await;
        let keys = keys
            .unwrap()
            .map(|keys| keys.into_iter().map(|key| ((key.room_id, key.session_id), key.data)).collect::<Vec<_>>());
        let info = store.backup(id, Some(version)).await.unwrap();
        let Some(stored) = user.versions.get_mut(&version.0) else {
            return same("an absent version", (keys, info), (None, None));
        };
        let expected: Vec<_> = stored
            .keys
            .iter()
            .filter(|(place, _)| is_selected(selection, place))
            .map(|(place, data)| (place.clone(), data.clone()))
            .collect();
        same("keys", keys, Some(expected))?;
        let info = info.ok_or("the version is not there")?;
        same("the description", info.auth_data, raw(json!({ "n": stored.auth_data })))?;
        stored.check_state(BackupState { etag: info.etag, count: info.count }, false)
    }
}
