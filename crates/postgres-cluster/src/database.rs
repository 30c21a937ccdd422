//! A database for one test.

use std::{
    process,
    sync::atomic::{AtomicU32, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{ClusterError, binaries::Binaries, user::program};

/// A database of its own, dropped with this value, whoever is still connected to it.
#[derive(Debug)]
pub struct Database {
    binaries: Binaries,
    maintenance: String,
    name: String,
    url: String,
}

impl Database {
    /// Creates an empty database in the cluster that `maintenance`, the URL of another database, belongs to. Its name
    /// begins with `prefix`, which consists of lowercase letters, digits and underscores.
    ///
    /// # Errors
    /// [`ClusterError::Url`] for what is no URL, [`ClusterError::Failed`] with the server's words.
    pub fn create(maintenance: &str, prefix: &str) -> Result<Self, ClusterError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.subsec_nanos());
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{prefix}_{}_{count}_{time:x}", process::id());
        let url = with_database(maintenance, &name).ok_or_else(|| ClusterError::Url(maintenance.to_owned()))?;
        let database = Self { binaries: Binaries::find()?, maintenance: maintenance.to_owned(), name, url };
        database.execute(&format!("CREATE DATABASE {}", database.name), "create a database")?;
        Ok(database)
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All that is in it, as SQL; bytes are written in hexadecimal digits.
    ///
    /// # Errors
    /// [`ClusterError::Failed`] with the words of `pg_dump`.
    pub fn dump(&self) -> Result<String, ClusterError> {
        let path = self.binaries.path("pg_dump");
        let output = program(&path, None)
            .args(["--no-password", "--inserts", "--dbname", &self.url])
            .output()
            .map_err(|e| ClusterError::Program(path, e))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(ClusterError::Failed("dump a database".to_owned(), String::from_utf8_lossy(&output.stderr).into_owned()))
    }

    /// Closes the connections of all clients but this one, at whatever they are.
    ///
    /// # Errors
    /// [`ClusterError::Failed`] with the server's words.
    pub fn drop_connections(&self) -> Result<(), ClusterError> {
        let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity";
        let statement = format!("{all} WHERE datname = '{}' AND pid <> pg_backend_pid()", self.name);
        self.execute(&statement, "close connections")
    }

    /// Runs a statement in this database.
    ///
    /// # Errors
    /// [`ClusterError::Failed`] with the server's words.
    pub fn run(&self, statement: &str) -> Result<(), ClusterError> {
        self.execute_in(&self.url, statement, "run a statement")
    }

    fn execute(&self, statement: &str, what: &str) -> Result<(), ClusterError> {
        self.execute_in(&self.maintenance, statement, what)
    }

    fn execute_in(&self, url: &str, statement: &str, what: &str) -> Result<(), ClusterError> {
        let path = self.binaries.path("psql");
        let mut psql = program(&path, None);
        psql.args(["--no-psqlrc", "--no-password", "--quiet", "--dbname", url, "--command", statement]);
        let output = psql.output().map_err(|e| ClusterError::Program(path, e))?;
        if output.status.success() {
            return Ok(());
        }
        Err(ClusterError::Failed(what.to_owned(), String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The cluster may be gone already, and the database with it.
        let _ = self.execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name), "drop a database");
    }
}

/// The URL with another database in it.
fn with_database(url: &str, database: &str) -> Option<String> {
    let (base, query) = url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
    let (scheme, rest) = base.split_once("://")?;
    let authority = rest.split('/').next()?;
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    ["postgres", "postgresql"].contains(&scheme).then(|| format!("{scheme}://{authority}/{database}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_of_a_url_is_replaced() {
        let changed = |url| with_database(url, "new");
        assert_eq!(changed("postgres://a@h:1/old?host=/tmp/x").as_deref(), Some("postgres://a@h:1/new?host=/tmp/x"));
        assert_eq!(changed("postgresql://h").as_deref(), Some("postgresql://h/new"));
        assert_eq!(changed("https://h/old"), None);
        assert_eq!(changed("old"), None);
    }
}
