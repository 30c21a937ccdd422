//! Server-side key backups.

use async_trait::async_trait;
use olmstead_domain::{
    backup::{BackupVersion, KeyBackupData},
    json::RawJson,
};
use ruma::{OwnedRoomId, RoomId, UserId};

use crate::Result;

/// A backup version as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupInfo {
    /// The version.
    pub version: BackupVersion,
    /// The algorithm's name, opaque (BKP-34).
    pub algorithm: String,
    /// Opaque.
    pub auth_data: RawJson,
    /// Keys in the version; kept, not counted (BKP-22).
    pub count: u64,
    /// Grows exactly when the stored keys change (BKP-23).
    pub etag: u64,
}

/// State of a version's keys after a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupState {
    /// See [`BackupInfo::etag`].
    pub etag: u64,
    /// See [`BackupInfo::count`].
    pub count: u64,
}

/// How a write of keys went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutBackupOutcome {
    /// The replace rule was applied key by key.
    Stored(BackupState),
    /// The version exists but is not the newest, which is `current`; nothing was stored (BKP-12).
    NotCurrent {
        /// The newest version.
        current: BackupVersion,
    },
    /// There is no such version; nothing was stored (BKP-13).
    NotFound,
}

/// How a change of a version's description went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateBackupOutcome {
    /// Done.
    Updated,
    /// The version has another algorithm; nothing was changed (BKP-6).
    OtherAlgorithm,
    /// There is no such version.
    NotFound,
}

/// How the deletion of a version went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteBackupOutcome {
    /// Deleted, or it was deleted before (BKP-9).
    Deleted,
    /// It never was (BKP-8).
    NotFound,
}

/// Which keys of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupSelection<'a> {
    /// All.
    All,
    /// Those of a room.
    Room(&'a RoomId),
    /// One session.
    Session(&'a RoomId, &'a str),
}

/// One backed-up key.
#[derive(Debug, Clone)]
pub struct BackupKey {
    /// The room.
    pub room_id: OwnedRoomId,
    /// The session id.
    pub session_id: String,
    /// The data, `session_data` untouched (BKP-20).
    pub data: KeyBackupData,
}

/// One backed-up key as it is read: its data only to be passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBackupKey {
    /// The room.
    pub room_id: OwnedRoomId,
    /// The session.
    pub session_id: String,
    /// The data as the JSON text of a [`KeyBackupData`]. There may be very many, so it is not read.
    pub data: String,
}

impl StoredBackupKey {
    /// The key with its data read.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`](crate::StorageError::Corrupt) if the data is not what was put.
    pub fn read(self) -> Result<BackupKey> {
        let data =
            serde_json::from_str(&self.data).map_err(|error| crate::StorageError::corrupt("a backed-up key", error))?;
        Ok(BackupKey { room_id: self.room_id, session_id: self.session_id, data })
    }
}

/// Server-side key backups. Versions of a user are numbered upwards and never reused (BKP-2); they outlive devices
/// (BKP-33).
#[async_trait]
pub trait Backups: Send + Sync {
    /// Makes a new version, from now on the newest and only writable one.
    async fn create_backup(&self, user_id: &UserId, algorithm: String, auth_data: RawJson) -> Result<BackupVersion>;

    /// A version, or with `None` the newest that exists (BKP-3, BKP-10).
    async fn backup(&self, user_id: &UserId, version: Option<BackupVersion>) -> Result<Option<BackupInfo>>;

    /// Replaces `auth_data` (BKP-5).
    async fn update_backup(
        &self,
        user_id: &UserId,
        version: BackupVersion,
        algorithm: &str,
        auth_data: RawJson,
    ) -> Result<UpdateBackupOutcome>;

    /// Deletes a version with its keys.
    async fn delete_backup(&self, user_id: &UserId, version: BackupVersion) -> Result<DeleteBackupOutcome>;

    /// Stores keys by the replace rule (`olmstead_domain::backup`), all in one commit with version check, etag and count
    /// (BKP-12…18, BKP-21…23, BKP-29…31).
    async fn put_backup_keys(
        &self,
        user_id: &UserId,
        version: BackupVersion,
        keys: Vec<BackupKey>,
    ) -> Result<PutBackupOutcome>;

    /// Keys of a version, ordered by room and session; `None` when there is no such version.
    async fn backup_keys(
        &self,
        user_id: &UserId,
        version: BackupVersion,
        selection: BackupSelection<'_>,
    ) -> Result<Option<Vec<StoredBackupKey>>>;

    /// Deletes keys of a version, any version (BKP-28); `None` when there is no such version.
    async fn delete_backup_keys(
        &self,
        user_id: &UserId,
        version: BackupVersion,
        selection: BackupSelection<'_>,
    ) -> Result<Option<BackupState>>;
}
