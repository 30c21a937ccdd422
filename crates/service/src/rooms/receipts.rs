//! Read receipts and read markers.

use olmstead_domain::{
    json::RawJson,
    position::Position,
    rooms::relations::{Relation, THREAD},
};
use olmstead_storage::{ephemeral::Receipt, rooms::StoredEvent};
use ruma::{EventId, OwnedEventId, RoomId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{check_length, visibility::require_joined};
use crate::{Context, Result, ServiceError};

/// The kind of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptKind {
    /// `m.read`, seen by all.
    Read,
    /// `m.read.private`, seen by the user alone.
    ReadPrivate,
    /// `m.fully_read`, a marker in the account data of the room.
    FullyRead,
}

impl ReceiptKind {
    /// The kind of that name.
    ///
    /// # Errors
    /// [`crate::Refusal::InvalidParam`].
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "m.read" => Ok(Self::Read),
            "m.read.private" => Ok(Self::ReadPrivate),
            "m.fully_read" => Ok(Self::FullyRead),
            other => Err(ServiceError::invalid_param(format!("Unknown receipt type {other:?}."))),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Read => "m.read",
            Self::ReadPrivate => "m.read.private",
            Self::FullyRead => "m.fully_read",
        }
    }
}

/// How many relations are followed from an event to the thread it belongs to (client-server API, "Threading").
const MAX_HOPS: usize = 3;

/// Sets a receipt or the read marker. Those of the same kind and thread only go forward.
///
/// # Errors
/// [`crate::Refusal::Forbidden`] for who is not in the room, [`crate::Refusal::NotFound`] if there is no such event in
/// it, [`crate::Refusal::InvalidParam`] for a thread that cannot be.
pub async fn set_receipt(
    cx: &Context,
    user_id: &UserId,
    room_id: &RoomId,
    kind: ReceiptKind,
    event_id: &EventId,
    thread_id: Option<&str>,
) -> Result<()> {
    require_joined(cx, user_id, room_id).await?;
    let event = event_of(cx, room_id, event_id).await?;
    if let Some(thread_id) = thread_id {
        check_thread(cx, &event, kind, thread_id).await?;
    }
    store(cx, user_id, room_id, kind, &event, thread_id).await
}

/// The events to mark in one go.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ReadMarkers {
    /// The read marker.
    #[serde(rename = "m.fully_read")]
    pub fully_read: Option<OwnedEventId>,
    /// The public receipt.
    #[serde(rename = "m.read")]
    pub read: Option<OwnedEventId>,
    /// The private receipt.
    #[serde(rename = "m.read.private")]
    pub read_private: Option<OwnedEventId>,
}

/// Sets the read marker and receipts. All events are checked before anything is set.
///
/// # Errors
/// As [`set_receipt`].
pub async fn set_read_markers(cx: &Context, user_id: &UserId, room_id: &RoomId, markers: &ReadMarkers) -> Result<()> {
    require_joined(cx, user_id, room_id).await?;
    let wanted = [
        (ReceiptKind::FullyRead, &markers.fully_read),
        (ReceiptKind::Read, &markers.read),
        (ReceiptKind::ReadPrivate, &markers.read_private),
    ];
    let mut events = Vec::new();
    for (kind, event_id) in wanted {
        if let Some(event_id) = event_id {
            events.push((kind, event_of(cx, room_id, event_id).await?));
        }
    }
    for (kind, event) in events {
        store(cx, user_id, room_id, kind, &event, None).await?;
    }
    Ok(())
}

async fn event_of(cx: &Context, room_id: &RoomId, event_id: &EventId) -> Result<StoredEvent> {
    stored(cx, room_id, event_id).await?.ok_or_else(|| ServiceError::not_found("There is no such event in this room."))
}

async fn stored(cx: &Context, room_id: &RoomId, event_id: &EventId) -> Result<Option<StoredEvent>> {
    let found = cx.storage.events(&[event_id.to_owned()]).await?.into_iter().next().flatten();
    Ok(found.filter(|event| event.pdu.room_id() == room_id))
}

async fn check_thread(cx: &Context, event: &StoredEvent, kind: ReceiptKind, thread_id: &str) -> Result<()> {
    if kind == ReceiptKind::FullyRead {
        return Err(ServiceError::invalid_param("The read marker has no thread."));
    }
    if thread_id.is_empty() {
        return Err(ServiceError::invalid_param("thread_id must not be empty."));
    }
    check_length("thread ID", thread_id)?;
    if thread_id == event.pdu.event_id() {
        return Ok(());
    }
    let thread = thread_of(cx, event).await?;
    if thread.as_deref().map_or("main", EventId::as_str) == thread_id {
        return Ok(());
    }
    Err(ServiceError::invalid_param("The event does not belong to this thread."))
}

/// The thread that an event belongs to, directly or by what it relates to; `None` for the main timeline.
async fn thread_of(cx: &Context, event: &StoredEvent) -> Result<Option<OwnedEventId>> {
    let mut relation = Relation::of(&event.pdu);
    for _ in 0..MAX_HOPS {
        let Some(current) = relation else { return Ok(None) };
        if current.rel_type == THREAD {
            return Ok(Some(current.event_id));
        }
        relation =
            stored(cx, event.pdu.room_id(), &current.event_id).await?.and_then(|parent| Relation::of(&parent.pdu));
    }
    Ok(None)
}

async fn store(
    cx: &Context,
    user_id: &UserId,
    room_id: &RoomId,
    kind: ReceiptKind,
    event: &StoredEvent,
    thread_id: Option<&str>,
) -> Result<()> {
    if kind == ReceiptKind::FullyRead {
        return store_marker(cx, user_id, room_id, event).await;
    }
    let receipts = cx.storage.receipts_of(room_id, user_id).await?;
    let current = receipts
        .into_iter()
        .find(|receipt| receipt.kind == kind.as_str() && receipt.thread_id.as_deref() == thread_id)
        .map(|receipt| receipt.event_id);
    if !goes_forward(cx, room_id, current.as_deref(), event).await? {
        return Ok(());
    }
    let receipt = Receipt {
        user_id: user_id.to_owned(),
        kind: kind.as_str().to_owned(),
        thread_id: thread_id.map(ToOwned::to_owned),
        event_id: event.pdu.event_id().to_owned(),
        at: cx.now(),
        position: Position::START,
    };
    Ok(cx.storage.set_receipts(room_id, vec![receipt]).await?)
}

async fn store_marker(cx: &Context, user_id: &UserId, room_id: &RoomId, event: &StoredEvent) -> Result<()> {
    #[derive(Serialize, Deserialize)]
    struct Content {
        event_id: OwnedEventId,
    }
    const KIND: &str = "m.fully_read";
    let current = cx.storage.account_data(user_id, Some(room_id), KIND).await?;
    let current = current.and_then(|content| content.read::<Content>().ok()).map(|content| content.event_id);
    if !goes_forward(cx, room_id, current.as_deref(), event).await? {
        return Ok(());
    }
    let content = RawJson::from_value(&json!({ "event_id": event.pdu.event_id() })).map_err(super::bad_json)?;
    Ok(cx.storage.set_account_data(user_id, Some(room_id), KIND, content).await?)
}

async fn goes_forward(cx: &Context, room_id: &RoomId, current: Option<&EventId>, event: &StoredEvent) -> Result<bool> {
    let Some(current) = current else { return Ok(true) };
    let current = stored(cx, room_id, current).await?;
    Ok(current.is_none_or(|current| current.cursor < event.cursor))
}
