//! The temporary directory of a cluster, and what was left of others.

use std::{
    env,
    fs::{self, DirBuilder, File},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    ClusterError,
    binaries::Binaries,
    user::{User, program},
};

const PREFIX: &str = "olmstead-postgres-";
/// The longest directory that PostgreSQL's socket fits into: its path may have 107 bytes.
const LONGEST: usize = 85;
/// Who holds the lock of this file looks after the cluster.
const LOCK: &str = "lock";
/// The data, or a link to it where it is to stay.
const DATA: &str = "data";

/// Where the socket, the log and mostly the data of a cluster are.
#[derive(Debug)]
pub(crate) struct Home {
    path: PathBuf,
    user: Option<User>,
}

impl Home {
    /// A new one, and its lock.
    pub(crate) fn create() -> Result<(Self, File), ClusterError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let base = base()?;
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.subsec_nanos());
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = base.join(format!("{PREFIX}{}-{count}-{time:x}", process::id()));
        let failed = |e| ClusterError::File(path.clone(), e);
        DirBuilder::new().mode(0o700).create(&path).map_err(failed)?;
        let user = User::for_owner_of(&fs::metadata(&path).map_err(failed)?)?;
        // Locked before it has its name: what has the name and is not locked was left behind.
        let unnamed = path.join("unlocked");
        let lock = File::create(&unnamed).map_err(failed)?;
        lock.lock().map_err(failed)?;
        fs::rename(&unnamed, path.join(LOCK)).map_err(failed)?;
        let home = Self { path, user };
        home.give(&home.path)?;
        Ok((home, lock))
    }

    /// The directory's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whom the server runs as, if not as the user of this process.
    pub(crate) fn user(&self) -> Option<User> {
        self.user
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Where the data is: here, or in a directory that stays.
    pub(crate) fn data(&self, kept: Option<&Path>) -> Result<PathBuf, ClusterError> {
        let data = self.path.join(DATA);
        let Some(kept) = kept else {
            return Ok(data);
        };
        let failed = |e| ClusterError::File(kept.to_owned(), e);
        let kept = std::path::absolute(kept).map_err(failed)?;
        if self.user.is_some() && !kept.ancestors().skip(1).all(|above| allows(above, 0o001)) {
            return Err(ClusterError::Unreachable(kept));
        }
        match DirBuilder::new().mode(0o700).create(&kept) {
            Ok(()) => self.give(&kept)?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
        // Whoever finds this home left behind must know which server to stop.
        std::os::unix::fs::symlink(&kept, &data).map_err(|e| ClusterError::File(data, e))?;
        Ok(kept)
    }

    /// Deletes it, where nothing runs in it yet.
    pub(crate) fn remove(&self) {
        // The next sweep would delete what is left.
        let _ = fs::remove_dir_all(&self.path);
    }

    /// Makes the server's user the owner of something.
    fn give(&self, path: &Path) -> Result<(), ClusterError> {
        let Some((uid, gid)) = self.user.map(User::ids) else {
            return Ok(());
        };
        std::os::unix::fs::chown(path, Some(uid), Some(gid)).map_err(|e| ClusterError::File(path.to_owned(), e))
    }
}

/// The directory for temporary files, where its path is short enough and the server's user can get into it.
fn base() -> Result<PathBuf, ClusterError> {
    let root = fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0);
    [env::temp_dir(), PathBuf::from("/tmp")]
        .into_iter()
        .find(|path| path.as_os_str().len() + PREFIX.len() + 24 <= LONGEST && (!root || is_open(path)))
        .ok_or(ClusterError::NoDirectory)
}

/// Whether everybody can write here, and enter all directories above.
fn is_open(path: &Path) -> bool {
    path.is_absolute() && allows(path, 0o003) && path.ancestors().all(|above| allows(above, 0o001))
}

/// Whether everybody has these permissions.
fn allows(path: &Path, bits: u32) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.mode() & bits == bits)
}

/// Stops the servers that nobody looks after any more, and deletes their directories.
pub(crate) fn sweep(binaries: &Binaries) {
    let Ok(entries) = base().and_then(|base| fs::read_dir(&base).map_err(|e| ClusterError::File(base, e))) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        // Those of other users cannot be opened; those in use are locked.
        let Ok(lock) = File::options().write(true).open(path.join(LOCK)) else { continue };
        let (Ok(()), Ok(metadata)) = (lock.try_lock(), fs::metadata(&path)) else { continue };
        let root = lock.metadata().is_ok_and(|metadata| metadata.uid() == 0);
        let owner = root.then(|| User::owner(&metadata)).filter(|owner| owner.ids().0 != 0);
        let mut stop = program(binaries.path("pg_ctl"), owner);
        stop.current_dir(&path).args(["stop", "-s", "-m", "immediate", "-D"]).arg(path.join(DATA));
        // It fails where the server is gone, which is as good.
        let _ = stop.output();
        let _ = fs::remove_dir_all(&path);
    }
}
