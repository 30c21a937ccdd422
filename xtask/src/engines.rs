//! The storage engines.

use crate::Failure;

/// Builds the server and its tests with every engine, so that nothing is built twice.
pub(crate) const FEATURES: [&str; 2] = ["--features", "olmstead/postgres"];

/// A storage engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// Embedded.
    RocksDb,
    /// On a PostgreSQL that xtask starts.
    Postgres,
}

impl Engine {
    /// The default comes first.
    pub(crate) const ALL: [Self; 2] = [Self::RocksDb, Self::Postgres];

    /// As on the command line, in `storage.engine`, and as the directory in `backends`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RocksDb => "rocksdb",
            Self::Postgres => "postgres",
        }
    }

    pub(crate) fn parse(name: &str) -> Result<Self, Failure> {
        Self::ALL.into_iter().find(|engine| engine.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            format!("there is no engine `{name}`; there are {known}")
        })
    }

    /// Those that were named; all, if none was.
    pub(crate) fn or_all(mut named: Vec<Self>) -> Vec<Self> {
        if named.is_empty() {
            named = Self::ALL.to_vec();
        }
        named
    }
}
