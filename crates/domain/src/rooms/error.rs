//! The one error type of the rules of rooms.

use thiserror::Error;

use crate::error::ErrorKind;

/// Why a room rule refused its input.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RoomError {
    /// JSON of the wrong shape, or not canonical (floats, integers out of range: GEN-11).
    #[error("{0}")]
    BadJson(String),
    /// A parameter with a value that is not allowed.
    #[error("{0}")]
    InvalidParam(String),
    /// The authorisation rules, or a rule of the client API, say no.
    #[error("{0}")]
    Forbidden(String),
    /// Something needed for the decision is not there.
    #[error("{0}")]
    NotFound(String),
    /// A size limit is exceeded (ENC-8).
    #[error("the {what} is larger than {limit} bytes")]
    TooLarge {
        /// What is too large, in words.
        what: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// The room version is not supported.
    #[error("room version {0:?} is not supported")]
    UnsupportedRoomVersion(String),
    /// A new room with the state asked for would break the authorisation rules.
    #[error("the initial state is not possible: {0}")]
    InvalidRoomState(String),
}

impl RoomError {
    /// What the error means for the answer.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::BadJson(_) => ErrorKind::BadJson,
            Self::InvalidParam(_) => ErrorKind::InvalidParam,
            Self::Forbidden(_) => ErrorKind::Forbidden,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::UnsupportedRoomVersion(_) => ErrorKind::UnsupportedRoomVersion,
            Self::InvalidRoomState(_) => ErrorKind::InvalidRoomState,
        }
    }

    pub(crate) fn bad_json(error: impl std::fmt::Display) -> Self {
        Self::BadJson(format!("the event is not valid: {error}"))
    }

    /// A reason given by the authorisation rules, as a sentence for a person.
    pub(crate) fn not_allowed(reason: impl std::fmt::Display) -> Self {
        Self::Forbidden(format!("not allowed: {reason}"))
    }
}
