//! Why a server does not start, in sentences for an operator.

use olmstead_service::ServiceError;
use olmstead_storage::StorageError;

/// A server could not be built or run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A setting is wrong.
    #[error("{0}")]
    Config(String),
    /// The store cannot be opened.
    #[error("{0}")]
    Open(String),
    /// The store belongs to another server name; user ids and signatures in it would be wrong.
    #[error("the store belongs to the server name \"{stored}\", not to \"{configured}\"")]
    OtherServerName {
        /// The name in the store.
        stored: String,
        /// The name in the configuration.
        configured: String,
    },
    /// The store failed while the server ran, and cannot promise anything until it is opened anew.
    #[error(
        "the store failed, so the server ends: {0}. What was answered is on disk. See to the disk and start the server \
         again; a supervisor that does so by itself is right to"
    )]
    StoreFailed(String),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A use case failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// A backup could not be made or restored.
    #[error(transparent)]
    Backup(#[from] crate::backup::BackupError),
    /// A socket failed.
    #[error("network: {0}")]
    Io(#[from] std::io::Error),
}
