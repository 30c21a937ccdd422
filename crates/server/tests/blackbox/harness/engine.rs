//! The storage engine under test, and where a server keeps its data.

use olmstead_postgres_cluster::Database;
use olmstead_storage::SharedStorage;
use tempfile::TempDir;

/// A storage engine to run the tests on: `OLMSTEAD_TEST_ENGINE`, `rocksdb` if it is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    RocksDb,
    Postgres,
}

impl Engine {
    pub fn chosen() -> Self {
        match std::env::var("OLMSTEAD_TEST_ENGINE").as_deref() {
            Err(_) | Ok("rocksdb") => Self::RocksDb,
            Ok("postgres") => Self::Postgres,
            Ok(other) => panic!("OLMSTEAD_TEST_ENGINE={other}: there are rocksdb and postgres"),
        }
    }
}

/// A directory or a database of one server's own, which goes with this value.
pub enum Place {
    Directory(TempDir),
    Database(Database),
}

impl Place {
    /// An empty one.
    pub fn new(engine: Engine) -> Self {
        match engine {
            Engine::RocksDb => Self::Directory(tempfile::tempdir().expect("a directory")),
            Engine::Postgres => {
                let url = std::env::var("OLMSTEAD_TEST_POSTGRES").expect(
                    "OLMSTEAD_TEST_POSTGRES is the URL of a PostgreSQL to make databases in; `cargo xtask test` and \
                     `cargo xtask postgres -- COMMAND` start one and set it",
                );
                Self::in_cluster(&url)
            }
        }
    }

    /// A new database in the cluster of this URL.
    pub fn in_cluster(url: &str) -> Self {
        Self::Database(Database::create(url, "blackbox").unwrap_or_else(|error| panic!("{error}")))
    }

    /// The settings, as variables of the environment, by which the binary keeps its data here.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let set = |name, value: &str| (name, value.to_owned());
        match self {
            Self::Directory(directory) => {
                let path = directory.path().join("data").into_os_string().into_string().expect("a path in UTF-8");
                vec![("OLMSTEAD_STORAGE__PATH", path), set("OLMSTEAD_STORAGE__ENGINE", "rocksdb")]
            }
            Self::Database(database) => {
                vec![set("OLMSTEAD_STORAGE__URL", database.url()), set("OLMSTEAD_STORAGE__ENGINE", "postgres")]
            }
        }
    }

    /// All bytes that are kept here, once no server runs: what a thief of the disk has.
    pub fn contents(&self) -> Vec<u8> {
        fn files(directory: &std::path::Path, into: &mut Vec<u8>) {
            for entry in std::fs::read_dir(directory).expect("a directory") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    files(&path, into);
                } else if path.is_file() {
                    into.extend(std::fs::read(&path).expect("a file"));
                }
            }
        }
        match self {
            Self::Directory(directory) => {
                let mut all = Vec::new();
                files(directory.path(), &mut all);
                all
            }
            Self::Database(database) => database.dump().unwrap_or_else(|error| panic!("{error}")).into_bytes(),
        }
    }

    /// A store here: one for each node that is opened, where an engine has several, else the one that is open.
    pub async fn open(&self, open: Option<&SharedStorage>) -> SharedStorage {
        match (self, open) {
            (Self::Directory(_), Some(open)) => open.clone(),
            (Self::Directory(directory), None) => {
                olmstead_rocksdb::RocksStore::open(&directory.path().join("data"), Default::default()).expect("a store")
            }
            #[cfg(feature = "postgres")]
            (Self::Database(database), _) => {
                olmstead_postgres::PostgresStore::open(database.url(), Default::default()).await.expect("a store")
            }
            #[cfg(not(feature = "postgres"))]
            (Self::Database(_), _) => panic!("this was built without the feature `postgres`"),
        }
    }

    /// The same for the library.
    pub(super) fn choose(&self, builder: olmstead::ServerBuilder) -> olmstead::ServerBuilder {
        match self {
            Self::Directory(directory) => builder.rocksdb(directory.path().join("data")),
            #[cfg(feature = "postgres")]
            Self::Database(database) => builder.postgres(database.url()),
            #[cfg(not(feature = "postgres"))]
            Self::Database(_) => panic!("this was built without the feature `postgres`"),
        }
    }
}
