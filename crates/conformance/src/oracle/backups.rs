//! What a user's key backups have to hold (BKP-1…31).

use std::collections::BTreeMap;

/// A room and a session of it.
pub type Place = (String, String);

/// The data of a key, as far as the rule looks at it, and a number that says which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// `is_verified`.
    pub is_verified: bool,
    /// `first_message_index`.
    pub first_message_index: u64,
    /// `forwarded_count`.
    pub forwarded_count: u64,
    /// Stands for `session_data`.
    pub which: u64,
}

impl Key {
    /// Whether this key takes the place of another (BKP-14…18).
    fn beats(&self, stored: &Self) -> bool {
        // Smaller is better, member by member.
        let rank = |key: &Self| (!key.is_verified, key.first_message_index, key.forwarded_count);
        rank(self) < rank(stored)
    }
}

/// One version.
#[derive(Debug, Clone, Default)]
pub struct Version {
    /// Which `auth_data` it has.
    pub auth_data: u64,
    /// Its keys.
    pub keys: BTreeMap<Place, Key>,
    /// How often the keys changed: the etag is another exactly when this is.
    pub changes: u64,
}

/// What has to become of a request that names a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// There is no such version.
    NotFound,
    /// The version is not the current one, which is this.
    NotCurrent(usize),
}

/// The backups of one user. Versions are numbered from 0 in the order they were made, whatever the server calls them.
#[derive(Debug, Clone, Default)]
pub struct Backups {
    versions: Vec<Option<Version>>,
}

impl Backups {
    /// Makes a version.
    pub fn create(&mut self, auth_data: u64) {
        self.versions.push(Some(Version { auth_data, ..Version::default() }));
    }

    /// How many versions were ever made.
    #[must_use]
    pub fn made(&self) -> usize {
        self.versions.len()
    }

    /// The newest that was not deleted.
    #[must_use]
    pub fn current(&self) -> Option<usize> {
        self.versions.iter().rposition(Option::is_some)
    }

    /// A version, if it is there.
    #[must_use]
    pub fn version(&self, number: usize) -> Option<&Version> {
        self.versions.get(number)?.as_ref()
    }

    /// Sets another `auth_data`.
    pub fn update(&mut self, number: usize, auth_data: u64) -> Outcome {
        match self.versions.get_mut(number).and_then(Option::as_mut) {
            Some(version) => {
                version.auth_data = auth_data;
                Outcome::Done
            }
            None => Outcome::NotFound,
        }
    }

    /// Deletes a version. That it is gone already is no error (BKP-9).
    pub fn delete(&mut self, number: usize) -> Outcome {
        match self.versions.get_mut(number) {
            Some(version) => {
                *version = None;
                Outcome::Done
            }
            None => Outcome::NotFound,
        }
    }

    /// Puts keys, each by the rule.
    pub fn put(&mut self, number: usize, keys: &[(Place, Key)]) -> Outcome {
        let current = self.current();
        let Some(version) = self.versions.get_mut(number).and_then(Option::as_mut) else { return Outcome::NotFound };
        if let Some(current) = current.filter(|current| *current != number) {
            return Outcome::NotCurrent(current);
        }
        let mut changed = false;
        for (place, key) in keys {
            if version.keys.get(place).is_none_or(|stored| key.beats(stored)) {
                version.keys.insert(place.clone(), *key);
                changed = true;
            }
        }
        version.changes += u64::from(changed);
        Outcome::Done
    }

    /// Deletes the keys of a room, of one session, or all.
    pub fn delete_keys(&mut self, number: usize, room: Option<&str>, session: Option<&str>) -> Outcome {
        let Some(version) = self.versions.get_mut(number).and_then(Option::as_mut) else { return Outcome::NotFound };
        let before = version.keys.len();
        version.keys.retain(|place, _| !is_selected(place, room, session));
        version.changes += u64::from(version.keys.len() != before);
        Outcome::Done
    }

    /// The keys of a room, of one session, or all; `None` if there is no such version.
    #[must_use]
    pub fn keys(&self, number: usize, room: Option<&str>, session: Option<&str>) -> Option<BTreeMap<Place, Key>> {
        let keys = self.version(number)?.keys.iter().filter(|(place, _)| is_selected(place, room, session));
        Some(keys.map(|(place, key)| (place.clone(), *key)).collect())
    }
}

fn is_selected(place: &Place, room: Option<&str>, session: Option<&str>) -> bool {
    room.is_none_or(|room| place.0 == room) && session.is_none_or(|session| place.1 == session)
}
