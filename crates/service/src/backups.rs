//! Server-side key backups: the fourteen `room_keys` endpoints (BKP).

use olmstead_domain::{
    backup::{
        BackupBody, BackupError, BackupVersion, KeyBackupData, check_room_id, check_session_id, parse_room, parse_rooms,
    },
    json::RawJson,
};
use olmstead_storage::backups::{
    BackupInfo, BackupKey, BackupSelection, BackupState, DeleteBackupOutcome, PutBackupOutcome, StoredBackupKey,
    UpdateBackupOutcome,
};
use ruma::{RoomId, UserId};
use serde::Serialize;

use crate::{Context, Refusal, Result, ServiceError};

impl From<BackupError> for ServiceError {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::WrongVersion { current } => {
                Self::WrongRoomKeysVersion { current_version: current.to_string() }
            }
            _ => Self::domain(error.kind(), error),
        }
    }
}

/// A version as the client sees it (BKP-3).
#[derive(Debug, Serialize)]
pub struct Described {
    algorithm: String,
    auth_data: RawJson,
    count: u64,
    etag: String,
    version: String,
}

impl From<BackupInfo> for Described {
    fn from(info: BackupInfo) -> Self {
        Self {
            algorithm: info.algorithm,
            auth_data: info.auth_data,
            count: info.count,
            etag: info.etag.to_string(),
            version: info.version.to_string(),
        }
    }
}

/// What a write answers (BKP-21).
#[derive(Debug, Serialize)]
pub struct Updated {
    etag: String,
    count: u64,
}

impl From<BackupState> for Updated {
    fn from(state: BackupState) -> Self {
        Self { etag: state.etag.to_string(), count: state.count }
    }
}

/// The answer that names a new version.
#[derive(Debug, Serialize)]
pub struct Created {
    version: String,
}

/// Reads a version as a client writes it; what is not a version of ours names none.
fn version(text: &str) -> Result<BackupVersion> {
    text.parse().map_err(|_| no_such_version())
}

fn no_such_version() -> ServiceError {
    ServiceError::not_found("There is no such backup version.")
}

/// Makes a new version and makes it the current one (BKP-1).
///
/// # Errors
/// [`Refusal::BadJson`] for the wrong shape.
pub async fn create(cx: &Context, user_id: &UserId, body: &RawJson) -> Result<Created> {
    let body = BackupBody::parse(body.as_raw())?;
    let version = cx.storage.create_backup(user_id, body.algorithm, body.auth_data).await?;
    Ok(Created { version: version.to_string() })
}

/// A version, or with `None` the newest (BKP-3, BKP-4).
///
/// # Errors
/// [`Refusal::NotFound`] when there is none.
pub async fn describe(cx: &Context, user_id: &UserId, which: Option<&str>) -> Result<Described> {
    let which = which.map(version).transpose()?;
    let info = cx.storage.backup(user_id, which).await?;
    info.map(Described::from).ok_or_else(no_such_version)
}

/// Replaces a version's `auth_data` (BKP-5…7).
///
/// # Errors
/// [`Refusal::NotFound`], or [`Refusal::InvalidParam`] for another algorithm or version in the body.
pub async fn update(cx: &Context, user_id: &UserId, which: &str, body: &RawJson) -> Result<()> {
    let body = BackupBody::parse(body.as_raw())?;
    let version = version(which)?;
    let stored = cx.storage.backup(user_id, Some(version)).await?.ok_or_else(no_such_version)?;
    body.check_update(&stored.algorithm, version)?;
    match cx.storage.update_backup(user_id, version, &body.algorithm, body.auth_data).await? {
        UpdateBackupOutcome::Updated => Ok(()),
        UpdateBackupOutcome::OtherAlgorithm => {
            Err(ServiceError::refused(Refusal::InvalidParam, "The algorithm of a version cannot be changed."))
        }
        UpdateBackupOutcome::NotFound => Err(no_such_version()),
    }
}

/// Deletes a version with its keys (BKP-8, BKP-9).
///
/// # Errors
/// [`Refusal::NotFound`] when it never was.
pub async fn delete(cx: &Context, user_id: &UserId, which: &str) -> Result<()> {
    match cx.storage.delete_backup(user_id, version(which)?).await? {
        DeleteBackupOutcome::Deleted => Ok(()),
        DeleteBackupOutcome::NotFound => Err(no_such_version()),
    }
}

/// Which keys a request is about.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// All.
    All,
    /// Those of a room.
    Room(&'a RoomId),
    /// One session.
    Session(&'a RoomId, &'a str),
}

impl<'a> Scope<'a> {
    fn selection(self) -> BackupSelection<'a> {
        match self {
            Self::All => BackupSelection::All,
            Self::Room(room_id) => BackupSelection::Room(room_id),
            Self::Session(room_id, session_id) => BackupSelection::Session(room_id, session_id),
        }
    }
}

/// Stores keys by the replace rule (BKP-12…23). The body's shape depends on the scope; all of it is checked before any
/// of it is stored (BKP-31).
///
/// # Errors
/// [`ServiceError::WrongRoomKeysVersion`], [`Refusal::NotFound`], or the refusals of the data's checks.
pub async fn put_keys(
    cx: &Context,
    user_id: &UserId,
    which: &str,
    scope: Scope<'_>,
    body: &RawJson,
) -> Result<Updated> {
    if let Scope::Room(room_id) | Scope::Session(room_id, _) = scope {
        check_room_id(room_id)?;
    }
    let keys = match scope {
        Scope::All => parse_rooms(body.as_raw())?
            .into_iter()
            .flat_map(|(room_id, sessions)| {
                sessions.into_iter().map(move |(session_id, data)| BackupKey {
                    room_id: room_id.clone(),
                    session_id,
                    data,
                })
            })
            .collect(),
        Scope::Room(room_id) => parse_room(body.as_raw())?
            .into_iter()
            .map(|(session_id, data)| BackupKey { room_id: room_id.to_owned(), session_id, data })
            .collect(),
        Scope::Session(room_id, session_id) => {
            check_session_id(session_id)?;
            let data = KeyBackupData::parse(body.as_raw())?;
            vec![BackupKey { room_id: room_id.to_owned(), session_id: session_id.to_owned(), data }]
        }
    };
    match cx.storage.put_backup_keys(user_id, version(which)?, keys).await? {
        PutBackupOutcome::Stored(state) => Ok(state.into()),
        PutBackupOutcome::NotCurrent { current } => {
            Err(ServiceError::WrongRoomKeysVersion { current_version: current.to_string() })
        }
        PutBackupOutcome::NotFound => Err(no_such_version()),
    }
}

/// Deletes keys; what is not there is no error (BKP-27).
///
/// # Errors
/// [`Refusal::NotFound`] for an unknown version.
pub async fn delete_keys(cx: &Context, user_id: &UserId, which: &str, scope: Scope<'_>) -> Result<Updated> {
    let state = cx.storage.delete_backup_keys(user_id, version(which)?, scope.selection()).await?;
    state.map(Updated::from).ok_or_else(no_such_version)
}

/// All keys of a version (BKP-24), as the JSON text of the answer.
///
/// # Errors
/// [`Refusal::NotFound`] for an unknown version.
pub async fn all_keys(cx: &Context, user_id: &UserId, which: &str) -> Result<String> {
    let keys = read(cx, user_id, which, Scope::All).await?;
    let mut text = String::with_capacity(length(&keys));
    text.push_str("{\"rooms\":{");
    // They come room by room.
    for (n, room) in keys.chunk_by(|one, other| one.room_id == other.room_id).enumerate() {
        let Some(first) = room.first() else { continue };
        text.push_str(if n > 0 { "," } else { "" });
        write_text(&mut text, first.room_id.as_str())?;
        text.push(':');
        write_sessions(&mut text, room)?;
    }
    text.push_str("}}");
    Ok(text)
}

/// The keys of a room (BKP-24), as the JSON text of the answer.
///
/// # Errors
/// [`Refusal::NotFound`] for an unknown version.
pub async fn room_keys(cx: &Context, user_id: &UserId, which: &str, room_id: &RoomId) -> Result<String> {
    let keys = read(cx, user_id, which, Scope::Room(room_id)).await?;
    let mut text = String::with_capacity(length(&keys));
    write_sessions(&mut text, &keys)?;
    Ok(text)
}

/// One key (BKP-25), as the JSON text of the answer.
///
/// # Errors
/// [`Refusal::NotFound`] for an unknown version or session.
pub async fn session_key(
    cx: &Context,
    user_id: &UserId,
    which: &str,
    room_id: &RoomId,
    session_id: &str,
) -> Result<String> {
    let keys = read(cx, user_id, which, Scope::Session(room_id, session_id)).await?;
    keys.into_iter()
        .next()
        .map(|key| key.data)
        .ok_or_else(|| ServiceError::not_found("There is no key of this session."))
}

async fn read(cx: &Context, user_id: &UserId, which: &str, scope: Scope<'_>) -> Result<Vec<StoredBackupKey>> {
    cx.storage.backup_keys(user_id, version(which)?, scope.selection()).await?.ok_or_else(no_such_version)
}

/// About how long an answer with these keys is. One that is too small is moved as it grows, and answers are large.
fn length(keys: &[StoredBackupKey]) -> usize {
    const AROUND: usize = 16;
    let rooms = keys.chunk_by(|one, other| one.room_id == other.room_id);
    let rooms: usize = rooms.filter_map(<[_]>::first).map(|key| key.room_id.as_str().len() + 2 * AROUND).sum();
    rooms + keys.iter().map(|key| key.session_id.len() + key.data.len() + AROUND).sum::<usize>() + 2 * AROUND
}

/// `{"sessions": …}` of keys of one room.
fn write_sessions(text: &mut String, keys: &[StoredBackupKey]) -> Result<()> {
    text.push_str("{\"sessions\":{");
    for (n, key) in keys.iter().enumerate() {
        text.push_str(if n > 0 { "," } else { "" });
        write_text(text, &key.session_id)?;
        text.push(':');
        text.push_str(&key.data);
    }
    text.push_str("}}");
    Ok(())
}

/// A JSON string.
fn write_text(text: &mut String, of: &str) -> Result<()> {
    text.push_str(&serde_json::to_string(of).map_err(|error| ServiceError::Internal(error.to_string()))?);
    Ok(())
}
