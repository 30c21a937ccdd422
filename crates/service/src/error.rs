//! Why a use case did not do what was asked.

use olmstead_domain::error::ErrorKind;
use olmstead_storage::StorageError;
use serde_json::Value;

/// What kind of refusal. The HTTP layer maps each to one status and one Matrix errcode, in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Well-formed JSON of the wrong shape.
    BadJson,
    /// Not JSON at all.
    NotJson,
    /// A parameter of the wrong type or value.
    InvalidParam,
    /// A parameter that must be there is not.
    MissingParam,
    /// A signature that does not verify.
    InvalidSignature,
    /// Not allowed.
    Forbidden,
    /// Not there, or not to be seen.
    NotFound,
    /// Larger than the limit.
    TooLarge,
    /// The room version is not supported.
    UnsupportedRoomVersion,
    /// The room version cannot be joined by this server.
    IncompatibleRoomVersion,
    /// The user name is taken.
    UserInUse,
    /// The user name is not allowed.
    InvalidUsername,
    /// The user name or another name is reserved.
    Exclusive,
    /// The password is too weak.
    WeakPassword,
    /// The account was deactivated.
    UserDeactivated,
    /// The account is suspended and may not do this (GEN-16).
    UserSuspended,
    /// Guests may not do this (GEN-18).
    GuestAccessForbidden,
    /// The room alias is taken.
    RoomInUse,
    /// The initial state of a room to create does not hold together.
    InvalidRoomState,
    /// The alias to create exists already (`M_UNKNOWN`, 409).
    AliasInUse,
    /// The user takes no invitations.
    InviteBlocked,
    /// The alias is not one of this room, or not a valid one.
    BadAlias,
    /// The user must leave the room first.
    BadState,
    /// A state key the sender must not write.
    BadStateKey,
    /// The endpoint, or the way it is used, is not known here.
    Unrecognized,
    /// Account data that has its own endpoint; the method is not allowed on it (AD-4).
    NotAllowedHere,
    /// A key name of a profile that cannot be.
    InvalidProfileKey,
    /// The profile is too large as a whole.
    ProfileTooLarge,
    /// Content for this media id is there already.
    CannotOverwriteMedia,
    /// Content for this media id is not there yet.
    NotYetUploaded,
    /// The same relation by the same user is there already.
    DuplicateAnnotation,
    /// The one-time key id is taken by another key (OTK-6).
    DuplicateOneTimeKey,
    /// A key name of a profile longer than 255 bytes.
    ProfileKeyTooLarge,
    /// The `pos` of a sliding sync is not known, or no longer.
    UnknownPos,
    /// The body of the request came too slowly.
    TooSlow,
    /// There was no room for the body of the request; it may be sent again.
    NoRoom,
    /// Refused for a reason that has no errcode of its own (`M_UNKNOWN`, 400).
    Unknown,
}

/// A use case's failure.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The caller asked for what cannot be; nothing was changed.
    #[error("{message}")]
    Refused {
        /// The kind.
        refusal: Refusal,
        /// A sentence that helps the caller.
        message: String,
    },
    /// A write to a backup that is not the newest (BKP-12).
    #[error("the backup version is not the current one")]
    WrongRoomKeysVersion {
        /// The newest version.
        current_version: String,
    },
    /// User-interactive authentication is needed; the body of the 401 (UIA-1, UIA-2).
    #[error("user-interactive authentication is needed")]
    Uia(Box<Value>),
    /// No token where one is needed (GEN-3).
    #[error("an access token is needed")]
    MissingToken,
    /// Unknown, expired or logged-out token (GEN-3, AUTH-1).
    #[error("the token is not known or has ended")]
    UnknownToken {
        /// The device is still there and a new login may go on with it.
        soft_logout: bool,
    },
    /// The account is locked (GEN-15).
    #[error("this account is locked")]
    UserLocked,
    /// Too many requests (GEN-6).
    #[error("too many requests")]
    LimitExceeded {
        /// When to try again, milliseconds.
        retry_after_ms: u64,
    },
    /// A per-account limit was hit (GEN-22).
    #[error("{message}")]
    UserLimitExceeded {
        /// Which limit.
        message: String,
        /// Where to read about it.
        info_uri: String,
    },
    /// Something that is not the caller's fault.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A task on the blocking pool ended early, or a value this server made did not serialise.
    #[error("internal failure: {0}")]
    Internal(String),
}

impl ServiceError {
    /// A refusal with its sentence.
    pub fn refused(refusal: Refusal, message: impl Into<String>) -> Self {
        Self::Refused { refusal, message: message.into() }
    }

    /// [`Refusal::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::refused(Refusal::NotFound, message)
    }

    /// [`Refusal::Forbidden`].
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::refused(Refusal::Forbidden, message)
    }

    /// [`Refusal::BadJson`].
    pub fn bad_json(message: impl Into<String>) -> Self {
        Self::refused(Refusal::BadJson, message)
    }

    /// [`Refusal::InvalidParam`].
    pub fn invalid_param(message: impl Into<String>) -> Self {
        Self::refused(Refusal::InvalidParam, message)
    }

    /// [`Refusal::MissingParam`].
    pub fn missing_param(message: impl Into<String>) -> Self {
        Self::refused(Refusal::MissingParam, message)
    }

    /// A domain error by its kind, with its own sentence.
    pub fn domain(kind: ErrorKind, error: impl std::fmt::Display) -> Self {
        Self::refused(kind.into(), error.to_string())
    }
}

impl From<ErrorKind> for Refusal {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::BadJson => Self::BadJson,
            ErrorKind::InvalidParam => Self::InvalidParam,
            ErrorKind::MissingParam => Self::MissingParam,
            ErrorKind::InvalidSignature => Self::InvalidSignature,
            ErrorKind::Forbidden => Self::Forbidden,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::TooLarge => Self::TooLarge,
            ErrorKind::UnsupportedRoomVersion => Self::UnsupportedRoomVersion,
            ErrorKind::InvalidRoomState => Self::InvalidRoomState,
            // Carries a version: made into its own error where it occurs.
            ErrorKind::WrongRoomKeysVersion => Self::Forbidden,
        }
    }
}

/// The answer of every use case.
pub type Result<T, E = ServiceError> = std::result::Result<T, E>;
