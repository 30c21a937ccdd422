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
pub(crate) struct View<'a> {
    pub(crate) cx: &'a Context,
    pub(crate) device: &'a DeviceRef,
    pub(crate) filter: &'a Filter,
    /// The span; `None` for a first sync.
    pub(crate) since: Option<Position>,
    /// The end of the span.
    pub(crate) horizon: Position,
    /// Milliseconds since the Unix epoch.
    pub(crate) now: u64,
    pub(crate) full_state: bool,
    pub(crate) state_after: StateAfter,
    /// Changes of membership in the span.
    pub(crate) moves: Moves,
}

impl<'a> View<'a> {
    pub(crate) fn new(
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

    /// A part of an answer that has a span of its own.
    pub(crate) fn over(
        cx: &'a Context,
        device: &'a DeviceRef,
        filter: &'a Filter,
        since: Option<Position>,
        horizon: Position,
    ) -> Self {
        Self {
            cx,
            device,
            filter,
            since,
            horizon,
            now: cx.now(),
            full_state: false,
            state_after: StateAfter::default(),
            moves: Moves::default(),
        }
    }

    pub(crate) fn user(&self) -> &'a UserId {
        &self.device.user_id
    }

    /// Whether the client knows of nothing yet.
    pub(crate) fn is_first(&self) -> bool {
        span_start(self.since) == Position::START
    }

    /// Whether something at this position is new.
    pub(crate) fn is_new(&self, position: Position) -> bool {
        position >= span_start(self.since)
    }

    /// The end of the span as a place.
    pub(crate) fn end(&self) -> Cursor {
        Cursor::at(self.horizon)
    }

    /// Reads the changes of membership that decide how rooms are told.
    pub(crate) async fn load_moves(&mut self, memberships: &[RoomMembership]) -> Result<()> {
        if let Some(since) = self.since {
            self.moves = Moves::load(self.cx, memberships, since, self.horizon).await?;
        }
        Ok(())
    }

    /// Whether a room the user is in has to be told from its beginning: the user joined, or joined again, in the span.
    pub(crate) fn is_newly_joined(&self, room: &RoomMembership) -> bool {
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
