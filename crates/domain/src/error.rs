//! What kind of refusal an error is, for the one place that turns errors into answers.

use std::fmt;

/// The kind of a refusal. Each stands for one errcode of the client-server API; the HTTP status is chosen by the
/// layer that answers, not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// JSON of the wrong shape (`M_BAD_JSON`, GEN-5).
    BadJson,
    /// A parameter of the wrong type or value (`M_INVALID_PARAM`, GEN-5).
    InvalidParam,
    /// A parameter that is needed is absent (`M_MISSING_PARAM`, GEN-5).
    MissingParam,
    /// A signature is absent or does not verify (`M_INVALID_SIGNATURE`, XS-3, SIG-3).
    InvalidSignature,
    /// The request is understood and not allowed (`M_FORBIDDEN`, XS-5).
    Forbidden,
    /// What the request names does not exist (`M_NOT_FOUND`, SIG-7, BKP-13).
    NotFound,
    /// The request or one of its parts is over a limit (`M_TOO_LARGE`, TD-17).
    TooLarge,
    /// Room keys were sent to a backup that is not the current one (`M_WRONG_ROOM_KEYS_VERSION`, BKP-12).
    WrongRoomKeysVersion,
    /// The server does not support the room version asked for (`M_UNSUPPORTED_ROOM_VERSION`, ENC-7).
    UnsupportedRoomVersion,
    /// A new room cannot have the state asked for (`M_INVALID_ROOM_STATE`, ENC-5).
    InvalidRoomState,
}

impl ErrorKind {
    /// The errcode of the client-server API for this kind.
    #[must_use]
    pub const fn errcode(self) -> &'static str {
        match self {
            Self::BadJson => "M_BAD_JSON",
            Self::InvalidParam => "M_INVALID_PARAM",
            Self::MissingParam => "M_MISSING_PARAM",
            Self::InvalidSignature => "M_INVALID_SIGNATURE",
            Self::Forbidden => "M_FORBIDDEN",
            Self::NotFound => "M_NOT_FOUND",
            Self::TooLarge => "M_TOO_LARGE",
            Self::WrongRoomKeysVersion => "M_WRONG_ROOM_KEYS_VERSION",
            Self::UnsupportedRoomVersion => "M_UNSUPPORTED_ROOM_VERSION",
            Self::InvalidRoomState => "M_INVALID_ROOM_STATE",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.errcode())
    }
}
