//! Telling a copy of a store from the store itself.
//!
//! Beside its data a store keeps a small file, `place`, and in its data what marks that file: a random number that is in
//! it, and when the file system says that it was made (or its inode, where the file system does not say). The file is made
//! anew at each start and each clean end. Copied files are made at another time, so the mark of the copy's file is not the
//! one in its data. A checkpoint has no such file at all, and a file that was deleted on purpose is one that is not there.
//!
//! What this cannot tell: a file system or disk that was put back as a whole (a snapshot rolled back in place, an image of
//! a virtual machine); and, after a kill, files put back by a program that leaves alone what has the same size and time,
//! where the copy is of the same run of the server.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path, time::UNIX_EPOCH};

use olmstead_storage::{Result, StorageError};
use rocksdb::WriteBatch;

use crate::{
    command::Command,
    engine::Engine,
    keys::{Family, Key},
    reads::{Reads as _, View},
};

/// The file's name in the store's directory.
const FILE: &str = "place";
/// Where the next file is made.
const NEXT_FILE: &str = "place.new";
/// Name of the marks among the facts of the store, one a line: of the file that is there, and of the one that replaces it.
const MARKS_KEY: &str = "place";

/// Whether the data in a directory is a copy of what was written there.
pub(crate) fn is_copy(engine: &Engine, directory: &Path) -> Result<bool> {
    Ok(match (kept(engine)?, mark_of(&directory.join(FILE)).map_err(unreadable)?) {
        // New, or of a version that kept no marks.
        (None, None) => false,
        (Some(kept), Some(found)) => kept.lines().all(|mark| mark != found),
        _ => true,
    })
}

/// Makes the file anew and notes its mark; from now on the data is no copy. `more` is written in the same batch.
pub(crate) fn note(engine: &Engine, directory: &Path, more: Option<(Key, u64)>) -> Result<()> {
    let (file, next) = (directory.join(FILE), directory.join(NEXT_FILE));
    let mark = make(&next).map_err(unwritable)?;
    // Both are good: a crash may come before or after the one replaces the other.
    let present = mark_of(&file).map_err(unreadable)?;
    let marks = present.into_iter().chain([mark]).collect::<Vec<_>>().join("\n");
    let family = engine.family(Family::Main)?;
    let mut batch = WriteBatch::default();
    batch.put_cf(family, Command::meta(MARKS_KEY), marks);
    if let Some((key, value)) = more {
        batch.put_cf(family, key, value.to_be_bytes());
    }
    engine.write_durable(batch)?;
    fs::rename(&next, &file).map_err(unwritable)?;
    fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(unwritable)
}

/// Whether a directory has the file.
pub(crate) fn is_noted(directory: &Path) -> bool {
    directory.join(FILE).exists()
}

fn kept(engine: &Engine) -> Result<Option<String>> {
    let marks = View::now(engine, false).get(&Command::meta(MARKS_KEY))?;
    marks.map(|marks| String::from_utf8(marks).map_err(|_| StorageError::damaged("the marks of its place"))).transpose()
}

/// Makes a file that is like no other, and gives its mark.
fn make(path: &Path) -> io::Result<String> {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    fs::write(path, format!("{:016x}", rand::random::<u64>()))?;
    fs::File::open(path)?.sync_all()?;
    mark_of(path)?.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// What marks a file, if it is there.
fn mark_of(path: &Path) -> io::Result<Option<String>> {
    let (number, facts) = match (fs::read_to_string(path), fs::metadata(path)) {
        (Ok(number), Ok(facts)) => (number, facts),
        (Err(error), _) | (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        (Err(error), _) | (_, Err(error)) => return Err(error),
    };
    // Some file systems do not know, and say the beginning of time.
    let made =
        facts.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok()).filter(|made| !made.is_zero());
    Ok(Some(match made {
        Some(made) => format!("{} made {}", number.trim(), made.as_nanos()),
        None => format!("{} inode {}", number.trim(), facts.ino()),
    }))
}

fn unreadable(error: io::Error) -> StorageError {
    StorageError::unavailable(format!("the file {FILE} cannot be read"), error)
}

fn unwritable(error: io::Error) -> StorageError {
    StorageError::unavailable(format!("the file {FILE} cannot be written"), error)
}
