//! Damage that would be overlooked: a store of which something is missing must not be opened as one without it.

use std::{fs, io, path::Path};

use rocksdb::{ColumnFamilyDescriptor, DB, ErrorKind};

use crate::{
    OpenError,
    log_check::{self, Gap},
    log_marks::Marks,
    place,
};

/// Whether there is a store in a directory.
///
/// # Errors
/// Where there is only some of one.
pub(crate) fn is_store(path: &Path) -> Result<bool, OpenError> {
    let unreadable = |source| OpenError::Directory { path: path.to_owned(), source };
    if path.join("CURRENT").try_exists().map_err(unreadable)? {
        // RocksDB has a log at any time, and would begin another. Only a checkpoint has none, and no place either.
        let has_log = !log_check::logs(path).map_err(unreadable)?.is_empty();
        if !has_log && place::is_noted(path) {
            return Err(damaged(path, "its log is missing (the files named like 000123.log)".to_owned()));
        }
        return Ok(true);
    }
    match remains(path).map_err(unreadable)? {
        None => Ok(false),
        Some(name) => {
            let what = format!("the file CURRENT is missing, but there is data of a store, such as {name}");
            Err(damaged(path, what))
        }
    }
}

/// A file that only a store has which was in use. A start that was cut off leaves none.
fn remains(path: &Path) -> io::Result<Option<String>> {
    if place::is_noted(path) {
        return Ok(Some("place".to_owned()));
    }
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let is_data = name.rsplit_once('.').is_some_and(|(number, kind)| {
            matches!(kind, "sst" | "log" | "blob") && number.bytes().all(|byte| byte.is_ascii_digit())
        });
        if is_data {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Refuses a store whose log lost what was answered.
pub(crate) fn refuse_gap(
    path: &Path,
    marks: &Marks,
    options: &rocksdb::Options,
    families: impl FnOnce() -> Vec<ColumnFamilyDescriptor>,
) -> Result<(), OpenError> {
    let found = log_check::find_gap(path, marks);
    let Some(Gap { file, at, synced }) =
        found.map_err(|source| OpenError::Directory { path: path.to_owned(), source })?
    else {
        return Ok(());
    };
    // What was written to tables meanwhile is not needed in the log. This reads all and changes nothing.
    let db =
        DB::open_cf_descriptors_read_only(options, path, families(), false).map_err(|error| refused(path, error))?;
    let reached = db.latest_sequence_number();
    if reached >= synced {
        return Ok(());
    }
    let what = format!(
        "its log {} does not read at byte {at}, and {} commands that were answered are behind it",
        file.display(),
        synced - reached
    );
    Err(damaged(path, what))
}

/// Why RocksDB does not open a store.
pub(crate) fn refused(path: &Path, source: rocksdb::Error) -> OpenError {
    let text = source.to_string();
    let is_damage = source.kind() == ErrorKind::Corruption || text.contains("No such file or directory");
    // RocksDB has no kind of its own for this. Its lock file is always named LOCK.
    if source.kind() == ErrorKind::IOError && (text.contains("lock file") || text.contains("lock hold")) {
        OpenError::InUse { path: path.to_owned() }
    } else if is_damage {
        damaged(path, text)
    } else {
        OpenError::Engine { path: path.to_owned(), source }
    }
}

fn damaged(path: &Path, what: String) -> OpenError {
    OpenError::Damaged { path: path.to_owned(), what }
}
