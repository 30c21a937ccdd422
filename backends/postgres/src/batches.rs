//! The questions that are answered together, see [`crate::batch`].

use olmstead_domain::position::{Cursor, Position};
use olmstead_storage::{
    devices::{DeviceRef, Session, TokenHash},
    ephemeral::Receipt,
    keys::{ClaimWant, ClaimedKey},
    rooms::{RoomHead, StoredEvent, TimelinePage},
    sync::{SyncFacts, SyncQuery},
};

use ruma::{OwnedRoomId, OwnedUserId};

use crate::{
    batch::Batch,
    ephemeral::ReceiptsWanted,
    rooms::{EntryWanted, PageWanted, Sharing, SpanWanted, StateWanted},
};

/// All kinds of them.
#[derive(Default)]
pub(crate) struct Batches {
    /// Whose an access token is.
    pub(crate) sessions: Batch<TokenHash, Option<Session>>,
    /// Who shares a room.
    pub(crate) sharing: Batch<Sharing, Vec<OwnedUserId>>,
    /// Heads of rooms.
    pub(crate) heads: Batch<OwnedRoomId, Option<RoomHead>>,
    /// State of rooms.
    pub(crate) states: States,
    /// Timelines of rooms.
    pub(crate) timelines: Timelines,
    /// Receipts of rooms in a span.
    pub(crate) receipts: Batch<ReceiptsWanted, Vec<Receipt>>,
    /// Who types in a room at a moment.
    pub(crate) typing: Batch<(OwnedRoomId, u64), (Vec<OwnedUserId>, Position)>,
    /// Acknowledgements of messages.
    pub(crate) acknowledgements: Batch<(DeviceRef, Cursor), ()>,
    /// Claims of keys.
    pub(crate) claims: Batch<Vec<ClaimWant>, Vec<ClaimedKey>>,
    /// What a sync starts with.
    pub(crate) syncs: Batch<SyncQuery, Option<SyncFacts>>,
}

/// Reads of state, by how they select.
#[derive(Default)]
pub(crate) struct States {
    pub(crate) all: Batch<StateWanted, Vec<StoredEvent>>,
    pub(crate) all_but_members: Batch<StateWanted, Vec<StoredEvent>>,
    pub(crate) types: Batch<StateWanted, Vec<StoredEvent>>,
    pub(crate) these: Batch<StateWanted, Vec<StoredEvent>>,
    pub(crate) between: Batch<SpanWanted, Vec<StoredEvent>>,
    pub(crate) histories: Batch<EntryWanted, Vec<StoredEvent>>,
}

/// Reads of timelines, by their direction.
#[derive(Default)]
pub(crate) struct Timelines {
    pub(crate) forward: Batch<PageWanted, TimelinePage>,
    pub(crate) backward: Batch<PageWanted, TimelinePage>,
}
