//! Opening a store of either engine.

use olmstead_storage::SharedStorage;
use tempfile::TempDir;

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
    pub(crate) async fn open(self, directory: &TempDir, url: Option<&str>) -> SharedStorage {
        match self {
            Self::RocksDb => {
                olmstead_rocksdb::RocksStore::open(directory.path(), olmstead_rocksdb::Options::default()).unwrap()
            }
            Self::Postgres => {
                let url = url.unwrap_or_else(|| panic!("--url is needed for postgres"));
                olmstead_postgres::PostgresStore::open(url, olmstead_postgres::Options::default()).await.unwrap()
            }
        }
    }
}
