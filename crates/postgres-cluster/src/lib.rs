//! A private PostgreSQL for tests and development, started from the binaries that are installed.
//!
//! ```no_run
//! use olmstead_postgres_cluster::{Cluster, Database, Options};
//!
//! let cluster = Cluster::start(&Options::default())?;
//! let database = Database::create(&cluster.url("postgres"), "test")?;
//! println!("connect to {}", database.url());
//! # Ok::<(), olmstead_postgres_cluster::ClusterError>(())
//! ```
//!
//! The server listens on a unix socket in a temporary directory, as the user who runs this; PostgreSQL refuses root, so
//! root runs it as `postgres` or `nobody`. Whoever can reach the socket is let in without a password.
//!
//! No server is left behind. A shell waits beside it for the end of a pipe whose other end is in [`Cluster`], and then
//! stops the server and deletes its directory: that works at a panic, a Ctrl-C and a SIGKILL alike. Where the shell was
//! killed too, the next start finds what it left by its lock, which nobody holds any more.

mod binaries;
mod cluster;
mod database;
mod error;
mod home;
mod settings;
mod user;

pub use self::{
    cluster::{Cluster, Options, Shutdown},
    database::Database,
    error::ClusterError,
};

/// Whether PostgreSQL 15 or newer is installed where [`Cluster::start`] looks for it.
pub fn is_installed() -> bool {
    binaries::Binaries::find().is_ok()
}
