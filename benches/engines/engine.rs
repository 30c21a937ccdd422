//! Opening a store of either engine.

use std::path::{Path, PathBuf};

use olmstead_storage::SharedStorage;
use tempfile::TempDir;

/// Where an embedded engine keeps its files.
pub(crate) enum Directory {
    /// Goes with this value.
    Lent(TempDir),
    /// Stays.
    Kept(PathBuf),
}

impl Directory {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Lent(directory) => directory.path(),
            Self::Kept(path) => path,
        }
    }
}

/// A storage engine.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Engine {
    /// Embedded.
    #[value(name = "rocksdb")]
    RocksDb,
    /// A database.
    Postgres,
}

impl Engine {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RocksDb => "rocksdb",
            Self::Postgres => "postgres",
        }
    }

    /// An empty store in the directory, or the database at the URL.
    pub(crate) async fn open(self, directory: &Path, url: Option<&str>) -> SharedStorage {
        match self {
            Self::RocksDb => {
                olmstead_rocksdb::RocksStore::open(directory, olmstead_rocksdb::Options::default()).unwrap()
            }
            Self::Postgres => {
                let url = url.unwrap_or_else(|| panic!("--url is needed for postgres"));
                olmstead_postgres::PostgresStore::open(url, olmstead_postgres::Options::default()).await.unwrap()
            }
        }
    }
}
