//! Why a backup cannot be made or restored, in words for the operator.

use std::{io, path::PathBuf};

use olmstead_storage::StorageError;

/// A backup that could not be made or restored. A store that was to be replaced is as it was.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The directory for a backup is there already.
    #[error("{0} is there already; a backup is written into a new directory")]
    Exists(PathBuf),
    /// The directory in which the backup is written is there: another is under way, or was cut off.
    #[error("{0} is there: another backup is being written, or was cut off; if none is, delete it")]
    UnderWay(PathBuf),
    /// The directory is no whole backup.
    #[error("{0} is no backup, or one that was not finished: it has no manifest.json")]
    NoManifest(PathBuf),
    /// What the manifest says does not fit to this server.
    #[error("this backup cannot be restored here: it is of {what} {found}, not of {expected}")]
    Other {
        /// What differs.
        what: &'static str,
        /// What the backup has.
        found: String,
        /// What the configuration has.
        expected: String,
    },
    /// A newer version made the backup.
    #[error("this backup has {what} {found}, but this version knows {known} at most; restore it with a newer version")]
    Newer {
        /// What is newer.
        what: &'static str,
        /// What the backup has.
        found: u64,
        /// What this version knows.
        known: u64,
    },
    /// A file is missing or is not what was written.
    #[error("the backup is damaged: {file} {what}")]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// There is nothing to copy.
    #[error("there is no store yet: nothing to make a backup of")]
    NoStore,
    /// The running server could not make the copy.
    #[error("the running server could not make the copy: {0}")]
    Server(String),
    /// A server has the store open, but does not take orders.
    #[error("a server runs on the store, but its socket {socket} does not answer: {source}")]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file or directory could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// This build does not have the engine.
    #[error("this build does not have the engine {0}")]
    NoEngine(&'static str),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// RocksDB.
    #[cfg(feature = "rocksdb")]
    #[error(transparent)]
    RocksDb(#[from] olmstead_rocksdb::OpenError),
    /// PostgreSQL.
    #[cfg(feature = "postgres")]
    #[error(transparent)]
    Postgres(#[from] olmstead_postgres::backup::BackupError),
}

/// Names the file in an error of the system.
pub(super) fn of(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.into();
    move |source| BackupError::File { path, source }
}

/// A task that could not be run to its end.
pub(super) fn broken(error: tokio::task::JoinError) -> BackupError {
    StorageError::unavailable("a task did not end well", error).into()
}
