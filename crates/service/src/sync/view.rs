//! What all parts of one answer share.

use std::{future::Future, pin::Pin};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use olmstead_domain::{
    filter::Filter,
    position::{Cursor, Position},
};
use olmstead_storage::{
    devices::DeviceRef,
    rooms::{Membership, RoomMembership},
    sync::SyncFacts,
};
use ruma::UserId;

use super::{Moves, StateAfter, SyncRequest, span_start, start::Start};
use crate::{Context, Result};

/// Rooms that are read at the same time for one answer.
const CONCURRENT_ROOMS: usize = 16;

/// One answer in the making: for whom, over which span, and what of it is wanted.
pub(super) struct View<'a> {
    pub(super) cx: &'a Context,
    pub(super) device: &'a DeviceRef,
    pub(super) filter: &'a Filter,
    /// The span; `None` for a first sync.
    pub(super) since: Option<Position>,
    /// The end of the span.
    pub(super) horizon: Position,
    /// Milliseconds since the Unix epoch.
    pub(super) now: u64,
    pub(super) full_state: bool,
    pub(super) state_after: StateAfter,
    /// Changes of membership in the span.
    pub(super) moves: Moves,
}

impl<'a> View<'a> {
    pub(super) fn new(
        cx: &'a Context,
        device: &'a DeviceRef,
        request: &SyncRequest,
        filter: &'a Filter,
        start: &Start,
        facts: &SyncFacts,
    ) -> Self {
        Self {
            cx,
            device,
            filter,
            since: start.since,
            horizon: facts.horizon.position,
            now: cx.now(),
            full_state: request.full_state,
            state_after: request.state_after,
            moves: Moves::default(),
        }
    }

    pub(super) fn user(&self) -> &'a UserId {
        &self.device.user_id
    }

    /// Whether the client knows of nothing yet.
    pub(super) fn is_first(&self) -> bool {
        span_start(self.since) == Position::START
    }

    /// Whether something at this position is new.
    pub(super) fn is_new(&self, position: Position) -> bool {
        position >= span_start(self.since)
    }

    /// The end of the span as a place.
    pub(super) fn end(&self) -> Cursor {
        Cursor::at(self.horizon)
    }

    /// Reads the changes of membership that decide how rooms are told.
    pub(super) async fn load_moves(&mut self, memberships: &[RoomMembership]) -> Result<()> {
        if let Some(since) = self.since {
            self.moves = Moves::load(self.cx, memberships, since, self.horizon).await?;
        }
        Ok(())
    }

    /// Whether a room the user is in has to be told from its beginning: the user joined, or joined again, in the span.
    pub(super) fn is_newly_joined(&self, room: &RoomMembership) -> bool {
        if self.is_first() {
            return true;
        }
        let mut own = self.moves.own(&room.room_id, self.user()).peekable();
        own.peek().is_some_and(|change| change.from != Some(Membership::Join))
            || own.any(|change| change.to != Membership::Join)
    }
}

/// A future of one room's part.
pub(crate) type Part<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Runs parts side by side, a bounded number at a time, and keeps their order.
pub(crate) async fn all<T: Send>(parts: Vec<Part<'_, T>>) -> Result<Vec<T>> {
    stream::iter(parts).buffered(CONCURRENT_ROOMS).try_collect().await
}
