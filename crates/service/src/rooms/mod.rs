//! Rooms: making, entering and leaving them, what is said in them, and who may read it.
//!
//! Everything that writes events goes through [`append`]; everything that reads them goes through [`visibility`] and
//! [`render`].

pub mod aliases;
pub mod append;
pub mod context;
pub mod create;
pub mod directory;
pub mod event;
pub mod guests;
pub mod hierarchy;
pub mod invite;
pub mod join;
pub mod members;
pub mod membership;
pub mod messages;
pub mod profile;
pub mod receipts;
pub mod redact;
pub mod relations;
pub mod render;
pub mod report;
pub mod send;
pub mod state;
pub(crate) mod state_cache;
pub mod summary;
pub mod threads;
pub mod timestamp;
pub mod typing;
pub mod upgrade;
pub mod visibility;

use olmstead_domain::{
    filter::FilterError,
    identifiers::{IdError, MAX_ID_BYTES},
    json::JsonError,
    position::InvalidToken,
    rooms::{RoomError, RoomVersion},
};
use olmstead_storage::rooms::RoomHead;
use ruma::{RoomId, UserId};

use crate::{Context, Result, ServiceError};

impl From<RoomError> for ServiceError {
    fn from(error: RoomError) -> Self {
        Self::domain(error.kind(), error)
    }
}

impl From<FilterError> for ServiceError {
    fn from(error: FilterError) -> Self {
        Self::domain(error.kind(), error)
    }
}

/// A type and state key in the room state.
pub(crate) type StateKey = (String, String);

/// The place of state with an empty state key.
pub(crate) fn key_of(kind: &str) -> StateKey {
    (kind.to_owned(), String::new())
}

/// The place of a user's membership.
pub(crate) fn member_key(user_id: &UserId) -> StateKey {
    ("m.room.member".to_owned(), user_id.to_string())
}

/// The rules of a room by the version its head names.
pub(crate) fn version_of(head: &RoomHead) -> Result<RoomVersion> {
    Ok(RoomVersion::parse(head.version.as_str())?)
}

/// The head of a room, or [`crate::Refusal::NotFound`].
pub(crate) async fn known_room(cx: &Context, room_id: &RoomId) -> Result<RoomHead> {
    cx.storage
        .room_head(room_id)
        .await?
        .ok_or_else(|| ServiceError::not_found(format!("The room {room_id} is not known to this server.")))
}

/// What somebody is told who is not in a room, also when there is none.
pub(crate) fn not_in_room() -> ServiceError {
    ServiceError::forbidden("You are not in this room.")
}

/// A pagination token of somebody else's making.
pub(crate) fn bad_token(_: InvalidToken) -> ServiceError {
    ServiceError::invalid_param("The pagination token was not issued by this server.")
}

pub(crate) fn bad_id(error: IdError) -> ServiceError {
    ServiceError::domain(error.kind(), error)
}

pub(crate) fn bad_json(error: JsonError) -> ServiceError {
    ServiceError::domain(error.kind(), error)
}

/// Checks the length of a text that becomes an identifier in an event.
pub(crate) fn check_length(what: &str, text: &str) -> Result<()> {
    if text.len() > MAX_ID_BYTES {
        return Err(ServiceError::invalid_param(format!("The {what} is longer than {MAX_ID_BYTES} bytes.")));
    }
    Ok(())
}
