//! The state of a connection, kept in the store, so that any node can go on with it.
//!
//! A record has one state, the root, and what up to a few answers made of it. A client that got an answer uses its `pos`;
//! when that leads to another change, the state of this `pos` becomes the root, and what was before is forgotten: it
//! cannot be asked for again. One that got no answer uses the `pos` from before again, and an answer that is made
//! meanwhile by an abandoned request does no harm, since both stay until one of them is used.

use hmac::{Hmac, Mac as _};
use olmstead_domain::position::SlidingToken;
use olmstead_storage::{StorageError, changes::Horizon, devices::DeviceRef};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

use super::{
    asked::unknown_pos,
    required::Sets,
    told::{Change, Told},
};
use crate::{Context, Result, ServiceError};

/// The kind of short-lived value of a connection.
const KIND: &str = "sliding_sync";
/// The kind of short-lived value of the list of a device's connections.
const LIST_KIND: &str = "sliding_sync_list";
/// How long a connection is remembered that nobody uses, milliseconds.
const KEPT_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// How many answers are remembered of which none was used.
const ANSWERS: usize = 4;
/// Connections of a device; the oldest goes for one more.
pub(super) const CONNECTIONS: usize = 16;
/// Different sets of required state on a connection. Clients have a few; one with more has to begin again.
const SETS: usize = 32;
/// How often a write is tried against others.
const TRIES: usize = 8;
/// The root of who was told nothing.
const BEGINNING: u64 = 0;

/// A connection as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// What seals are made with.
    secret: String,
    /// Until when it is kept.
    ends: u64,
    sets: Sets,
    root: u64,
    told: Told,
    answers: Vec<Answer>,
}

/// What an answer made of the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Answer {
    state: u64,
    change: Change,
}

impl Record {
    /// A connection on which nothing was told.
    fn begin(secret: String, ends: u64) -> Self {
        let (sets, told) = (Sets::new(), Told::default());
        Self { secret, ends, sets, root: BEGINNING, told, answers: Vec::new() }
    }

    /// What had been told in a state.
    fn told(&self, state: u64) -> Option<Told> {
        if state == self.root {
            return Some(self.told.clone());
        }
        self.answers.iter().find(|answer| answer.state == state).map(|answer| answer.change.applied_to(&self.told))
    }

    /// Adds an answer to `base`; `None` if that is forgotten, or there is too much to remember.
    fn add(mut self, base: u64, state: u64, change: Change, ends: u64) -> Option<Self> {
        if base != self.root {
            self.told = self.told(base)?;
            self.root = base;
            self.answers.clear();
        }
        self.sets.extend(change.sets.clone());
        self.answers.push(Answer { state, change });
        if self.answers.len() > ANSWERS {
            self.answers.remove(0);
        }
        let used: std::collections::BTreeSet<u64> = {
            let of_answers = self.answers.iter().flat_map(|answer| answer.change.rooms.values().flatten());
            self.told.rooms.values().chain(of_answers).map(|entry| entry.required).collect()
        };
        self.sets.retain(|id, _| used.contains(id));
        self.ends = ends;
        (self.sets.len() <= SETS).then_some(self)
    }

    fn seal(&self, token: &SlidingToken) -> u64 {
        seal(&self.secret, token)
    }
}

fn seal(secret: &str, token: &SlidingToken) -> u64 {
    // A key of any length will do.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return 0 };
    for number in [token.epoch.0, token.position.0, token.state] {
        mac.update(&number.to_be_bytes());
    }
    mac.finalize().into_bytes().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// A connection as a request found it.
pub(super) struct Connection {
    key: String,
    device: DeviceRef,
    /// The state the request goes on from, and what seals are made with; `None` for one that begins.
    base: Option<(u64, String)>,
    /// The `pos` of the request.
    pub(super) token: Option<SlidingToken>,
    pub(super) told: Told,
    pub(super) sets: Sets,
}

impl Connection {
    /// Finds the state that a `pos` stands for; without one, the beginning.
    ///
    /// # Errors
    /// `UnknownPos` for a `pos` that was not given out on this connection, or is forgotten.
    pub(super) async fn open(
        cx: &Context,
        device: &DeviceRef,
        name: &str,
        token: Option<SlidingToken>,
    ) -> Result<Self> {
        let key = key(device, Some(name));
        let begin = |key| Self {
            key,
            device: device.clone(),
            base: None,
            token: None,
            told: Told::default(),
            sets: Sets::new(),
        };
        let Some(token) = token else { return Ok(begin(key)) };
        let now = cx.now();
        let bytes = cx.storage.short_lived(KIND, &key, now).await?.ok_or_else(unknown_pos)?;
        let record: Record = decode(&bytes)?;
        if record.seal(&token) != token.seal {
            return Err(unknown_pos());
        }
        let told = record.told(token.state).ok_or_else(unknown_pos)?;
        if record.ends < now.saturating_add(KEPT_MS / 2) {
            // It is in use: keep it. Whoever writes at the same time does so too.
            let kept = Record { ends: now.saturating_add(KEPT_MS), ..record.clone() };
            cx.storage.replace_short_lived(KIND, &key, &bytes, encode(&kept)?, kept.ends).await?;
            list(cx, device, &key).await?;
        }
        let base = Some((token.state, record.secret));
        Ok(Self { key, device: device.clone(), base, token: Some(token), told, sets: record.sets })
    }

    /// The `pos` of an answer that changed nothing of what is remembered; `None` on a connection that begins.
    pub(super) fn unchanged(&self, horizon: Horizon) -> Option<SlidingToken> {
        self.base.as_ref().map(|(state, secret)| sealed(horizon, *state, secret))
    }

    /// Remembers what an answer changes, and makes its `pos`.
    ///
    /// # Errors
    /// `UnknownPos` if the state that the request went on from was forgotten meanwhile.
    pub(super) async fn save(&self, cx: &Context, change: Change, horizon: Horizon) -> Result<SlidingToken> {
        let state = fresh_state(cx);
        for _ in 0..TRIES {
            let now = cx.now();
            let ends = now.saturating_add(KEPT_MS);
            let found = cx.storage.short_lived(KIND, &self.key, now).await?;
            let record: Option<Record> = found.as_deref().map(decode).transpose()?;
            let record = match (&self.base, record) {
                (Some((base, secret)), Some(record)) if record.secret == *secret => {
                    record.add(*base, state, change.clone(), ends).ok_or_else(unknown_pos)?
                }
                (Some(_), _) => return Err(unknown_pos()),
                // The same first request again: the client has not used what the other one answered.
                (None, Some(record)) if record.root == BEGINNING => {
                    record.add(BEGINNING, state, change.clone(), ends).ok_or_else(unknown_pos)?
                }
                (None, _) => Record::begin(cx.random_text(16), ends)
                    .add(BEGINNING, state, change.clone(), ends)
                    .ok_or_else(unknown_pos)?,
            };
            let bytes = encode(&record)?;
            let is_written = match &found {
                Some(found) => cx.storage.replace_short_lived(KIND, &self.key, found, bytes, ends).await?,
                None => {
                    cx.storage.put_short_lived(KIND, &self.key, bytes, ends).await?;
                    true
                }
            };
            if is_written {
                if self.base.is_none() {
                    list(cx, &self.device, &self.key).await?;
                }
                return Ok(sealed(horizon, state, &record.secret));
            }
        }
        Err(StorageError::Conflict.into())
    }
}

fn sealed(horizon: Horizon, state: u64, secret: &str) -> SlidingToken {
    let token = SlidingToken { epoch: horizon.epoch, position: horizon.position, state, seal: 0 };
    SlidingToken { seal: seal(secret, &token), ..token }
}

/// Puts a connection on the list of its device, and forgets the oldest beyond what a device may have.
async fn list(cx: &Context, device: &DeviceRef, connection: &str) -> Result<()> {
    let key = key(device, None);
    for _ in 0..TRIES {
        let now = cx.now();
        let ends = now.saturating_add(2 * KEPT_MS);
        let found = cx.storage.short_lived(LIST_KIND, &key, now).await?;
        let mut list: Vec<String> = found.as_deref().map(decode).transpose()?.unwrap_or_default();
        list.retain(|other| other != connection);
        list.push(connection.to_owned());
        let surplus: Vec<String> = list.drain(..list.len().saturating_sub(CONNECTIONS)).collect();
        let bytes = encode(&list)?;
        let is_written = match &found {
            Some(found) if *found == bytes => true,
            Some(found) => cx.storage.replace_short_lived(LIST_KIND, &key, found, bytes, ends).await?,
            None => {
                cx.storage.put_short_lived(LIST_KIND, &key, bytes, ends).await?;
                true
            }
        };
        if is_written {
            for connection in surplus {
                cx.storage.take_short_lived(KIND, &connection, now).await?;
            }
            return Ok(());
        }
    }
    Err(StorageError::Conflict.into())
}

/// The key of a connection of a device, or of the device itself.
fn key(device: &DeviceRef, connection: Option<&str>) -> String {
    use base64::Engine as _;
    let mut hasher = Sha256::new();
    for part in [Some(device.user_id.as_str()), Some(device.device_id.as_str()), connection].into_iter().flatten() {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.update(device.generation.to_be_bytes());
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hasher.finalize())
}

/// A name for a state that no other has.
fn fresh_state(cx: &Context) -> u64 {
    let mut bytes = [0; 8];
    cx.environment.random(&mut bytes);
    u64::from_be_bytes(bytes).max(BEGINNING + 1)
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| ServiceError::Internal(error.to_string()))
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| ServiceError::Internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use olmstead_domain::position::{Epoch, Position};

    use super::{
        super::told::{Entry, Kind},
        *,
    };
    use crate::sliding_sync::required::Required;

    fn change(room: &str, upto: Option<u64>) -> Change {
        let required = Required::read([("m.room.name", room)], "@me:b".try_into().unwrap());
        let entry = Entry { kind: Kind::Joined, required: required.id(), limit: 1, upto: upto.map(Position) };
        Change {
            rooms: [(room.try_into().unwrap(), Some(entry))].into(),
            sets: [(required.id(), required)].into(),
            ..Change::default()
        }
    }

    fn rooms(record: &Record, state: u64) -> Option<Vec<String>> {
        Some(record.told(state)?.rooms.into_keys().map(String::from).collect())
    }

    fn begin() -> Record {
        Record::begin("secret".to_owned(), 9).add(BEGINNING, 1, change("!a:b", None), 9).unwrap()
    }

    #[test]
    fn the_states_of_answers_stay_until_one_is_used() {
        let record = begin().add(BEGINNING, 2, change("!c:b", None), 9).unwrap();
        assert_eq!(rooms(&record, BEGINNING).unwrap(), Vec::<String>::new());
        assert_eq!(rooms(&record, 1).unwrap(), ["!a:b"]);
        assert_eq!(rooms(&record, 2).unwrap(), ["!c:b"]);
        let record = record.add(1, 3, change("!d:b", None), 9).unwrap();
        assert_eq!(rooms(&record, 1).unwrap(), ["!a:b"], "the one before may be asked for again");
        assert_eq!(rooms(&record, 3).unwrap(), ["!a:b", "!d:b"]);
        assert_eq!((rooms(&record, 2), rooms(&record, BEGINNING)), (None, None));
        assert_eq!(record.clone().add(2, 4, change("!e:b", None), 9), None);
        assert_eq!(record.sets.len(), 2, "sets that no room names any more are gone");
    }

    #[test]
    fn who_asks_again_and_again_makes_no_more_than_a_few_states() {
        let mut record = begin();
        for state in 2..100 {
            record = record.add(BEGINNING, state, change("!c:b", Some(state)), 9).unwrap();
        }
        assert_eq!(record.answers.len(), ANSWERS);
        assert!(record.told(99).is_some() && record.told(1).is_none());
    }

    #[test]
    fn who_wants_ever_other_state_has_to_begin_again() {
        let mut record = Some(begin());
        for state in 2..100 {
            record = record.and_then(|record| record.add(state - 1, state, change(&format!("!{state}:b"), None), 9));
        }
        assert_eq!(record, None);
    }

    #[test]
    fn a_record_survives_being_stored() {
        let record = begin().add(1, 2, change("!c:b", Some(4)), 9).unwrap();
        let mut stored: Record = decode(&encode(&record).unwrap()).unwrap();
        for (stored, answer) in stored.answers.iter_mut().zip(&record.answers) {
            // Stored once, in the record.
            stored.change.sets = answer.change.sets.clone();
        }
        assert_eq!(stored, record);
    }

    #[test]
    fn a_seal_is_of_all_of_a_token() {
        let record = begin();
        let horizon = Horizon { epoch: Epoch(1), position: Position(5) };
        let token = sealed(horizon, 1, &record.secret);
        assert_eq!(record.seal(&token), token.seal);
        for other in [
            SlidingToken { position: Position(6), ..token },
            SlidingToken { state: 2, ..token },
            SlidingToken { epoch: Epoch(2), ..token },
        ] {
            assert_ne!(record.seal(&other), token.seal, "{other}");
        }
        assert_ne!(seal("another", &token), token.seal);
    }
}
