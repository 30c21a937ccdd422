//! What the crash drill asks of the engines, from the environment. Only in builds with the feature `drill-faults`, which
//! no release has; a build without it knows nothing of these variables.

/// Where RocksDB is to note what is synced.
#[cfg(feature = "rocksdb")]
const NOTE: &str = "DRILL_SYNCED_NOTE";
/// Bytes for writes that are not in tables yet: few, so that tables are written while the drill runs.
#[cfg(feature = "rocksdb")]
const WRITE_BUFFER: &str = "DRILL_WRITE_BUFFER_BYTES";
/// The fault: `no-sync` or `early-answer`.
const BREAK: &str = "DRILL_BREAK";

fn is_broken(how: &str) -> bool {
    std::env::var(BREAK).is_ok_and(|value| value == how)
}

/// RocksDB as the drill wants it.
#[cfg(feature = "rocksdb")]
pub(crate) fn rocksdb(mut options: olmstead_rocksdb::Options) -> olmstead_rocksdb::Options {
    if let Some(bytes) = std::env::var(WRITE_BUFFER).ok().and_then(|bytes| bytes.parse().ok()) {
        options.write_buffer_bytes = bytes;
    }
    options.faults = olmstead_rocksdb::Faults {
        note: std::env::var_os(NOTE).map(Into::into),
        no_sync: is_broken("no-sync"),
        early_answer: is_broken("early-answer"),
    };
    options
}

/// PostgreSQL as the drill wants it.
#[cfg(feature = "postgres")]
pub(crate) fn postgres(mut options: olmstead_postgres::Options) -> olmstead_postgres::Options {
    options.faults =
        olmstead_postgres::Faults { no_sync: is_broken("no-sync"), early_answer: is_broken("early-answer") };
    options
}
