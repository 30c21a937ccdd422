//! Backups: `olmstead backup` and `olmstead restore`.
//!
//! A backup is a directory with a copy of the store in the engine's own form and `manifest.json`, which is written last,
//! with the sums of all files. It is written aside and gets its name when it is whole. What is restored is checked,
//! prepared beside the store and opened there once, which begins its new epoch; then it takes the store's place, and the
//! store from before is kept under another name.

pub(crate) mod control;
mod error;
mod manifest;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "rocksdb")]
mod rocksdb;

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use olmstead_storage::maintenance::StoreFacts;

use self::error::{broken, of};
pub use self::{
    error::BackupError,
    manifest::{Entry, Manifest},
};
use crate::{Config, config::EngineName};

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// What the backup was.
    pub backup: Manifest,
    /// The life that the store has now.
    pub epoch: u64,
    /// Where the store from before is, if there was one: a directory, or the name of a database.
    pub aside: Option<String>,
}

/// Makes a backup of the store of a configuration in a directory, which must not be there yet. A server may run.
///
/// # Errors
/// [`BackupError`]; then the directory is not there.
pub async fn backup(config: &Config, directory: &Path) -> Result<Manifest, BackupError> {
    // The server that writes the copy may have another working directory.
    let directory = std::path::absolute(directory).map_err(of(directory))?;
    if directory.try_exists().map_err(of(&directory))? {
        return Err(BackupError::Exists(directory));
    }
    let unfinished = beside(&directory, "unfinished");
    match DirBuilder::new().mode(0o700).create(&unfinished) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(BackupError::UnderWay(unfinished)),
        made => made.map_err(of(&unfinished))?,
    }
    let made = fill(config, &unfinished, &directory).await;
    if made.is_err() {
        // What failed is told; that some of it is left, too, if it is.
        let _ = fs::remove_dir_all(&unfinished);
    }
    made
}

/// Bytes that are written so far of a backup that is under way to this directory; 0 if none is.
#[must_use]
pub fn written(directory: &Path) -> u64 {
    std::path::absolute(directory).map_or(0, |directory| size(&beside(&directory, "unfinished")))
}

fn size(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let of_entry = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => size(&entry.path()),
        Ok(found) => found.len(),
        // It was renamed or deleted meanwhile.
        Err(_) => 0,
    };
    entries.flatten().map(of_entry).sum()
}

async fn fill(config: &Config, unfinished: &Path, directory: &Path) -> Result<Manifest, BackupError> {
    let engine = config.storage.engine;
    let facts = match engine {
        #[cfg(feature = "rocksdb")]
        EngineName::RocksDb => rocksdb::copy(config, unfinished).await?,
        #[cfg(feature = "postgres")]
        EngineName::Postgres => postgres::copy(config, unfinished).await?,
        #[cfg(not(all(feature = "rocksdb", feature = "postgres")))]
        other => return Err(BackupError::NoEngine(other.name())),
    };
    let name = facts.server_name.clone().ok_or(BackupError::NoStore)?;
    is_same("the server", &name, &config.server_name)?;
    let (unfinished, directory) = (unfinished.to_owned(), directory.to_owned());
    let finish = move || {
        let manifest = Manifest::write(&unfinished, engine, name, &facts)?;
        if directory.try_exists().map_err(of(&directory))? {
            return Err(BackupError::Exists(directory));
        }
        fs::rename(&unfinished, &directory).map_err(of(&directory))?;
        manifest::sync_directory(directory.parent().unwrap_or(&directory))?;
        Ok(manifest)
    };
    tokio::task::spawn_blocking(finish).await.map_err(broken)?
}

/// Puts a backup in the place of the store of a configuration. No server may run on it.
///
/// # Errors
/// [`BackupError`]; then the store is as it was.
pub async fn restore(config: &Config, directory: &Path) -> Result<Restored, BackupError> {
    let backup = Manifest::read(directory)?;
    is_same("the server", &backup.server_name, &config.server_name)?;
    is_same("the engine", backup.engine.name(), config.storage.engine.name())?;
    let known = match backup.engine {
        #[cfg(feature = "rocksdb")]
        EngineName::RocksDb => olmstead_rocksdb::RocksStore::FORMAT,
        #[cfg(feature = "postgres")]
        EngineName::Postgres => olmstead_postgres::backup::NEWEST_SCHEMA,
        #[cfg(not(all(feature = "rocksdb", feature = "postgres")))]
        other => return Err(BackupError::NoEngine(other.name())),
    };
    if backup.schema > known {
        return Err(BackupError::Newer { what: "the schema", found: backup.schema, known });
    }
    let suffix = manifest::now_milliseconds();
    let (facts, aside) = match backup.engine {
        #[cfg(feature = "rocksdb")]
        EngineName::RocksDb => rocksdb::restore(config, &backup, directory, suffix).await?,
        #[cfg(feature = "postgres")]
        EngineName::Postgres => postgres::restore(config, &backup, directory, suffix).await?,
        #[cfg(not(all(feature = "rocksdb", feature = "postgres")))]
        other => return Err(BackupError::NoEngine(other.name())),
    };
    Ok(Restored { backup, epoch: facts.epoch.0, aside })
}

/// Refuses what was restored if it is of another server, whatever its manifest says.
fn is_of(facts: &StoreFacts, backup: &Manifest) -> Result<(), BackupError> {
    is_same("the server", facts.server_name.as_deref().unwrap_or_default(), &backup.server_name)
}

fn is_same(what: &'static str, found: &str, expected: &str) -> Result<(), BackupError> {
    if found == expected {
        return Ok(());
    }
    Err(BackupError::Other { what, found: found.to_owned(), expected: expected.to_owned() })
}

/// A path with something at its end.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(end);
    name.into()
}
