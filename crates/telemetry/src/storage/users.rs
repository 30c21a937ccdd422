//! Commands of accounts, their settings, and what is short-lived.

use async_trait::async_trait;
use bytes::Bytes;
use olmstead_domain::{json::RawJson, position::Position};
use olmstead_storage::{
    AccountData, Accounts, Audit, Ephemeral, Inspection, Media, RegistrationTokens, Result, ShortLived,
    account_data::{AccountDataEntry, Pusher},
    accounts::{Account, StandingChange},
    audit::AuditEntry,
    devices::{NewSession, TokenHash},
    ephemeral::{Presence, Receipt, Syncing},
    inspection::{DeviceHealth, UserTraces},
    media::MediaInfo,
    registration_tokens::{Invited, RegistrationToken},
    rooms::RoomHead,
};
use ruma::{OwnedDeviceId, OwnedRoomId, OwnedUserId, RoomId, UserId};

use super::{Observed, watched};

watched! {
    AccountData:
    set_account_data(user_id: &UserId, room_id: Option<&RoomId>, kind: &str, content: RawJson) -> ();
    account_data(user_id: &UserId, room_id: Option<&RoomId>, kind: &str) -> Option<RawJson>;
    replace_account_data(user_id: &UserId, room_id: Option<&RoomId>, kind: &str, expected: Option<&RawJson>, content: RawJson) -> bool;
    account_data_between(user_id: &UserId, from: Position, to: Position) -> Vec<AccountDataEntry>;
    put_filter(user_id: &UserId, filter: RawJson) -> String;
    filter(user_id: &UserId, filter_id: &str) -> Option<RawJson>;
    profile(user_id: &UserId) -> Option<Vec<(String, RawJson)>>;
    set_profile_field(user_id: &UserId, field: &str, value: Option<RawJson>) -> ();
    set_pusher(pusher: Pusher, append: bool) -> ();
    delete_pusher(user_id: &UserId, app_id: &str, pushkey: &str) -> ();
    pushers(user_id: &UserId) -> Vec<Pusher>;
}

watched! {
    Accounts:
    create_account(account: Account, session: Option<NewSession>) -> bool;
    account(user_id: &UserId) -> Option<Account>;
    set_password(user_id: &UserId, password_hash: String, logout_others: bool, keep: Option<&OwnedDeviceId>) -> Option<Vec<OwnedDeviceId>>;
    deactivate_account(user_id: &UserId, erase: bool) -> bool;
    set_standing(user_id: &UserId, change: StandingChange) -> bool;
    search_users(term: &str, limit: usize) -> Vec<OwnedUserId>;
}

watched! {
    Ephemeral:
    set_receipts(room_id: &RoomId, receipts: Vec<Receipt>) -> ();
    receipts_between(room_id: &RoomId, from: Position, to: Position) -> Vec<Receipt>;
    receipts_of(room_id: &RoomId, user_id: &UserId) -> Vec<Receipt>;
    set_typing(room_id: &RoomId, user_id: &UserId, until: Option<u64>) -> ();
    typing(room_id: &RoomId, now: u64) -> (Vec<OwnedUserId>, Position);
    end_typing(now: u64) -> usize;
    set_presence(presence: Presence) -> ();
    presence(user_id: &UserId) -> Option<Presence>;
    presence_between(from: Position, to: Position) -> Vec<Presence>;
    begin_syncing(syncing: Syncing, presence: &str, now: u64) -> ();
    keep_syncing(users: &[Syncing]) -> ();
    end_syncing(now: u64) -> usize;
}

watched! {
    Media:
    put_media(media_id: &str, info: MediaInfo, content: Option<Bytes>) -> bool;
    media_info(media_id: &str) -> Option<MediaInfo>;
    media_content(media_id: &str) -> Option<Bytes>;
}

watched! {
    ShortLived:
    put_short_lived(kind: &str, key: &str, value: Vec<u8>, expires_at: u64) -> ();
    short_lived(kind: &str, key: &str, now: u64) -> Option<Vec<u8>>;
    replace_short_lived(kind: &str, key: &str, expected: &[u8], value: Vec<u8>, expires_at: u64) -> bool;
    take_short_lived(kind: &str, key: &str, now: u64) -> Option<Vec<u8>>;
    expire_short_lived(now: u64) -> usize;
}

watched! {
    Inspection:
    accounts_after(after: Option<&UserId>, limit: usize) -> Vec<Account>;
    device_health(user_id: &UserId, most: usize) -> Vec<DeviceHealth>;
    user_traces(user_id: &UserId, most: usize) -> UserTraces;
    rooms_after(after: Option<&RoomId>, limit: usize) -> Vec<(OwnedRoomId, RoomHead)>;
    store_size() -> u64;
    horizon_lag() -> u64;
}

watched! {
    Audit:
    add_audit_entry(entry: AuditEntry) -> u64;
    audit_entries(before: Option<u64>, limit: usize) -> Vec<(u64, AuditEntry)>;
}

watched! {
    RegistrationTokens:
    add_registration_token(hash: &TokenHash, token: RegistrationToken) -> bool;
    registration_token(hash: &TokenHash) -> Option<RegistrationToken>;
    registration_tokens_after(after: Option<&TokenHash>, limit: usize) -> Vec<RegistrationToken>;
    delete_registration_token(hash: &TokenHash) -> bool;
    create_invited_account(account: Account, session: Option<NewSession>, hash: &TokenHash, now: u64) -> Invited;
}
