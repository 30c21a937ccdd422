//! Refusals of the key rules.

use thiserror::Error;

use crate::{error::ErrorKind, identifiers::IdError, json::JsonError};

/// Why an upload of keys or signatures, or a part of it, is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeysError {
    /// JSON of the wrong shape.
    #[error("{0}")]
    BadJson(String),
    /// A value that is not allowed.
    #[error("{0}")]
    InvalidParam(String),
    /// Something needed is absent.
    #[error("{0}")]
    MissingParam(String),
    /// A signature is absent, does not verify, or is of a kind that is not accepted.
    #[error("{0}")]
    InvalidSignature(String),
    /// Not allowed.
    #[error("{0}")]
    Forbidden(String),
    /// The target does not exist.
    #[error("{0}")]
    NotFound(String),
    /// Over a size limit.
    #[error("{0}")]
    TooLarge(String),
    /// A one-time key with this name but other content exists (OTK-6). Client libraries read this message: its
    /// beginning is part of the interface.
    #[error("One time key {algorithm}:{key_id} already exists. Old key: {old}; new key: {new}")]
    OneTimeKeyExists {
        /// The algorithm of the key.
        algorithm: String,
        /// The ID of the key, without its algorithm.
        key_id: String,
        /// The JSON of the stored key.
        old: String,
        /// The JSON of the key that is refused.
        new: String,
    },
}

impl KeysError {
    /// The kind of refusal.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::BadJson(_) => ErrorKind::BadJson,
            Self::InvalidParam(_) | Self::OneTimeKeyExists { .. } => ErrorKind::InvalidParam,
            Self::MissingParam(_) => ErrorKind::MissingParam,
            Self::InvalidSignature(_) => ErrorKind::InvalidSignature,
            Self::Forbidden(_) => ErrorKind::Forbidden,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::TooLarge(_) => ErrorKind::TooLarge,
        }
    }

    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self::BadJson(text.into())
    }

    pub(crate) fn param(text: impl Into<String>) -> Self {
        Self::InvalidParam(text.into())
    }

    pub(crate) fn signature(text: impl Into<String>) -> Self {
        Self::InvalidSignature(text.into())
    }
}

impl From<JsonError> for KeysError {
    fn from(error: JsonError) -> Self {
        Self::BadJson(error.to_string())
    }
}

impl From<IdError> for KeysError {
    fn from(error: IdError) -> Self {
        Self::InvalidParam(error.to_string())
    }
}
