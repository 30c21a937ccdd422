//! Rooms: their events, state and members.

mod append;
mod appended;
mod events;
mod known;
mod members;
mod relations;
mod rows;
mod sharing;
mod state;
mod timeline;

use std::sync::Arc;

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

use self::state::Select;
pub(crate) use self::{
    rows::{membership_of, rooms_after},
    sharing::Sharing,
    state::{EntryWanted, SpanWanted, StateWanted},
    timeline::PageWanted,
};
use crate::{
    PostgresStore,
    locks::Locks,
    store::{command, read},
};

#[async_trait]
impl Rooms for PostgresStore {
    async fn room_head(&self, room_id: &RoomId) -> Result<Option<RoomHead>> {
        let make = |rooms: Vec<Arc<OwnedRoomId>>| async move {
            read!(self, |connection| rows::heads(connection, &rooms).await)
        };
        self.batches().heads.ask(room_id.to_owned(), make).await
    }

    async fn append_events(&self, append: Append) -> Result<AppendOutcome> {
        command!(self, append::locks(&append), |command| append::append(&mut command, &append).await)
    }

    async fn transaction_event(&self, transaction: &TransactionKey) -> Result<Option<OwnedEventId>> {
        read!(self, |connection| known::transaction_event(connection, transaction).await)
    }

    async fn events(&self, event_ids: &[OwnedEventId]) -> Result<Vec<Option<StoredEvent>>> {
        read!(self, |connection| events::load(connection, event_ids).await)
    }

    async fn auth_chain(&self, event_ids: &[OwnedEventId]) -> Result<Vec<Pdu>> {
        read!(self, |connection| events::auth_chain(connection, event_ids).await)
    }

    async fn state(
        &self,
        room_id: &RoomId,
        before: Option<Cursor>,
        select: StateSelection,
    ) -> Result<Vec<StoredEvent>> {
        let (select, wanted) = StateWanted::of(room_id, before, select);
        let make = |wanted: Vec<Arc<StateWanted>>| async move {
            read!(self, |connection| state::states(connection, &wanted, select).await)
        };
        let batches = &self.batches().states;
        match select {
            Select::All => &batches.all,
            Select::AllButMembers => &batches.all_but_members,
            Select::Types => &batches.types,
            Select::These => &batches.these,
        }
        .ask(wanted, make)
        .await
    }

    async fn state_between(&self, room_id: &RoomId, from: Cursor, to: Cursor) -> Result<Vec<StoredEvent>> {
        let make = |wanted: Vec<Arc<SpanWanted>>| async move {
            read!(self, |connection| state::states_between(connection, &wanted).await)
        };
        self.batches().states.between.ask(SpanWanted { room_id: room_id.to_owned(), from, to }, make).await
    }

    async fn state_history(&self, room_id: &RoomId, kind: &str, state_key: &str) -> Result<Vec<StoredEvent>> {
        let make = |wanted: Vec<Arc<EntryWanted>>| async move {
            read!(self, |connection| state::histories(connection, &wanted).await)
        };
        let (kind, state_key) = (kind.to_owned(), state_key.to_owned());
        self.batches().states.histories.ask(EntryWanted { room_id: room_id.to_owned(), kind, state_key }, make).await
    }

    async fn timeline(
        &self,
        room_id: &RoomId,
        from: Cursor,
        to: Cursor,
        limit: usize,
        direction: Direction,
    ) -> Result<TimelinePage> {
        let make = |pages: Vec<Arc<PageWanted>>| async move {
            read!(self, |connection| timeline::timelines(connection, &pages, direction).await)
        };
        let batches = &self.batches().timelines;
        match direction {
            Direction::Forward => &batches.forward,
            Direction::Backward => &batches.backward,
        }
        .ask(PageWanted { room_id: room_id.to_owned(), from, to, most: limit }, make)
        .await
    }

    async fn members(&self, room_id: &RoomId, before: Option<Cursor>) -> Result<Vec<Member>> {
        read!(self, |connection| members::members(connection, room_id, before).await)
    }

    async fn joined_members(&self, room_id: &RoomId) -> Result<Vec<OwnedUserId>> {
        read!(self, |connection| members::joined(connection, room_id).await)
    }

    async fn membership_changes(
        &self,
        room_id: &RoomId,
        from: Position,
        to: Position,
    ) -> Result<Vec<MembershipChange>> {
        read!(self, |connection| members::changes(connection, room_id, from, to).await)
    }

    async fn memberships(
        &self,
        user_id: &UserId,
        forgotten_from: Position,
        to: Position,
    ) -> Result<Vec<RoomMembership>> {
        read!(self, |connection| members::memberships(connection, user_id, forgotten_from, to).await)
    }

    async fn membership(&self, room_id: &RoomId, user_id: &UserId) -> Result<Option<RoomMembership>> {
        read!(self, |connection| members::membership(connection, room_id, user_id).await)
    }

    async fn sharing_rooms(
        &self,
        user_id: &UserId,
        others: &[OwnedUserId],
        encrypted_only: bool,
        or_invited: bool,
    ) -> Result<Vec<OwnedUserId>> {
        if others.is_empty() {
            return Ok(Vec::new());
        }
        let asked = Sharing { user_id: user_id.to_owned(), others: others.to_vec(), encrypted_only, or_invited };
        let make = |asked: Vec<Arc<Sharing>>| async move {
            read!(self, |connection| sharing::sharing(connection, &asked).await)
        };
        self.batches().sharing.ask(asked, make).await
    }

    async fn forget_room(&self, room_id: &RoomId, user_id: &UserId) -> Result<bool> {
        command!(self, Locks::new().room(room_id), |command| members::forget(&mut command, room_id, user_id).await)
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
        let of = (room_id, parent);
        read!(self, |connection| relations::relations(connection, of, query, (from, to), limit, direction).await)
    }
}
