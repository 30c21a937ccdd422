//! The rules of rooms: events, authorisation, visibility, relations.
//!
//! Everything here is a pure function of its arguments. Time, randomness and stored events are
//! passed in. Room versions 10, 11 and 12 are known (ENC-7).

pub mod auth;
pub mod build;
pub mod client_event;
pub mod create;
mod error;
pub mod membership;
pub mod pdu;
pub mod power;
pub mod redact;
pub mod relations;
pub mod resolve;
pub mod signing;
#[cfg(test)]
mod tests;
pub mod upgrade;
pub mod version;
pub mod visibility;

pub use self::{
    build::EventTemplate,
    error::RoomError,
    pdu::Pdu,
    power::{Level, PowerLevels},
    signing::ServerKey,
    version::RoomVersion,
};

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// Serialises a value made of strings, integers, maps with string keys and raw JSON.
///
/// Such values always serialise, so `null` stands in for the error that cannot happen.
pub(crate) fn raw<T: Serialize + ?Sized>(value: &T) -> Box<RawValue> {
    to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
