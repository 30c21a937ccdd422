//! Where PostgreSQL is installed.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::ClusterError;

/// The oldest major version that Olmstead supports.
const OLDEST: u32 = 15;
/// Debian has every major version in a directory of its own here, outside of `PATH`.
const DEBIAN: &str = "/usr/lib/postgresql";
/// What a cluster is run with.
const NEEDED: [&str; 4] = ["initdb", "pg_ctl", "postgres", "psql"];

/// The directory of one installation's binaries.
#[derive(Debug, Clone)]
pub(crate) struct Binaries(PathBuf);

impl Binaries {
    /// The first in `PATH`, else Debian's newest.
    pub(crate) fn find() -> Result<Self, ClusterError> {
        let path = env::var_os("PATH").unwrap_or_default();
        let mut old = Vec::new();
        for directory in env::split_paths(&path).chain(debian()) {
            if !NEEDED.iter().all(|name| directory.join(name).is_file()) {
                continue;
            }
            match version(&directory) {
                Some(major) if major >= OLDEST => return Ok(Self(directory)),
                Some(major) => old.push(format!("; {} has version {major}", directory.display())),
                None => old.push(format!("; {} does not tell its version", directory.display())),
            }
        }
        Err(ClusterError::NotInstalled(old.concat()))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// Debian's directories of binaries, the newest first.
fn debian() -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(DEBIAN)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, path)| path).collect()
}

fn version(directory: &Path) -> Option<u32> {
    let output = Command::new(directory.join("postgres")).arg("--version").output().ok()?;
    major(&String::from_utf8_lossy(&output.stdout))
}

/// The major version in such a text as `postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)` or `… 18beta1`.
fn major(text: &str) -> Option<u32> {
    let number = text.split_once("(PostgreSQL)")?.1.trim_start();
    let digits = number.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_major_version() {
        assert_eq!(major("postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)\n"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("something else 15"), None);
    }
}
