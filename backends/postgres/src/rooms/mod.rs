//! Not written yet.
#![allow(unused_variables, unused_imports, clippy::too_many_arguments)]
use async_trait::async_trait;
use olmstead_domain::{
    position::{Cursor, Position},
    rooms::pdu::Pdu,
};
use ruma::{EventId, OwnedDeviceId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, RoomVersionId, UserId};
use olmstead_storage::{Result, to_device::TransactionKey};
use olmstead_storage::{StorageError, Rooms, rooms::*};
use crate::PostgresStore;

#[async_trait]
impl Rooms for PostgresStore {
    async fn room_head(&self, room_id: &RoomId) -> Result<Option<RoomHead>> {
        Err(StorageError::damaged("not written"))
    }
    async fn append_events(&self, append: Append) -> Result<AppendOutcome> {
        Err(StorageError::damaged("not written"))
    }
    async fn transaction_event(&self, transaction: &TransactionKey) -> Result<Option<OwnedEventId>> {
        Err(StorageError::damaged("not written"))
    }
    async fn events(&self, event_ids: &[OwnedEventId]) -> Result<Vec<Option<StoredEvent>>> {
        Err(StorageError::damaged("not written"))
    }
    async fn auth_chain(&self, event_ids: &[OwnedEventId]) -> Result<Vec<Pdu>> {
        Err(StorageError::damaged("not written"))
    }
    async fn state(&self, room_id: &RoomId, before: Option<Cursor>, select: StateSelection) -> Result<Vec<StoredEvent>> {
        Err(StorageError::damaged("not written"))
    }
    async fn state_between(&self, room_id: &RoomId, from: Cursor, to: Cursor) -> Result<Vec<StoredEvent>> {
        Err(StorageError::damaged("not written"))
    }
    async fn state_history(&self, room_id: &RoomId, kind: &str, state_key: &str) -> Result<Vec<StoredEvent>> {
        Err(StorageError::damaged("not written"))
    }
    async fn timeline(
        &self,
        room_id: &RoomId,
        from: Cursor,
        to: Cursor,
        limit: usize,
        direction: Direction,
    ) -> Result<TimelinePage> {
        Err(StorageError::damaged("not written"))
    }
    async fn members(&self, room_id: &RoomId, before: Option<Cursor>) -> Result<Vec<Member>> {
        Err(StorageError::damaged("not written"))
    }
    async fn joined_members(&self, room_id: &RoomId) -> Result<Vec<OwnedUserId>> {
        Err(StorageError::damaged("not written"))
    }
    async fn membership_changes(&self, room_id: &RoomId, from: Position, to: Position) -> Result<Vec<MembershipChange>> {
        Err(StorageError::damaged("not written"))
    }
    async fn memberships(
        &self,
        user_id: &UserId,
        forgotten_from: Position,
        to: Position,
    ) -> Result<Vec<RoomMembership>> {
        Err(StorageError::damaged("not written"))
    }
    async fn membership(&self, room_id: &RoomId, user_id: &UserId) -> Result<Option<RoomMembership>> {
        Err(StorageError::damaged("not written"))
    }
    async fn sharing_rooms(
        &self,
        user_id: &UserId,
        others: &[OwnedUserId],
        encrypted_only: bool,
        or_invited: bool,
    ) -> Result<Vec<OwnedUserId>> {
        Err(StorageError::damaged("not written"))
    }
    async fn forget_room(&self, room_id: &RoomId, user_id: &UserId) -> Result<bool> {
        Err(StorageError::damaged("not written"))
    }
    async fn relations(
        &self,
        room_id: &RoomId,
        parent: &EventId,
        query: &RelationQuery,
        from: Cursor,
        to: Cursor,
        limit: usize,
        direction: Direction,
    ) -> Result<TimelinePage> {
        Err(StorageError::damaged("not written"))
    }
}
