//! `GET /_olmstead/admin/v1/rooms` and `GET …/rooms/{roomId}`.

use olmstead_domain::position::Cursor;
use olmstead_storage::rooms::{Direction, RoomHead, StateSelection};
use ruma::{OwnedRoomId, OwnedUserId, RoomId};
use serde::{Deserialize, Serialize};

use super::page_size;
use crate::{Context, Result, ServiceError};

/// Members that are named.
const MOST_MEMBERS: usize = 1_000;

/// The query.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Request {
    /// Rooms after this one, in order of ids.
    pub from: Option<OwnedRoomId>,
    /// How many at most.
    pub limit: Option<usize>,
}

/// A room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// The id.
    pub room_id: OwnedRoomId,
    /// The name, if it has one.
    pub name: Option<String>,
    /// The main alias, if it has one.
    pub canonical_alias: Option<String>,
    /// The room's version.
    pub version: String,
    /// Whether encryption was turned on.
    pub encrypted: bool,
    /// How many users are in it.
    pub joined: u64,
    /// How many are invited.
    pub invited: u64,
    /// When the last event was sent, milliseconds since the Unix epoch, by the clock of who sent it.
    pub last_activity: Option<u64>,
}

/// The answer: a page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// In order of ids.
    pub rooms: Vec<Room>,
    /// For `from`, if there may be more rooms.
    pub next: Option<OwnedRoomId>,
}

/// Reads a page.
///
/// # Errors
/// Only those of the store.
pub async fn list(cx: &Context, request: &Request) -> Result<Response> {
    let limit = page_size(request.limit);
    let heads = cx.storage.rooms_after(request.from.as_deref(), limit).await?;
    let next = if heads.len() == limit { heads.last().map(|(room_id, _)| room_id.clone()) } else { None };
    let mut response = Response { rooms: Vec::with_capacity(heads.len()), next };
    for (room_id, head) in heads {
        response.rooms.push(room(cx, room_id, &head).await?);
    }
    Ok(response)
}

/// All about a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomReport {
    /// What is in the list.
    #[serde(flatten)]
    pub room: Room,
    /// The topic, if it has one.
    pub topic: Option<String>,
    /// The algorithm of the encryption event.
    pub algorithm: Option<String>,
    /// The room that took its place.
    pub replaced_by: Option<String>,
    /// Users who are in it, in order of ids; the first thousand.
    pub members: Vec<OwnedUserId>,
}

/// Reads all about a room.
///
/// # Errors
/// [`crate::Refusal::NotFound`].
pub async fn show(cx: &Context, room_id: &RoomId) -> Result<RoomReport> {
    let head = cx.storage.room_head(room_id).await?;
    let head = head.ok_or_else(|| ServiceError::not_found(format!("There is no room {room_id}.")))?;
    let mut members = cx.storage.joined_members(room_id).await?;
    members.sort_unstable();
    members.truncate(MOST_MEMBERS);
    let wanted =
        [("m.room.topic", "topic"), ("m.room.encryption", "algorithm"), ("m.room.tombstone", "replacement_room")];
    let [topic, algorithm, replaced_by] = texts(cx, room_id, wanted).await?;
    Ok(RoomReport { room: room(cx, room_id.to_owned(), &head).await?, topic, algorithm, replaced_by, members })
}

async fn room(cx: &Context, room_id: OwnedRoomId, head: &RoomHead) -> Result<Room> {
    let [name, canonical_alias] =
        texts(cx, &room_id, [("m.room.name", "name"), ("m.room.canonical_alias", "alias")]).await?;
    let last = cx.storage.timeline(&room_id, Cursor::START, Cursor::END, 1, Direction::Backward).await?;
    Ok(Room {
        name,
        canonical_alias,
        version: head.version.to_string(),
        encrypted: head.encrypted_at.is_some(),
        joined: head.joined_count,
        invited: head.invited_count,
        last_activity: last.events.first().map(|event| event.pdu.origin_server_ts()),
        room_id,
    })
}

/// What the current state says in a text field of these types of events; an empty text says nothing.
async fn texts<const N: usize>(
    cx: &Context,
    room_id: &RoomId,
    wanted: [(&str, &str); N],
) -> Result<[Option<String>; N]> {
    let entries = wanted.iter().map(|(kind, _)| ((*kind).to_owned(), String::new())).collect();
    let state = cx.storage.state(room_id, None, StateSelection::These(entries)).await?;
    Ok(wanted.map(|(kind, field)| {
        let event = state.iter().find(|event| event.pdu.kind() == kind && event.redacted_by.is_none())?;
        event.pdu.content_field::<String>(field).filter(|text| !text.is_empty())
    }))
}
