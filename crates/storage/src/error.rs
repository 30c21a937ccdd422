//! What can go wrong in an engine, in words that no engine owns.

use std::error::Error as StdError;

/// An engine's failure. What a caller may expect to happen, such as a missing row or a lost race with a deletion,
/// is part of the method's answer instead.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Another command changed what this one was based on. Nothing was written; reading again and retrying is right.
    #[error("the data changed while the command ran")]
    Conflict,
    /// The engine cannot answer now: shutting down, disk full, connection lost. Nothing is known to be written.
    #[error("storage is unavailable: {message}")]
    Unavailable {
        /// For the log, never for a client.
        message: String,
        /// The engine's own error.
        #[source]
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// The engine cannot hold or look up what it was given, such as an id that is too long for an index. Nothing was
    /// written, and trying again does not help: a check is missing above.
    #[error("the engine refused what it was given: {message}")]
    Refused {
        /// For the log, never for a client.
        message: String,
        /// The engine's own error.
        #[source]
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// Stored data does not read back as what was written.
    #[error("stored data is damaged: {message}")]
    Corrupt {
        /// Which row of which table, for the log.
        message: String,
        /// The decoder's or the engine's own error.
        #[source]
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
}

/// An error with all that led to it, for an operator's eyes.
#[must_use]
pub fn with_causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

impl StorageError {
    /// An [`StorageError::Unavailable`] with its source.
    pub fn unavailable(message: impl Into<String>, source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Unavailable { message: message.into(), source: Some(Box::new(source)) }
    }

    /// A [`StorageError::Refused`] with its source.
    pub fn refused(message: impl Into<String>, source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Refused { message: message.into(), source: Some(Box::new(source)) }
    }

    /// An [`StorageError::Corrupt`] with its source.
    pub fn corrupt(message: impl Into<String>, source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Corrupt { message: message.into(), source: Some(Box::new(source)) }
    }

    /// An [`StorageError::Corrupt`] that no other error caused.
    pub fn damaged(message: impl Into<String>) -> Self {
        Self::Corrupt { message: message.into(), source: None }
    }
}

/// The answer of every storage method.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;
