//! Server-side key backup: the form of room keys and versions, and which of two keys for a session stays
//! (client-server API, Server-side key backups).

use std::{collections::BTreeMap, fmt, str::FromStr};

use ruma::{OwnedRoomId, RoomId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::{
    error::ErrorKind,
    identifiers::MAX_ID_BYTES,
    json::{Fields, JsonError, RawJson, check_readable},
};

/// The largest integer in JSON between programs: 2^53 - 1.
const MAX_INTEGER: u64 = 9_007_199_254_740_991;

/// Why a request about key backups is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BackupError {
    /// JSON of the wrong shape.
    #[error("{0}")]
    BadJson(String),
    /// A value that is not allowed (BKP-6).
    #[error("{0}")]
    InvalidParam(String),
    /// There is no such backup (BKP-3, BKP-4, BKP-13).
    #[error("unknown backup version")]
    NotFound,
    /// The version is not the current one (BKP-12).
    #[error("the current backup version is {current}")]
    WrongVersion {
        /// The current version, to be named in the answer.
        current: BackupVersion,
    },
}

impl BackupError {
    /// The kind of refusal.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::BadJson(_) => ErrorKind::BadJson,
            Self::InvalidParam(_) => ErrorKind::InvalidParam,
            Self::NotFound => ErrorKind::NotFound,
            Self::WrongVersion { .. } => ErrorKind::WrongRoomKeysVersion,
        }
    }
}

impl From<JsonError> for BackupError {
    fn from(error: JsonError) -> Self {
        Self::BadJson(error.to_string())
    }
}

/// The version of a backup. A user's versions are numbered from 1 in the order they are made and never reused (BKP-2);
/// clients see a decimal string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BackupVersion(pub u64);

impl BackupVersion {
    /// The version after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for BackupVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for BackupVersion {
    type Err = BackupError;

    /// Reads exactly what `to_string` writes. Anything else names no backup, so it is [`BackupError::NotFound`].
    fn from_str(text: &str) -> Result<Self, BackupError> {
        let version = text.parse().map(Self).map_err(|_| BackupError::NotFound)?;
        if version.to_string() == text { Ok(version) } else { Err(BackupError::NotFound) }
    }
}

/// One backed up room key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyBackupData {
    /// The index of the first message the key decrypts.
    pub first_message_index: u64,
    /// How often the key was forwarded between devices.
    pub forwarded_count: u64,
    /// Whether the device that made the backup had verified the device the key is from.
    pub is_verified: bool,
    /// The encrypted key, an object that is not read (BKP-20).
    pub session_data: RawJson,
}

/// The room keys of a request or an answer: by room, then by session.
pub type RoomKeys = BTreeMap<OwnedRoomId, BTreeMap<String, KeyBackupData>>;

impl KeyBackupData {
    /// Reads one key (BKP-19). Other members are dropped.
    ///
    /// # Errors
    /// [`BackupError::BadJson`] for the wrong shape.
    pub fn parse(raw: &RawValue) -> Result<Self, BackupError> {
        let data: Self = read_object(raw)?;
        if !data.session_data.is_object() {
            return Err(BackupError::BadJson("session_data must be an object".to_owned()));
        }
        check_readable(data.session_data.as_raw())?;
        if data.first_message_index.max(data.forwarded_count) > MAX_INTEGER {
            return Err(BackupError::BadJson("an integer is out of range".to_owned()));
        }
        Ok(data)
    }
}

/// Reads an object as a type; derived readers would take an array as well.
fn read_object<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Result<T, BackupError> {
    if !raw.get().trim_start().starts_with('{') {
        return Err(JsonError::NotObject.into());
    }
    serde_json::from_str(raw.get()).map_err(|error| BackupError::BadJson(error.to_string()))
}

/// Whether a new key takes the place of the stored one for its session: a verified key before an unverified one, then
/// the lower first index, then the lower forwarded count; of equals the stored key stays (BKP-14 to BKP-18).
#[must_use]
pub fn replaces(old: &KeyBackupData, new: &KeyBackupData) -> bool {
    let rank = |data: &KeyBackupData| (!data.is_verified, data.first_message_index, data.forwarded_count);
    rank(new) < rank(old)
}

/// Reads the body that puts keys of all rooms, `{"rooms": {room: {"sessions": {session: data}}}}`. One bad key refuses
/// the whole (BKP-31), and so does a repeated member.
///
/// # Errors
/// [`BackupError::BadJson`] for the wrong shape, [`BackupError::InvalidParam`] for a bad room or session ID.
pub fn parse_rooms(body: &RawValue) -> Result<RoomKeys, BackupError> {
    let body = Fields::parse(body)?;
    let rooms = body.get("rooms").ok_or_else(|| BackupError::BadJson("rooms is missing".to_owned()))?;
    Fields::parse(rooms)?
        .iter()
        .map(|(room_id, room)| {
            let room_id = RoomId::parse(room_id).map_err(|_| BackupError::BadJson("bad room ID".to_owned()))?;
            check_room_id(&room_id)?;
            Ok((room_id, parse_room(room)?))
        })
        .collect()
}

/// Reads the body that puts keys of one room, `{"sessions": {session: data}}`.
///
/// # Errors
/// As [`parse_rooms`].
pub fn parse_room(body: &RawValue) -> Result<BTreeMap<String, KeyBackupData>, BackupError> {
    let body = Fields::parse(body)?;
    let sessions = body.get("sessions").ok_or_else(|| BackupError::BadJson("sessions is missing".to_owned()))?;
    Fields::parse(sessions)?
        .iter()
        .map(|(session_id, data)| {
            check_session_id(session_id)?;
            Ok((session_id.to_owned(), KeyBackupData::parse(data)?))
        })
        .collect()
}

/// Checks the length of a room ID: at most 255 bytes. It may be of a room this server does not know.
///
/// # Errors
/// [`BackupError::InvalidParam`].
pub fn check_room_id(room_id: &RoomId) -> Result<(), BackupError> {
    if room_id.as_str().len() > MAX_ID_BYTES {
        return Err(BackupError::InvalidParam(format!("a room ID must have at most {MAX_ID_BYTES} bytes")));
    }
    Ok(())
}

/// Checks a session ID: opaque, not empty, at most 255 bytes.
///
/// # Errors
/// [`BackupError::InvalidParam`].
pub fn check_session_id(session_id: &str) -> Result<(), BackupError> {
    if session_id.is_empty() || session_id.len() > MAX_ID_BYTES {
        return Err(BackupError::InvalidParam(format!("a session ID must have 1 to {MAX_ID_BYTES} bytes")));
    }
    Ok(())
}

/// What a backup is encrypted with: the body of `POST` and `PUT /room_keys/version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupBody {
    /// The algorithm; any string is accepted (BKP-34).
    pub algorithm: String,
    /// What the algorithm needs, an object that is not read.
    pub auth_data: RawJson,
    /// The version, which clients may repeat when they change one (BKP-7). Not used when a backup is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl BackupBody {
    /// Reads the body (BKP-1, BKP-5).
    ///
    /// # Errors
    /// [`BackupError::BadJson`] for the wrong shape, [`BackupError::InvalidParam`] for an algorithm that is empty or
    /// longer than 255 bytes.
    pub fn parse(body: &RawValue) -> Result<Self, BackupError> {
        let info: Self = read_object(body)?;
        if !info.auth_data.is_object() {
            return Err(BackupError::BadJson("auth_data must be an object".to_owned()));
        }
        check_readable(info.auth_data.as_raw())?;
        if info.algorithm.is_empty() || info.algorithm.len() > MAX_ID_BYTES {
            return Err(BackupError::InvalidParam(format!("algorithm must have 1 to {MAX_ID_BYTES} bytes")));
        }
        Ok(info)
    }

    /// Checks this body as a change of a stored backup: its `auth_data` alone may differ (BKP-6, BKP-7).
    ///
    /// # Errors
    /// [`BackupError::InvalidParam`] for another algorithm, or a version unlike the one in the path.
    pub fn check_update(&self, stored_algorithm: &str, path_version: BackupVersion) -> Result<(), BackupError> {
        if self.algorithm != stored_algorithm {
            return Err(BackupError::InvalidParam("the algorithm of a backup cannot change".to_owned()));
        }
        if self.version.as_ref().is_some_and(|version| *version != path_version.to_string()) {
            return Err(BackupError::InvalidParam("version differs from the one in the path".to_owned()));
        }
        Ok(())
    }
}

/// Checks that keys may be put into a version: it is the latest one that exists (BKP-12, BKP-13). `exists` is whether
/// the version itself exists.
///
/// # Errors
/// [`BackupError::NotFound`] for a version that does not exist, [`BackupError::WrongVersion`] for an older one.
pub fn check_writable(version: BackupVersion, exists: bool, latest: Option<BackupVersion>) -> Result<(), BackupError> {
    match latest {
        Some(latest) if latest == version => Ok(()),
        Some(current) if exists => Err(BackupError::WrongVersion { current }),
        _ => Err(BackupError::NotFound),
    }
}
