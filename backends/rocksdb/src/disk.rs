//! What is asked of the disk beside RocksDB's files, and writes that are refused before it is full.
//!
//! A write that fails for want of space ends the store until it is opened anew, as nobody knows what of it is on disk. So
//! commands are refused while there still is some: nothing is begun then, reads go on, and commands go on when there is
//! space again, with nobody's help.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use olmstead_storage::{Result, StorageError};
use parking_lot::Mutex;

/// How old what is known of the disk may be.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Of a small disk this part is kept free instead.
const SMALL_PART: u64 = 16;

/// A disk. Tests put a worse one in the place of the real one.
pub trait Disk: fmt::Debug + Send + Sync {
    /// The space on the file system of a directory.
    ///
    /// # Errors
    /// Where the system does not know; then it is taken for enough.
    fn space(&self, directory: &Path) -> io::Result<Space>;

    /// Called when the system says that the log is on disk; an error is taken for its own.
    ///
    /// # Errors
    /// As the disk likes.
    fn synced(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Those that may be used.
    pub free: u64,
    /// All.
    pub total: u64,
}

/// The disk that is there.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn space(&self, directory: &Path) -> io::Result<Space> {
        let facts = rustix::fs::statvfs(directory)?;
        let bytes = |blocks: u64| blocks.saturating_mul(facts.f_frsize);
        Ok(Space { free: bytes(facts.f_bavail), total: bytes(facts.f_blocks) })
    }
}

/// Lets commands through while the disk has room for them.
pub(crate) struct Headroom {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    /// Bytes to keep free.
    least: u64,
    state: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    looked: Option<Instant>,
    /// The bytes that are free, where that is too few.
    short: Option<u64>,
}

impl Headroom {
    pub(crate) fn new(disk: Arc<dyn Disk>, directory: &Path, least: u64) -> Self {
        Self { disk, directory: directory.to_owned(), least, state: Mutex::default() }
    }

    /// Whether commands can be taken.
    pub(crate) fn is_there(&self) -> bool {
        self.missing().is_none()
    }

    /// Refuses a command that may not find room.
    pub(crate) fn check(&self) -> Result<()> {
        let Some(free) = self.missing() else { return Ok(()) };
        let message = format!(
            "the disk of {} is full but for {} MiB; writes are refused until there is space",
            self.directory.display(),
            free >> 20
        );
        Err(StorageError::Unavailable { message, source: None })
    }

    /// The bytes that are free, where that is too few.
    fn missing(&self) -> Option<u64> {
        let mut known = self.state.lock();
        if known.looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return known.short;
        }
        known.looked = Some(Instant::now());
        let Ok(space) = self.disk.space(&self.directory) else { return known.short };
        let short = (space.free < self.least.min(space.total / SMALL_PART)).then_some(space.free);
        match (known.short, short) {
            (None, Some(free)) => tracing::error!(
                directory = %self.directory.display(),
                free_bytes = free,
                "the disk is nearly full: writes are refused until there is space"
            ),
            (Some(_), None) => tracing::warn!(
                directory = %self.directory.display(),
                "there is space on the disk again: writes go on"
            ),
            _ => {}
        }
        known.short = short;
        short
    }
}
