//! The section `storage`.

use std::path::PathBuf;

use olmstead_service::Secret;
use serde::{Deserialize, Serialize};

use crate::ServerError;

/// Where data is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// The storage engine. A build may have one of them alone, which is then the default.
    pub engine: EngineName,
    /// The directory of the store, for `rocksdb`; relative to where the server is started.
    pub path: PathBuf,
    /// Whether a store is made where there is none. With `false` a disk that is not mounted does not look like a new server:
    /// the start is refused.
    pub create: bool,
    /// The database, for `postgres`, which needs it: `postgres://user:password@host:port/database`. A secret, since it may
    /// have a password in it.
    pub url: Option<Secret>,
    /// How many connections a node has to PostgreSQL at most, from 2 to 1,000, besides three that wait for news.
    pub max_connections: u32,
    /// How long PostgreSQL may take for one statement, in seconds, from 1 to 600, before it is given up.
    pub statement_timeout_seconds: u32,
}

/// A storage engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineName {
    /// Embedded RocksDB, in `storage.path`.
    RocksDb,
    /// A PostgreSQL database, in `storage.url`, which several nodes share.
    Postgres,
}

impl EngineName {
    /// As in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RocksDb => "rocksdb",
            Self::Postgres => "postgres",
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        // A build with one engine needs no word about it.
        let engine = if cfg!(feature = "rocksdb") { EngineName::RocksDb } else { EngineName::Postgres };
        Self {
            engine,
            path: PathBuf::from("olmstead-data"),
            create: true,
            url: None,
            max_connections: 16,
            statement_timeout_seconds: 30,
        }
    }
}

/// With fewer, one slow command would hold up all others.
const FEWEST_CONNECTIONS: u32 = 2;
/// What PostgreSQL could serve at all, as a guard against slips.
const MOST_CONNECTIONS: u32 = 1_000;
/// A statement that takes longer than this will not end well.
const LONGEST_STATEMENT_SECONDS: u32 = 600;

impl Storage {
    pub(super) fn check(&self) -> Result<(), ServerError> {
        let url = self.url.as_ref().map_or("", Secret::reveal);
        let refused = match self.engine {
            EngineName::Postgres if url.is_empty() => {
                "storage.engine is \"postgres\", but storage.url is not set".to_owned()
            }
            EngineName::Postgres if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) => {
                "storage.url does not begin with postgres://".to_owned()
            }
            EngineName::Postgres if !(FEWEST_CONNECTIONS..=MOST_CONNECTIONS).contains(&self.max_connections) => {
                format!("storage.max_connections is not between {FEWEST_CONNECTIONS} and {MOST_CONNECTIONS}")
            }
            EngineName::Postgres if !(1..=LONGEST_STATEMENT_SECONDS).contains(&self.statement_timeout_seconds) => {
                format!("storage.statement_timeout_seconds is not between 1 and {LONGEST_STATEMENT_SECONDS}")
            }
            // Data would silently go elsewhere than its owner thinks.
            EngineName::RocksDb if !url.is_empty() => {
                "storage.url is set, but storage.engine is \"rocksdb\"".to_owned()
            }
            EngineName::RocksDb if self.path.as_os_str().is_empty() => {
                "storage.engine is \"rocksdb\", but storage.path is empty".to_owned()
            }
            _ => return Ok(()),
        };
        Err(ServerError::Config(refused))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::tests::from_file;

    #[test]
    fn each_engine_asks_for_what_it_needs() {
        let storage = |text: &str| from_file(&format!("server_name = \"a\"\n[storage]\n{text}"));
        let refused = |text: &str| storage(text).unwrap_err().to_string();
        let postgres = |text: &str| format!("engine = \"postgres\"\nurl = \"postgres://u:pass@h/db\"\n{text}");
        assert!(refused("engine = \"postgres\"").contains("storage.url is not set"));
        assert!(refused("engine = \"postgres\"\nurl = \"mysql://h\"").contains("postgres://"));
        assert!(refused("engine = \"rocksdb\"\nurl = \"postgres://h/db\"").contains("storage.engine is \"rocksdb\""));
        assert!(refused(&postgres("max_connections = 1")).contains("storage.max_connections"));
        assert!(refused(&postgres("statement_timeout_seconds = 0")).contains("storage.statement_timeout_seconds"));
        let config = storage(&postgres("max_connections = 40")).unwrap();
        assert_eq!((config.storage.engine, config.storage.max_connections), (EngineName::Postgres, 40));
    }
}
