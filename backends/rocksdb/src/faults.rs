//! What the crash drill needs of the engine: a note of what is on disk, and ways to be wrong. Only in builds with the
//! feature `drill-faults`, which no release has.
//!
//! A process that is killed leaves all it wrote to files; a machine that loses its power leaves only what was synced. To
//! have the second from the first, the length of each log file is noted whenever the log was synced, and the drill cuts
//! the files to these lengths after a kill. Tables and the manifest are not noted: RocksDB syncs them before it relies on
//! them, and files that no manifest names are deleted when the store is opened.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rocksdb::DB;

/// How a store of the drill differs from one in use.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Where to note the length of each log file after each sync: a line with name and bytes each. The file is replaced
    /// as a whole.
    pub note: Option<PathBuf>,
    /// A fault: the log is written, and not synced.
    pub no_sync: bool,
    /// A fault: a command is answered when it is written, and not when it is synced.
    pub early_answer: bool,
}

impl Faults {
    /// Brings the log to disk and notes how much of it there is.
    pub(crate) fn flush_log(&self, db: &DB) -> Result<(), rocksdb::Error> {
        // First written, then measured, then synced: what was measured is on disk, and all who wait for it are in it.
        db.flush_wal(false)?;
        if self.no_sync {
            return Ok(());
        }
        let lengths = lengths(db.path());
        db.flush_wal(true)?;
        if let (Some(path), Err(error)) = (&self.note, self.note(lengths)) {
            tracing::error!(%error, "what is synced could not be noted in {}", path.display());
        }
        Ok(())
    }

    fn note(&self, lengths: io::Result<String>) -> io::Result<()> {
        let Some(path) = &self.note else { return Ok(()) };
        let unfinished = path.with_extension("new");
        fs::write(&unfinished, lengths?)?;
        fs::rename(&unfinished, path)
    }
}

/// The log files of a store and their lengths.
fn lengths(directory: &Path) -> io::Result<String> {
    let mut text = String::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.ends_with(".log")) else { continue };
        match entry.metadata() {
            Ok(metadata) => text.push_str(&format!("{name} {}\n", metadata.len())),
            // Not needed any more, and just deleted.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(text)
}
