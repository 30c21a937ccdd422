//! Not written yet.
#![allow(unused_variables, unused_imports, clippy::too_many_arguments)]
use async_trait::async_trait;
use olmstead_domain::{
    backup::{BackupVersion, KeyBackupData},
    json::RawJson,
};
use ruma::{OwnedRoomId, RoomId, UserId};
use olmstead_storage::Result;
use olmstead_storage::{StorageError, Backups, backups::*};
use crate::PostgresStore;

#[async_trait]
impl Backups for PostgresStore {
    async fn create_backup(&self, user_id: &UserId, algorithm: String, auth_data: RawJson) -> Result<BackupVersion> {
        Err(StorageError::damaged("not written"))
    }
    async fn backup(&self, user_id: &UserId, version: Option<BackupVersion>) -> Result<Option<BackupInfo>> {
        Err(StorageError::damaged("not written"))
    }
    async fn update_backup(
        &self,
        user_id: &UserId,
        version: BackupVersion,
        algorithm: &str,
        auth_data: RawJson,
    ) -> Result<UpdateBackupOutcome> {
        Err(StorageError::damaged("not written"))
    }
    async fn delete_backup(&self, user_id: &UserId, version: BackupVersion) -> Result<DeleteBackupOutcome> {
        Err(StorageError::damaged("not written"))
    }
    async fn put_backup_keys(
        &self,
        user_id: &UserId,
        version: BackupVersion,
        keys: Vec<BackupKey>,
    ) -> Result<PutBackupOutcome> {
        Err(StorageError::damaged("not written"))
    }
    async fn backup_keys(
        &self,
        user_id: &UserId,
        version: BackupVersion,
        selection: BackupSelection<'_>,
    ) -> Result<Option<Vec<BackupKey>>> {
        Err(StorageError::damaged("not written"))
    }
    async fn delete_backup_keys(
        &self,
        user_id: &UserId,
        version: BackupVersion,
        selection: BackupSelection<'_>,
    ) -> Result<Option<BackupState>> {
        Err(StorageError::damaged("not written"))
    }
}
