//! How many rows of which table a store holds, so that a long run can say what grows.

use std::{collections::BTreeMap, path::Path};

use rocksdb::{DB, IteratorMode};

use crate::{
    OpenError,
    keys::{Family, Table},
};

/// The rows of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// The table's name.
    pub table: String,
    /// How many there are.
    pub rows: u64,
    /// Bytes of their keys and values, not compressed.
    pub bytes: u64,
}

/// Counts all rows. The store may be open in another process; nothing is written to it, but what RocksDB has to say for
/// itself goes to the directory `notes`. Rows that are in no file yet, of the last moments, are missing.
///
/// # Errors
/// [`OpenError::Engine`]; while the store is written to, also because a file went away in between: try again.
pub fn census(path: &Path, notes: &Path) -> Result<Vec<Rows>, OpenError> {
    let failed = |source| OpenError::Engine { path: path.to_owned(), source };
    let mut options = rocksdb::Options::default();
    options.set_db_log_dir(notes);
    // All files are opened at once, so what is deleted later does no harm.
    options.set_max_open_files(-1);
    let names = Family::ALL.map(Family::name);
    // Not read-only: that is for stores that are at rest, and dies of a log that is longer than a table in memory.
    let db = DB::open_cf_as_secondary(&options, path, notes, names).map_err(failed)?;
    let mut counts: BTreeMap<u8, (u64, u64)> = BTreeMap::new();
    for family in names.iter().filter_map(|name| db.cf_handle(name)) {
        for row in db.iterator_cf(family, IteratorMode::Start) {
            let (key, value) = row.map_err(failed)?;
            if let Some(table) = key.first() {
                let (rows, bytes) = counts.entry(*table).or_default();
                *rows += 1;
                *bytes += u64::try_from(key.len() + value.len()).unwrap_or(u64::MAX);
            }
        }
    }
    let named = Table::ALL.iter().filter_map(|table| {
        let (rows, bytes) = *counts.get(&(*table as u8))?;
        Some(Rows { table: format!("{table:?}"), rows, bytes })
    });
    Ok(named.collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use olmstead_storage::ShortLived as _;

    use super::*;
    use crate::{Options, RocksStore};

    #[tokio::test]
    async fn rows_of_an_open_store_are_counted() {
        let (home, notes) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = RocksStore::open(home.path(), Options::default()).unwrap();
        let rows = |table: &str| {
            let all = census(home.path(), notes.path()).unwrap();
            all.into_iter().find(|rows| rows.table == table).map_or(0, |rows| rows.rows)
        };
        assert_eq!(rows("ShortLived"), 0);
        for key in ["a", "b"] {
            store.put_short_lived("kind", key, vec![1], 9).await.unwrap();
        }
        assert_eq!(rows("ShortLived"), 2);
        // The census has left the store to its owner.
        store.put_short_lived("kind", "c", vec![1], 9).await.unwrap();
    }

    /// A log that is larger than RocksDB would let a table in memory grow by default.
    #[tokio::test]
    async fn a_long_log_is_counted() {
        let (home, notes) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = RocksStore::open(home.path(), Options::default()).unwrap();
        for n in 0..90 {
            store.put_short_lived("kind", &n.to_string(), vec![n; 1 << 20], 9).await.unwrap();
        }
        let all = census(home.path(), notes.path()).unwrap();
        assert_eq!(all.into_iter().find(|rows| rows.table == "ShortLived").unwrap().rows, 90);
    }
}
