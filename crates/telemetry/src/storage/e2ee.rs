//! Commands that encryption rests on.

use async_trait::async_trait;
use olmstead_domain::{
    backup::BackupVersion,
    json::RawJson,
    position::{Cursor, Position},
};
use olmstead_storage::{
    Backups, CrossSigning, DehydratedDevices, Devices, Keys, Repair, Result, SyncReads, ToDevice,
    backups::{
        BackupInfo, BackupKey, BackupSelection, BackupState, DeleteBackupOutcome, PutBackupOutcome, StoredBackupKey,
        UpdateBackupOutcome,
    },
    cross_signing::{CrossSigningKeys, NewSignature, PutCrossSigningOutcome},
    dehydrated::DehydratedDevice,
    devices::{Device, DeviceRef, DeviceSelection, LoginOutcome, NewSession, Session, TokenHash},
    keys::{ClaimWant, ClaimedKey, KeyCounts, KeyQuery, KeysUpload, UploadOutcome, UserKeys},
    sync::{SyncFacts, SyncQuery},
    to_device::{InboxPage, OutgoingMessage, TransactionKey},
};
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};

use super::{Observed, watched};

watched! {
    Keys:
    key_counts(device: &DeviceRef) -> KeyCounts;
    query_keys(queries: &[KeyQuery], asker: Option<&UserId>) -> Vec<UserKeys>;
    + {
        async fn upload_keys(&self, device: &DeviceRef, upload: KeysUpload) -> Result<UploadOutcome> {
            let uploaded = upload.one_time_keys.len();
            let outcome = self.watch("upload_keys", self.inner.upload_keys(device, upload)).await?;
            self.health().uploaded(uploaded, &outcome);
            Ok(outcome)
        }

        async fn claim_keys(&self, wants: &[ClaimWant]) -> Result<Vec<ClaimedKey>> {
            let claimed = self.watch("claim_keys", self.inner.claim_keys(wants)).await?;
            self.health().claimed(wants, &claimed);
            Ok(claimed)
        }
    }
}

watched! {
    CrossSigning:
    cross_signing_keys(user_id: &UserId) -> CrossSigningKeys;
    + {
        async fn put_cross_signing_keys(
            &self,
            user_id: &UserId,
            expected_revision: u64,
            keys: CrossSigningKeys,
            public_keys: Vec<String>,
        ) -> Result<PutCrossSigningOutcome> {
            let command = self.inner.put_cross_signing_keys(user_id, expected_revision, keys, public_keys);
            let outcome = self.watch("put_cross_signing_keys", command).await?;
            if outcome == PutCrossSigningOutcome::Stored {
                self.health().device_lists_changed(1);
            }
            Ok(outcome)
        }

        async fn add_signatures(&self, signatures: Vec<NewSignature>) -> Result<Vec<bool>> {
            let added = self.watch("add_signatures", self.inner.add_signatures(signatures)).await?;
            self.health().device_lists_changed(added.iter().filter(|added| **added).count());
            Ok(added)
        }
    }
}

watched! {
    DehydratedDevices:
    put_dehydrated_device(user_id: &UserId, device_id: OwnedDeviceId, device_data: RawJson, display_name: Option<String>, keys: KeysUpload, now: u64) -> Option<UploadOutcome>;
    dehydrated_device(user_id: &UserId) -> Option<DehydratedDevice>;
    delete_dehydrated_device(user_id: &UserId) -> Option<OwnedDeviceId>;
}

watched! {
    Devices:
    login(user_id: &UserId, session: NewSession) -> LoginOutcome;
    session(access: &TokenHash) -> Option<Session>;
    refresh_session(old_refresh: &TokenHash, new_access: TokenHash, new_refresh: TokenHash, access_expires_at: Option<u64>) -> Option<DeviceRef>;
    retire_previous_tokens(access: &TokenHash) -> ();
    was_replaced(token: &TokenHash) -> bool;
    devices(user_id: &UserId) -> Vec<Device>;
    device(user_id: &UserId, device_id: &DeviceId) -> Option<Device>;
    set_device_name(user_id: &UserId, device_id: &DeviceId, name: Option<String>) -> bool;
    device_seen(device: &DeviceRef, at: u64, ip: Option<String>) -> ();
    device_list_changes(from: Position, to: Position) -> Vec<OwnedUserId>;
    + {
        async fn delete_devices(&self, user_id: &UserId, selection: DeviceSelection) -> Result<Vec<OwnedDeviceId>> {
            let deleted = self.watch("delete_devices", self.inner.delete_devices(user_id, selection)).await?;
            self.health().device_lists_changed(usize::from(!deleted.is_empty()));
            Ok(deleted)
        }
    }
}

watched! {
    Backups:
    create_backup(user_id: &UserId, algorithm: String, auth_data: RawJson) -> BackupVersion;
    backup(user_id: &UserId, version: Option<BackupVersion>) -> Option<BackupInfo>;
    update_backup(user_id: &UserId, version: BackupVersion, algorithm: &str, auth_data: RawJson) -> UpdateBackupOutcome;
    delete_backup(user_id: &UserId, version: BackupVersion) -> DeleteBackupOutcome;
    backup_keys(user_id: &UserId, version: BackupVersion, selection: BackupSelection<'_>) -> Option<Vec<StoredBackupKey>>;
    delete_backup_keys(user_id: &UserId, version: BackupVersion, selection: BackupSelection<'_>) -> Option<BackupState>;
    + {
        async fn put_backup_keys(
            &self,
            user_id: &UserId,
            version: BackupVersion,
            keys: Vec<BackupKey>,
        ) -> Result<PutBackupOutcome> {
            let count = keys.len();
            let outcome = self.watch("put_backup_keys", self.inner.put_backup_keys(user_id, version, keys)).await?;
            self.health().backed_up(count, &outcome);
            Ok(outcome)
        }
    }
}

watched! {
    Repair:
    drop_one_time_keys(device: &DeviceRef) -> Option<u64>;
    + {
        async fn announce_device_list(&self, user_id: &UserId) -> Result<bool> {
            let announced = self.watch("announce_device_list", self.inner.announce_device_list(user_id)).await?;
            self.health().device_lists_changed(usize::from(announced));
            Ok(announced)
        }
    }
}

watched! {
    ToDevice:
    inbox(device: &DeviceRef, from: Cursor, to: Position, limit: usize) -> InboxPage;
    acknowledge(device: &DeviceRef, cursor: Cursor) -> ();
    + {
        async fn send_to_device(
            &self,
            transaction: Option<TransactionKey>,
            messages: Vec<OutgoingMessage>,
        ) -> Result<bool> {
            let count = messages.len();
            let sent = self.watch("send_to_device", self.inner.send_to_device(transaction, messages)).await?;
            if sent {
                self.health().sent_to_device(count);
            }
            Ok(sent)
        }
    }
}

watched! {
    SyncReads:
    + {
        async fn sync_facts(&self, query: &SyncQuery) -> Result<Option<SyncFacts>> {
            let facts = self.watch("sync_facts", self.inner.sync_facts(query)).await?;
            if let Some(facts) = &facts {
                self.health().read_inbox(facts.inbox.messages.len());
            }
            Ok(facts)
        }
    }
}
