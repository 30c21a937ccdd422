//! How many files and connections the system lets this process have open.
//!
//! A connection is a file to the system, and so is each table of the embedded store. Where connections took all there are,
//! the store could not open its next file, and a write that fails is the end of it until it is opened anew. So there are
//! never more connections than leave enough for the store and the rest.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::ServerError;

/// Files that are neither connections nor the store's tables: its logs, what it writes, listeners, connections to a
/// database, and what the runtime has.
const OTHERS: u64 = 96;
/// A server with fewer would be of no use.
const FEWEST_CONNECTIONS: u64 = 32;
/// Of the table files of the embedded store, so many are kept open at most, and at least.
const TABLES: (u64, u64) = (64, 512);

/// How open files are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shares {
    /// Table files of the embedded store.
    #[cfg_attr(not(feature = "rocksdb"), allow(dead_code))]
    pub(crate) tables: i32,
    /// Connections of clients.
    pub(crate) connections: usize,
}

/// Lets this process have as many open files as the system allows it to ask for. Many are started with few, for the sake
/// of programs of old that cannot count further.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Shares out what this process may have.
pub(crate) fn shares() -> Result<Shares, ServerError> {
    share(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
}

fn share(files: u64) -> Result<Shares, ServerError> {
    let tables = (files / 4).clamp(TABLES.0, TABLES.1);
    let connections = files.saturating_sub(tables + OTHERS);
    if connections < FEWEST_CONNECTIONS {
        let least = TABLES.0 + OTHERS + FEWEST_CONNECTIONS;
        return Err(ServerError::Config(format!(
            "the system lets this process have {files} open files, and at least {least} are needed: raise the limit \
             (`ulimit -n`, or LimitNOFILE of systemd)"
        )));
    }
    Ok(Shares {
        tables: i32::try_from(tables).unwrap_or(i32::MAX),
        connections: usize::try_from(connections).unwrap_or(usize::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_enough_for_the_rest() {
        assert!(matches!(share(u64::MAX), Ok(Shares { tables: 512, connections }) if connections > 1 << 40));
        assert!(matches!(share(65_536), Ok(Shares { tables: 512, connections: 64_928 })));
        assert!(matches!(share(1_024), Ok(Shares { tables: 256, connections: 672 })));
        assert!(matches!(share(192), Ok(Shares { tables: 64, connections: 32 })));
        for few in [0, 20, 191] {
            let refused = share(few).map_err(|error| error.to_string());
            assert!(refused.is_err_and(|text| text.contains("ulimit -n") && text.contains("192")), "{few}");
        }
    }
}
