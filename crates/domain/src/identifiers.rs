//! Checks of identifiers that come from clients and other servers.

use ruma::{OwnedUserId, UserId};
use thiserror::Error;

use crate::error::ErrorKind;

/// The most bytes a user ID, an event type, a transaction ID or a key name may have (appendices, Common Identifier
/// Format).
pub const MAX_ID_BYTES: usize = 255;

/// The most characters a device ID may have (DEV-21).
pub const MAX_DEVICE_ID_CHARS: usize = 512;

/// An identifier that is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdError {
    /// The identifier has no characters.
    #[error("{what} must not be empty")]
    Empty {
        /// Which identifier, in words.
        what: &'static str,
    },
    /// The identifier is over its limit.
    #[error("{what} is too long: the limit is {max}")]
    TooLong {
        /// Which identifier, in words.
        what: &'static str,
        /// The limit: characters for device IDs, bytes for all others.
        max: usize,
    },
    /// The identifier does not have its form.
    #[error("{what} is malformed")]
    Malformed {
        /// Which identifier, in words.
        what: &'static str,
    },
}

impl IdError {
    /// The kind of refusal: always an invalid parameter.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidParam
    }
}

/// Checks a device ID chosen by a client: not empty, at most [`MAX_DEVICE_ID_CHARS`] characters (DEV-21). Its content
/// is opaque.
///
/// # Errors
/// [`IdError::Empty`] or [`IdError::TooLong`].
pub fn check_device_id(device_id: &str) -> Result<(), IdError> {
    let what = "device ID";
    if device_id.is_empty() {
        return Err(IdError::Empty { what });
    }
    // Bytes bound characters from above, so the common case does not count.
    if device_id.len() > MAX_DEVICE_ID_CHARS && device_id.chars().count() > MAX_DEVICE_ID_CHARS {
        return Err(IdError::TooLong { what, max: MAX_DEVICE_ID_CHARS });
    }
    Ok(())
}

/// Checks an event type of a to-device message: not empty, at most [`MAX_ID_BYTES`] bytes.
///
/// # Errors
/// [`IdError::Empty`] or [`IdError::TooLong`].
pub fn check_event_type(event_type: &str) -> Result<(), IdError> {
    check_bytes("event type", event_type)
}

/// Checks a transaction ID: not empty, at most [`MAX_ID_BYTES`] bytes.
///
/// # Errors
/// [`IdError::Empty`] or [`IdError::TooLong`].
pub fn check_transaction_id(transaction_id: &str) -> Result<(), IdError> {
    check_bytes("transaction ID", transaction_id)
}

/// Parses a user ID. Historical localparts are accepted, even an empty one (GEN-14); a NUL or more than
/// [`MAX_ID_BYTES`] bytes is not.
///
/// # Errors
/// [`IdError::TooLong`] or [`IdError::Malformed`].
pub fn parse_user_id(user_id: &str) -> Result<OwnedUserId, IdError> {
    let what = "user ID";
    if user_id.len() > MAX_ID_BYTES {
        return Err(IdError::TooLong { what, max: MAX_ID_BYTES });
    }
    if user_id.contains('\0') {
        return Err(IdError::Malformed { what });
    }
    UserId::parse(user_id).map_err(|_| IdError::Malformed { what })
}

/// Splits a key name `<algorithm>:<key_id>` at its first colon (OTK-4). Both parts must be there, and the whole at
/// most [`MAX_ID_BYTES`] bytes.
///
/// # Errors
/// [`IdError::TooLong`] or [`IdError::Malformed`].
pub fn split_key_name(name: &str) -> Result<(&str, &str), IdError> {
    let what = "key name";
    if name.len() > MAX_ID_BYTES {
        return Err(IdError::TooLong { what, max: MAX_ID_BYTES });
    }
    match name.split_once(':') {
        Some((algorithm, key_id)) if !algorithm.is_empty() && !key_id.is_empty() => Ok((algorithm, key_id)),
        _ => Err(IdError::Malformed { what }),
    }
}

/// Whether a user may be named in the device lists sent to clients: all characters within U+0021 to U+007E and a
/// localpart that is not empty (DL-21).
#[must_use]
pub fn is_listable_user(user_id: &UserId) -> bool {
    let text = user_id.as_str();
    let localpart = text.strip_prefix('@').and_then(|rest| rest.split_once(':')).map(|(localpart, _)| localpart);
    localpart.is_some_and(|localpart| !localpart.is_empty()) && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte))
}

fn check_bytes(what: &'static str, id: &str) -> Result<(), IdError> {
    if id.is_empty() {
        Err(IdError::Empty { what })
    } else if id.len() > MAX_ID_BYTES {
        Err(IdError::TooLong { what, max: MAX_ID_BYTES })
    } else {
        Ok(())
    }
}
