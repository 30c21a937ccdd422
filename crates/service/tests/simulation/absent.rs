//! What nobody asks of the store here. It answers that it is not there, so that a run fails loudly when somebody does.

use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use olmstead_domain::{
    backup::BackupVersion,
    json::RawJson,
    position::{Cursor, Position},
    rooms::Pdu,
};
use olmstead_storage::{
    AccountData, Accounts, Audit, Backups, CrossSigning, DehydratedDevices, Devices, Directory, Ephemeral, Inspection,
    Keys, Maintenance, Media, RegistrationTokens, Repair, Result, Rooms, ShortLived, Storage, StorageError,
    account_data::{AccountDataEntry, Pusher},
    accounts::{Account, StandingChange},
    audit::AuditEntry,
    backups::*,
    cross_signing::*,
    dehydrated::DehydratedDevice,
    devices::*,
    ephemeral::{Presence, Receipt, Syncing},
    inspection::{DeviceHealth, UserTraces},
    keys::*,
    maintenance::StoreFacts,
    media::MediaInfo,
    registration_tokens::{Invited, RegistrationToken},
    rooms::*,
    to_device::TransactionKey,
};
use ruma::{
    DeviceId, EventId, OwnedDeviceId, OwnedEventId, OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomAliasId, RoomId,
    UserId,
};

use crate::{
    node_store::{self, NodeStore},
    people,
};

macro_rules! absent {
    ($trait:ident: $($name:ident($($argument:ty),*) -> $answer:ty;)* $({ $($there:tt)* })?) => {
        #[async_trait]
        impl $trait for NodeStore {
            $(async fn $name(&self, $(_: $argument),*) -> Result<$answer> {
                Err(StorageError::damaged(concat!("nobody simulates ", stringify!($name))))
            })*
            $($($there)*)?
        }
    };
}

absent! { Inspection:
    accounts_after(Option<&UserId>, usize) -> Vec<Account>;
    device_health(&UserId, usize) -> Vec<DeviceHealth>;
    user_traces(&UserId, usize) -> UserTraces;
    rooms_after(Option<&RoomId>, usize) -> Vec<(OwnedRoomId, RoomHead)>;
    store_size() -> u64;
    horizon_lag() -> u64;
}

absent! { RegistrationTokens:
    add_registration_token(&TokenHash, RegistrationToken) -> bool;
    registration_token(&TokenHash) -> Option<RegistrationToken>;
    registration_tokens_after(Option<&TokenHash>, usize) -> Vec<RegistrationToken>;
    delete_registration_token(&TokenHash) -> bool;
    create_invited_account(Account, Option<NewSession>, &TokenHash, u64) -> Invited;
}

absent! { Audit:
    add_audit_entry(AuditEntry) -> u64;
    audit_entries(Option<u64>, usize) -> Vec<(u64, AuditEntry)>;
}

absent! { Repair:
    drop_one_time_keys(&DeviceRef) -> Option<u64>;
    announce_device_list(&UserId) -> bool;
}

absent! { AccountData:
    set_account_data(&UserId, Option<&RoomId>, &str, RawJson) -> ();
    account_data(&UserId, Option<&RoomId>, &str) -> Option<RawJson>;
    replace_account_data(&UserId, Option<&RoomId>, &str, Option<&RawJson>, RawJson) -> bool;
    account_data_between(&UserId, Position, Position) -> Vec<AccountDataEntry>;
    put_filter(&UserId, RawJson) -> String;
    filter(&UserId, &str) -> Option<RawJson>;
    profile(&UserId) -> Option<Vec<(String, RawJson)>>;
    set_profile_field(&UserId, &str, Option<RawJson>) -> ();
    set_pusher(Pusher, bool) -> ();
    delete_pusher(&UserId, &str, &str) -> ();
    pushers(&UserId) -> Vec<Pusher>;
}

absent! { Accounts:
    create_account(Account, Option<NewSession>) -> bool;
    account(&UserId) -> Option<Account>;
    set_password(&UserId, String, bool, Option<&OwnedDeviceId>) -> Option<Vec<OwnedDeviceId>>;
    deactivate_account(&UserId, bool) -> bool;
    set_standing(&UserId, StandingChange) -> bool;
    search_users(&str, usize) -> Vec<OwnedUserId>;
}

absent! { Backups:
    create_backup(&UserId, String, RawJson) -> BackupVersion;
    backup(&UserId, Option<BackupVersion>) -> Option<BackupInfo>;
    update_backup(&UserId, BackupVersion, &str, RawJson) -> UpdateBackupOutcome;
    delete_backup(&UserId, BackupVersion) -> DeleteBackupOutcome;
    put_backup_keys(&UserId, BackupVersion, Vec<BackupKey>) -> PutBackupOutcome;
    backup_keys(&UserId, BackupVersion, BackupSelection<'_>) -> Option<Vec<StoredBackupKey>>;
    delete_backup_keys(&UserId, BackupVersion, BackupSelection<'_>) -> Option<BackupState>;
}

absent! { CrossSigning:
    cross_signing_keys(&UserId) -> CrossSigningKeys;
    put_cross_signing_keys(&UserId, u64, CrossSigningKeys, Vec<String>) -> PutCrossSigningOutcome;
    add_signatures(Vec<NewSignature>) -> Vec<bool>;
}

absent! { DehydratedDevices:
    put_dehydrated_device(&UserId, OwnedDeviceId, RawJson, Option<String>, KeysUpload, u64) -> Option<UploadOutcome>;
    dehydrated_device(&UserId) -> Option<DehydratedDevice>;
    delete_dehydrated_device(&UserId) -> Option<OwnedDeviceId>;
}

absent! { Devices:
    login(&UserId, NewSession) -> LoginOutcome;
    session(&TokenHash) -> Option<Session>;
    refresh_session(&TokenHash, TokenHash, TokenHash, Option<u64>) -> Option<DeviceRef>;
    retire_previous_tokens(&TokenHash) -> ();
    was_replaced(&TokenHash) -> bool;
    devices(&UserId) -> Vec<Device>;
    device(&UserId, &DeviceId) -> Option<Device>;
    set_device_name(&UserId, &DeviceId, Option<String>) -> bool;
    device_seen(&DeviceRef, u64, Option<String>) -> ();
    delete_devices(&UserId, DeviceSelection) -> Vec<OwnedDeviceId>;
    device_list_changes(Position, Position) -> Vec<OwnedUserId>;
}

absent! { Directory:
    create_alias(&RoomAliasId, &RoomId, &UserId) -> bool;
    alias(&RoomAliasId) -> Option<(OwnedRoomId, OwnedUserId)>;
    delete_alias(&RoomAliasId) -> bool;
    room_aliases(&RoomId) -> Vec<OwnedRoomAliasId>;
    set_published(&RoomId, bool) -> ();
    published(&RoomId) -> bool;
    published_rooms() -> Vec<(OwnedRoomId, u64)>;
}

absent! { Ephemeral:
    set_receipts(&RoomId, Vec<Receipt>) -> ();
    receipts_between(&RoomId, Position, Position) -> Vec<Receipt>;
    receipts_of(&RoomId, &UserId) -> Vec<Receipt>;
    set_typing(&RoomId, &UserId, Option<u64>) -> ();
    typing(&RoomId, u64) -> (Vec<OwnedUserId>, Position);
    set_presence(Presence) -> ();
    presence(&UserId) -> Option<Presence>;
    presence_between(Position, Position) -> Vec<Presence>;
    begin_syncing(Syncing, &str, u64) -> ();
    {
        async fn end_typing(&self, _: u64) -> Result<usize> {
            Ok(0)
        }

        async fn keep_syncing(&self, _: &[Syncing]) -> Result<()> {
            Ok(())
        }

        async fn end_syncing(&self, _: u64) -> Result<usize> {
            Ok(0)
        }
    }
}

absent! { Keys:
    upload_keys(&DeviceRef, KeysUpload) -> UploadOutcome;
    key_counts(&DeviceRef) -> KeyCounts;
    claim_keys(&[ClaimWant]) -> Vec<ClaimedKey>;
    query_keys(&[KeyQuery], Option<&UserId>) -> Vec<UserKeys>;
}

absent! { Maintenance:
    store_facts() -> StoreFacts;
    checkpoint(&Path) -> Option<StoreFacts>;
    {
        async fn failed(&self) -> String {
            std::future::pending().await
        }
    }
}

absent! { Media:
    put_media(&str, MediaInfo, Option<Bytes>) -> bool;
    media_info(&str) -> Option<MediaInfo>;
    media_content(&str) -> Option<Bytes>;
}

absent! { Rooms:
    room_head(&RoomId) -> Option<RoomHead>;
    append_events(Append) -> AppendOutcome;
    transaction_event(&TransactionKey) -> Option<OwnedEventId>;
    events(&[OwnedEventId]) -> Vec<Option<StoredEvent>>;
    auth_chain(&[OwnedEventId]) -> Vec<Pdu>;
    state(&RoomId, Option<Cursor>, StateSelection) -> Vec<StoredEvent>;
    state_between(&RoomId, Cursor, Cursor) -> Vec<StoredEvent>;
    state_history(&RoomId, &str, &str) -> Vec<StoredEvent>;
    timeline(&RoomId, Cursor, Cursor, usize, Direction) -> TimelinePage;
    members(&RoomId, Option<Cursor>) -> Vec<Member>;
    membership_changes(&RoomId, Position, Position) -> Vec<MembershipChange>;
    membership(&RoomId, &UserId) -> Option<RoomMembership>;
    forget_room(&RoomId, &UserId) -> bool;
    relations(&RoomId, &EventId, &RelationQuery, Cursor, Cursor, usize, Direction) -> TimelinePage;
    {
        async fn joined_members(&self, _: &RoomId) -> Result<Vec<OwnedUserId>> {
            self.world.read(|_, _| people::sharing()).await
        }

        async fn memberships(&self, user_id: &UserId, _: Position, _: Position) -> Result<Vec<RoomMembership>> {
            self.world.read(|_, _| node_store::memberships(user_id)).await
        }

        async fn sharing_rooms(
            &self,
            user_id: &UserId,
            others: &[OwnedUserId],
            _: bool,
            _: bool,
        ) -> Result<Vec<OwnedUserId>> {
            let told = |other: &&OwnedUserId| people::is_told_of(people::number(user_id.as_str()), people::number(other.as_str()));
            self.world.read(|_, _| others.iter().filter(told).cloned().collect()).await
        }
    }
}

absent! { ShortLived:
    put_short_lived(&str, &str, Vec<u8>, u64) -> ();
    short_lived(&str, &str, u64) -> Option<Vec<u8>>;
    replace_short_lived(&str, &str, &[u8], Vec<u8>, u64) -> bool;
    take_short_lived(&str, &str, u64) -> Option<Vec<u8>>;
    expire_short_lived(u64) -> usize;
}

#[async_trait]
impl Storage for NodeStore {
    fn engine(&self) -> &'static str {
        "simulated"
    }

    async fn signing_key(&self, fresh: ([u8; 32], String)) -> Result<([u8; 32], String)> {
        Ok(fresh)
    }

    async fn server_name(&self, name: &str) -> Result<String> {
        Ok(name.to_owned())
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}
