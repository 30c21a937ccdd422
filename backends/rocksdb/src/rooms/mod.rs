//! Rooms: their events, state and members.

mod append;
mod cache;
mod events;
mod members;
mod relations;
mod rows;
mod sharing;
mod state;
mod timeline;

use async_trait::async_trait;
use olmstead_domain::{
    position::{Cursor, Position},
    rooms::pdu::Pdu,
};
use olmstead_storage::{
    Result, Rooms,
    rooms::{
        Append, AppendOutcome, Direction, Member, MembershipChange, RelationQuery, RoomHead, RoomMembership,
        StateSelection, StoredEvent, TimelinePage,
    },
    to_device::TransactionKey,
};
use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId};

pub(crate) use self::{
    cache::{EventCache, RoomCache},
    members::memberships,
    rows::rooms_after,
};
use crate::{RocksStore, locks::Locks, reads::Reads};

/// How many users are joined to a room; none to one that is unknown.
pub(crate) fn joined_count(reads: &impl Reads, room_id: &OwnedRoomId) -> Result<u64> {
    Ok(rows::head(reads, room_id)?.map_or(0, |head| head.joined))
}

#[async_trait]
impl Rooms for RocksStore {
    async fn room_head(&self, room_id: &RoomId) -> Result<Option<RoomHead>> {
        let room_id = room_id.to_owned();
        self.read_view(move |view, _| rows::shown_head(view, &room_id)).await
    }

    async fn append_events(&self, append: Append) -> Result<AppendOutcome> {
        let cache = self.events();
        self.command(append::locks(&append), move |command| append::append(command, &cache, &append)).await
    }

    async fn transaction_event(&self, transaction: &TransactionKey) -> Result<Option<OwnedEventId>> {
        let transaction = transaction.clone();
        self.read(move |view| append::transaction_event(view, &transaction)).await
    }

    async fn events(&self, event_ids: &[OwnedEventId]) -> Result<Vec<Option<StoredEvent>>> {
        let (cache, event_ids) = (self.events(), event_ids.to_vec());
        self.read_view(move |view, _| events::load(view, &cache, &event_ids)).await
    }

    async fn auth_chain(&self, event_ids: &[OwnedEventId]) -> Result<Vec<Pdu>> {
        let (cache, event_ids) = (self.events(), event_ids.to_vec());
        self.read(move |view| events::auth_chain(view, &cache, &event_ids)).await
    }

    async fn state(
        &self,
        room_id: &RoomId,
        before: Option<Cursor>,
        select: StateSelection,
    ) -> Result<Vec<StoredEvent>> {
        let (cache, room_id) = (self.events(), room_id.to_owned());
        self.read_view(move |view, _| state::state(view, &cache, &room_id, before, &select)).await
    }

    async fn state_between(&self, room_id: &RoomId, from: Cursor, to: Cursor) -> Result<Vec<StoredEvent>> {
        let (cache, room_id) = (self.events(), room_id.to_owned());
        self.read_view(move |view, _| state::state_between(view, &cache, &room_id, from, to)).await
    }

    async fn state_history(&self, room_id: &RoomId, kind: &str, state_key: &str) -> Result<Vec<StoredEvent>> {
        let (cache, room_id) = (self.events(), room_id.to_owned());
        let (kind, state_key) = (kind.to_owned(), state_key.to_owned());
        self.read_view(move |view, _| state::history(view, &cache, &room_id, &kind, &state_key)).await
    }

    async fn timeline(
        &self,
        room_id: &RoomId,
        from: Cursor,
        to: Cursor,
        limit: usize,
        direction: Direction,
    ) -> Result<TimelinePage> {
        let (cache, room_id) = (self.events(), room_id.to_owned());
        self.read_view(move |view, _| timeline::timeline(view, &cache, &room_id, (from, to), limit, direction)).await
    }

    async fn members(&self, room_id: &RoomId, before: Option<Cursor>) -> Result<Vec<Member>> {
        let room_id = room_id.to_owned();
        self.read_view(move |view, _| members::members(view, &room_id, before)).await
    }

    async fn joined_members(&self, room_id: &RoomId) -> Result<Vec<OwnedUserId>> {
        let room_id = room_id.to_owned();
        self.read_view(move |view, _| members::joined(view, &room_id)).await
    }

    async fn membership_changes(
        &self,
        room_id: &RoomId,
        from: Position,
        to: Position,
    ) -> Result<Vec<MembershipChange>> {
        let room_id = room_id.to_owned();
        self.read_view(move |view, _| members::changes(view, &room_id, from, to)).await
    }

    async fn memberships(
        &self,
        user_id: &UserId,
        forgotten_from: Position,
        to: Position,
    ) -> Result<Vec<RoomMembership>> {
        let user_id = user_id.to_owned();
        let cache = self.rooms();
        self.read_view(move |view, horizon| memberships((view, horizon.position), &cache, &user_id, forgotten_from, to))
            .await
    }

    async fn membership(&self, room_id: &RoomId, user_id: &UserId) -> Result<Option<RoomMembership>> {
        let (room_id, user_id) = (room_id.to_owned(), user_id.to_owned());
        let cache = self.rooms();
        self.read_view(move |view, horizon| members::membership((view, horizon.position), &cache, &room_id, &user_id))
            .await
    }

    async fn sharing_rooms(
        &self,
        user_id: &UserId,
        others: &[OwnedUserId],
        encrypted_only: bool,
        or_invited: bool,
    ) -> Result<Vec<OwnedUserId>> {
        let (user_id, others) = (user_id.to_owned(), others.to_vec());
        self.read_view(move |view, _| sharing::sharing(view, &user_id, &others, encrypted_only, or_invited)).await
    }

    async fn forget_room(&self, room_id: &RoomId, user_id: &UserId) -> Result<bool> {
        let (room_id, user_id) = (room_id.to_owned(), user_id.to_owned());
        self.command(Locks::new().room(&room_id), move |command| members::forget(command, &room_id, &user_id)).await
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
        let (cache, room_id, parent, query) = (self.events(), room_id.to_owned(), parent.to_owned(), query.clone());
        self.read_view(move |view, _| {
            relations::relations(view, &cache, &room_id, &parent, &query, (from, to), limit, direction)
        })
        .await
    }
}
