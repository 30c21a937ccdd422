//! Backups of the embedded engine.

use std::{
    fs::{self, DirBuilder, File},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use olmstead_rocksdb::{DirectoryLock, OpenError, Options, RocksStore};
use olmstead_storage::{Maintenance as _, Storage as _, maintenance::StoreFacts};

use super::{
    BackupError, Manifest, beside, control,
    error::{broken, of},
    is_of,
    manifest::sync_directory,
};
use crate::Config;

/// Where the store is in a backup.
const STORE: &str = "store";

/// Lets the running server copy its store, or opens the store if none runs.
pub(super) async fn copy(config: &Config, backup: &Path) -> Result<StoreFacts, BackupError> {
    let (store, copy) = (&config.storage.path, backup.join(STORE));
    let unreachable = |source| BackupError::Unreachable { socket: control::socket(store), source };
    match control::checkpoint(store, &copy).await {
        Ok(Some(Ok(facts))) => return Ok(facts),
        Ok(Some(Err(what))) => return Err(BackupError::Server(what)),
        Ok(None) => {}
        Err(error) => return Err(unreachable(error)),
    }
    if !store.join("CURRENT").try_exists().map_err(of(store))? {
        return Err(BackupError::NoStore);
    }
    let store = store.clone();
    let opened = tokio::task::spawn_blocking(move || RocksStore::open(&store, Options::default()));
    let opened = opened.await.map_err(broken)??;
    let facts = opened.checkpoint(&copy).await?.ok_or(BackupError::NoStore)?;
    opened.close().await?;
    Ok(facts)
}

/// Restores a backup beside the store and lets the two change places.
pub(super) async fn restore(
    config: &Config,
    backup: &Manifest,
    directory: &Path,
    suffix: u64,
) -> Result<(StoreFacts, Option<String>), BackupError> {
    // The directory itself, where the path is a link to it.
    let store = config.storage.path.canonicalize().or_else(|_| std::path::absolute(&config.storage.path));
    let store = store.map_err(of(&config.storage.path))?;
    // Held to the end, so that no server starts on what is about to be put aside.
    let lock = DirectoryLock::take(&store)?;
    let staged = beside(&store, &format!("restoring-{suffix}"));
    DirBuilder::new().mode(0o700).create(&staged).map_err(of(&staged))?;
    let done = async {
        let (from, to, manifest, owner) = (directory.to_owned(), staged.clone(), backup.clone(), store.clone());
        let copied = tokio::task::spawn_blocking(move || {
            unpack(&manifest, &from, &to)?;
            RocksStore::open(&to, Options::default()).map_err(|error| not_readable(&from, error))
        });
        let opened = copied.await.map_err(broken)??;
        let facts = opened.store_facts().await?;
        is_of(&facts, backup)?;
        opened.close().await?;
        drop(opened);
        same_owner(&owner, &staged)?;
        swap(&store, &staged, suffix).map(|aside| (facts, aside))
    }
    .await;
    if done.is_err() {
        // What failed is told; that some of it is left, too, if it is.
        let _ = fs::remove_dir_all(&staged);
    }
    drop(lock);
    done
}

/// Copies the files of a backup that are the store's.
fn unpack(backup: &Manifest, from: &Path, to: &Path) -> Result<(), BackupError> {
    for entry in &backup.files {
        let Ok(name) = entry.path.strip_prefix(STORE) else { continue };
        let path = to.join(name);
        let mut file = File::create(&path).map_err(of(&path))?;
        entry.check(from, &mut file)?;
        file.sync_all().map_err(of(&path))?;
    }
    sync_directory(to)
}

/// A store that was written as it is and cannot be opened.
fn not_readable(backup: &Path, error: OpenError) -> BackupError {
    match error {
        OpenError::Newer { .. } | OpenError::Directory { .. } => error.into(),
        error => BackupError::Damaged { file: backup.join(STORE), what: format!("cannot be opened: {error}") },
    }
}

/// Gives what was restored to the owner of the store, where another user restores it.
fn same_owner(store: &Path, staged: &Path) -> Result<(), BackupError> {
    let Ok(owner) = fs::metadata(store) else { return Ok(()) };
    let own = fs::metadata(staged).map_err(of(staged))?;
    fs::set_permissions(staged, owner.permissions()).map_err(of(staged))?;
    if (owner.uid(), owner.gid()) == (own.uid(), own.gid()) {
        return Ok(());
    }
    let entries = fs::read_dir(staged).map_err(of(staged))?;
    let paths: Result<Vec<PathBuf>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    for path in paths.map_err(of(staged))?.iter().map(PathBuf::as_path).chain([staged]) {
        std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid())).map_err(of(path))?;
    }
    Ok(())
}

/// Puts the store aside and what was restored in its place.
fn swap(store: &Path, staged: &Path, suffix: u64) -> Result<Option<String>, BackupError> {
    let aside = beside(store, &format!("before-restore-{suffix}"));
    let is_there = store.try_exists().map_err(of(store))?;
    if is_there {
        fs::rename(store, &aside).map_err(of(store))?;
    }
    if let Err(error) = fs::rename(staged, store) {
        if is_there {
            fs::rename(&aside, store).map_err(of(&aside))?;
        }
        return Err(of(store)(error));
    }
    sync_directory(store.parent().unwrap_or(store))?;
    Ok(is_there.then(|| aside.display().to_string()))
}
