//! Why a store cannot be opened, in words for the operator.

use std::{io, path::PathBuf};

use thiserror::Error;

/// A store that cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The directory cannot be made or read.
    #[error("the database directory {path} cannot be used: {source}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process, or this one, has it open.
    #[error("the database in {path} is already open; only one server can use it at a time")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A newer version of the software wrote it.
    #[error(
        "the database in {path} has format {found}, but this version reads format {known} at most; run a newer version"
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// The stored format.
        found: u64,
        /// The newest format this version knows.
        known: u64,
    },
    /// Its own record of itself does not read back.
    #[error(
        "the database in {path} is damaged or not a database of this server: {what}; put back what is missing or was \
         changed, or restore a backup with `olmstead restore`"
    )]
    Damaged {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// There is none, and none is to be made.
    #[error("there is no database in {path}, and `storage.create` is false: is the disk mounted?")]
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// It cannot be written, as when the disk is full.
    #[error("the database in {path} cannot be written: {what}")]
    Failed {
        /// The directory.
        path: PathBuf,
        /// What failed.
        what: String,
    },
    /// RocksDB refuses.
    #[error("the database in {path} cannot be opened: {source}")]
    Engine {
        /// The directory.
        path: PathBuf,
        /// What RocksDB says.
        source: rocksdb::Error,
    },
}
