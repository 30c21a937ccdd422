//! What can go wrong, in sentences for a developer.

use std::{fmt, io, path::PathBuf};

/// Why there is no cluster or no database.
#[derive(Debug)]
pub enum ClusterError {
    /// No PostgreSQL of version 15 or newer was found; the text lists what is too old.
    NotInstalled(String),
    /// Root cannot run PostgreSQL, and there is neither a user `postgres` nor a user `nobody`.
    NoUser,
    /// No directory for temporary files has a path that is short enough for a socket and open to all users.
    NoDirectory,
    /// The data that is to be kept belongs to a server that runs.
    InUse(PathBuf),
    /// The user whom root runs PostgreSQL as cannot get to the directory for the data.
    Unreachable(PathBuf),
    /// A file or directory cannot be used.
    File(PathBuf, io::Error),
    /// A program could not be run.
    Program(PathBuf, io::Error),
    /// A program of PostgreSQL's failed: what it was to do, and what it and the server's log say.
    Failed(String, String),
    /// Not a URL such as [`crate::Cluster::url`] makes.
    Url(String),
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled(found) => write!(
                f,
                "PostgreSQL 15 or newer is not installed: `cargo xtask setup` installs it, or install the Debian \
                 package `postgresql`, or put its directory of binaries (with initdb and pg_ctl) in PATH{found}"
            ),
            Self::NoUser => write!(f, "root cannot run PostgreSQL, and there is no user `postgres` or `nobody`"),
            Self::NoDirectory => {
                write!(
                    f,
                    "neither $TMPDIR nor /tmp can be used: the path must be short, and for root open to all users"
                )
            }
            Self::InUse(path) => write!(f, "{}: another PostgreSQL runs on this data", path.display()),
            Self::Unreachable(path) => {
                write!(
                    f,
                    "{}: root runs PostgreSQL as another user, who cannot get there; put it where all users may enter, \
                     or run this as another user than root",
                    path.display()
                )
            }
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Program(path, error) => write!(f, "cannot run {}: {error}", path.display()),
            Self::Failed(what, output) => write!(f, "cannot {what}:\n{output}"),
            Self::Url(url) => write!(f, "not the URL of a PostgreSQL database: {url}"),
        }
    }
}

impl std::error::Error for ClusterError {}
