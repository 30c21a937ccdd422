//! Copies of a database and their way back, by PostgreSQL's own programs `pg_dump` and `pg_restore`.
//!
//! The programs get host, user, password and all else by variables of the environment, so that nothing of it shows in a
//! list of processes. A copy is restored into a database of its own, opened there once, and only then the two databases
//! change names, in one transaction: whatever fails before leaves the store as it is.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    process::{Command, Output, Stdio},
    str::FromStr as _,
    time::Duration,
};

use olmstead_storage::{Storage as _, StorageError, maintenance::StoreFacts};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::time::{Instant, sleep};
use url::Url;

use crate::{OpenError, Options, PostgresStore, maintenance, schema};

/// The newest schema of a copy that this version may be able to restore.
pub const NEWEST_SCHEMA: u64 = schema::NEWEST as u64;

/// How long the sessions of a node may still be there when its process has ended.
const ENDING: Duration = Duration::from_secs(3);
/// How often is looked whether they are.
const LOOK: Duration = Duration::from_millis(50);
/// Names of databases are cut off after so many bytes.
const LONGEST_NAME: usize = 63;

/// Why a database cannot be copied or restored, in words for the operator.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The URL cannot be read, or names no database. It may hold a password, so it is not repeated.
    #[error("the URL of the PostgreSQL database cannot be read, or names no database")]
    Url,
    /// A program of PostgreSQL is not there.
    #[error("{program} cannot be run ({source}): install PostgreSQL's client programs, version {needed} or newer")]
    NoProgram {
        /// Its name.
        program: &'static str,
        /// The version of the server.
        needed: u32,
        /// What the system says.
        source: io::Error,
    },
    /// A program of PostgreSQL is older than the server.
    #[error("{program} is of version {found}, which cannot read a server of version {needed}: install a newer one")]
    OldProgram {
        /// Its name.
        program: &'static str,
        /// Its version.
        found: u32,
        /// The version of the server.
        needed: u32,
    },
    /// A program of PostgreSQL failed.
    #[error("{program} failed: {said}")]
    Program {
        /// Its name.
        program: &'static str,
        /// What it said.
        said: String,
    },
    /// PostgreSQL refused something.
    #[error("PostgreSQL refused to {what}: {source}")]
    Refused {
        /// What it was to do.
        what: &'static str,
        /// What it says.
        source: sqlx::Error,
    },
    /// The store is in use.
    #[error("{sessions} sessions of Olmstead are on the database: stop all nodes first")]
    InUse {
        /// How many sessions.
        sessions: i64,
    },
    /// What was restored cannot be opened.
    #[error("what was restored cannot be used: {0}")]
    Open(#[from] OpenError),
    /// What was restored, or is to be copied, does not read as a store.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A database that was restored.
#[derive(Debug)]
pub struct Restored {
    /// What it is now.
    pub facts: StoreFacts,
    /// The name under which the database from before is kept, if there was one.
    pub aside: Option<String>,
}

/// What the store in a database is. Changes nothing.
///
/// # Errors
/// [`BackupError`].
pub async fn facts(url: &str) -> Result<StoreFacts, BackupError> {
    let mut connection = connect(&options(url)?).await?;
    let facts = maintenance::facts(&mut connection).await.map_err(StorageError::from)?;
    // The answer is there; how the connection ends does not matter.
    let _ = connection.close().await;
    Ok(facts)
}

/// Writes the database into a file, in `pg_dump`'s custom format, as it was at one moment. Nodes may run meanwhile.
///
/// # Errors
/// [`BackupError`]; some of the file may be left then.
pub async fn dump(url: &str, file: &Path) -> Result<(), BackupError> {
    let needed = server_version(&mut connect(&options(url)?).await?).await?;
    let mut command = program("pg_dump", url, None)?;
    command.args(["--format=custom", "--no-owner", "--no-privileges", "--no-password"]).arg("--file").arg(file);
    run("pg_dump", needed, command).await
}

/// Puts a file of [`dump`] in the place of the database. `suffix` makes the name under which the database from before is
/// kept, and must be one that was not used before. `check` is asked before the databases change names.
///
/// # Errors
/// [`BackupError`]; the database is as it was then.
pub async fn restore<E: From<BackupError>>(
    url: &str,
    file: &Path,
    suffix: &str,
    check: impl FnOnce(&StoreFacts) -> Result<(), E>,
) -> Result<Restored, E> {
    let target = options(url)?;
    let name = target.get_database().ok_or(BackupError::Url)?.to_owned();
    let mut connection = connect(&target.clone().database("postgres")).await?;
    nobody_is_on(&mut connection, &name).await?;
    let needed = server_version(&mut connection).await?;
    let fresh = longer(&name, &format!("_restoring_{suffix}"));
    let create = format!("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0", quoted(&fresh));
    execute(&mut connection, "make a database (the role needs CREATEDB)", create).await?;
    let filled = async {
        let mut command = program("pg_restore", url, Some(&fresh))?;
        command.args(["--exit-on-error", "--no-owner", "--no-privileges", "--no-password"]);
        command.arg("--dbname").arg(&fresh).arg(file);
        run("pg_restore", needed, command).await?;
        let facts = open_once(url, &fresh).await?;
        check(&facts)?;
        let aside = swap(&mut connection, &name, &fresh, suffix).await?;
        Ok(Restored { facts, aside })
    }
    .await;
    if filled.is_err() {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(&fresh));
        if let Err(error) = execute(&mut connection, "drop what was restored", drop).await {
            tracing::warn!(database = fresh, %error, "a database that was restored in part is left");
        }
    }
    filled
}

/// Opens the store in a database, which begins its new epoch.
async fn open_once(url: &str, database: &str) -> Result<StoreFacts, BackupError> {
    let url = with_database(url, database)?;
    let store = PostgresStore::open(url.as_str(), Options { max_connections: 2, ..Options::default() }).await?;
    let facts = olmstead_storage::Maintenance::store_facts(&*store).await?;
    store.close().await?;
    Ok(facts)
}

/// Gives a restored database the name of the store, and the store another; both or nothing.
async fn swap(
    connection: &mut PgConnection,
    name: &str,
    fresh: &str,
    suffix: &str,
) -> Result<Option<String>, BackupError> {
    nobody_is_on(connection, name).await?;
    let aside = longer(name, &format!("_before_restore_{suffix}"));
    let refused = |source| BackupError::Refused { what: "rename the databases (is anybody connected to one?)", source };
    // Sessions of the check above may still be ending.
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1")
        .bind(fresh)
        .execute(&mut *connection)
        .await
        .map_err(refused)?;
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(name)
        .fetch_one(&mut *connection)
        .await
        .map_err(refused)?;
    let mut transaction = connection.begin().await.map_err(refused)?;
    let rename = |from: &str, to: &str| {
        sqlx::raw_sql(AssertSqlSafe(format!("ALTER DATABASE {} RENAME TO {}", quoted(from), quoted(to))))
    };
    if exists {
        rename(name, &aside).execute(&mut *transaction).await.map_err(refused)?;
    }
    rename(fresh, name).execute(&mut *transaction).await.map_err(refused)?;
    transaction.commit().await.map_err(refused)?;
    Ok(exists.then_some(aside))
}

/// Refuses if a node runs on a database. A node always has connections, which say whose they are.
async fn nobody_is_on(connection: &mut PgConnection, database: &str) -> Result<(), BackupError> {
    let deadline = Instant::now() + ENDING;
    loop {
        let sessions: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'olmstead'",
        )
        .bind(database)
        .fetch_one(&mut *connection)
        .await
        .map_err(|source| BackupError::Refused { what: "say who is connected", source })?;
        if sessions == 0 {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(BackupError::InUse { sessions });
        }
        sleep(LOOK).await;
    }
}

async fn execute(connection: &mut PgConnection, what: &'static str, statement: String) -> Result<(), BackupError> {
    let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await;
    done.map(drop).map_err(|source| BackupError::Refused { what, source })
}

fn options(url: &str) -> Result<PgConnectOptions, BackupError> {
    Ok(PgConnectOptions::from_str(url).map_err(|_| BackupError::Url)?.application_name("olmstead-backup"))
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, BackupError> {
    options.connect().await.map_err(|source| BackupError::Refused { what: "connect", source })
}

/// The first part of the server's version.
async fn server_version(connection: &mut PgConnection) -> Result<u32, BackupError> {
    let number: i32 = sqlx::query_scalar("SELECT current_setting('server_version_num')::int")
        .fetch_one(connection)
        .await
        .map_err(|source| BackupError::Refused { what: "tell its version", source })?;
    Ok(u32::try_from(number / 10_000).unwrap_or_default())
}

/// A name with something at its end, cut so that the end stays.
fn longer(name: &str, end: &str) -> String {
    let mut length = name.len().min(LONGEST_NAME.saturating_sub(end.len()));
    while !name.is_char_boundary(length) {
        length -= 1;
    }
    format!("{}{end}", name.get(..length).unwrap_or_default())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A program of PostgreSQL that connects to the database of a URL, or to another of the same server.
fn program(name: &'static str, url: &str, database: Option<&str>) -> Result<Command, BackupError> {
    let mut command = Command::new(name);
    command.envs(variables(url)?).env("PGAPPNAME", "olmstead-backup").stdin(Stdio::null());
    if let Some(database) = database {
        command.env("PGDATABASE", database);
    }
    Ok(command)
}

/// The URL as the variables that PostgreSQL's programs read.
fn variables(url: &str) -> Result<BTreeMap<&'static str, String>, BackupError> {
    let url = Url::parse(url).map_err(|_| BackupError::Url)?;
    let decoded = |text: &str| {
        let encoded = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
        url::form_urlencoded::parse(encoded.as_bytes()).next().map(|(text, _)| text.into_owned()).unwrap_or_default()
    };
    let mut variables = BTreeMap::new();
    let mut set = |name, value: String| {
        if !value.is_empty() {
            variables.insert(name, value);
        }
    };
    // An address of version 6 is in brackets in a URL only.
    let host = url.host_str().unwrap_or_default();
    set("PGHOST", decoded(host.trim_start_matches('[').trim_end_matches(']')));
    set("PGPORT", url.port().map(|port| port.to_string()).unwrap_or_default());
    set("PGUSER", decoded(url.username()));
    set("PGPASSWORD", decoded(url.password().unwrap_or_default()));
    set("PGDATABASE", decoded(url.path().trim_start_matches('/')));
    for (key, value) in url.query_pairs() {
        let name = match &*key {
            "host" | "hostaddr" => "PGHOST",
            "port" => "PGPORT",
            "user" => "PGUSER",
            "password" => "PGPASSWORD",
            "dbname" => "PGDATABASE",
            "sslmode" | "ssl-mode" => "PGSSLMODE",
            "sslrootcert" | "ssl-root-cert" | "ssl-ca" => "PGSSLROOTCERT",
            "sslcert" | "ssl-cert" => "PGSSLCERT",
            "sslkey" | "ssl-key" => "PGSSLKEY",
            _ => continue,
        };
        set(name, value.into_owned());
    }
    Ok(variables)
}

/// The URL with another database in it.
fn with_database(url: &str, database: &str) -> Result<Url, BackupError> {
    let mut url = Url::parse(url).map_err(|_| BackupError::Url)?;
    let others: Vec<_> = url
        .query_pairs()
        .filter(|(key, _)| key != "dbname")
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    url.query_pairs_mut().clear().extend_pairs(others);
    url.set_path(database);
    Ok(url)
}

/// Runs a program that must be at least as new as the server.
async fn run(program: &'static str, needed: u32, mut command: Command) -> Result<(), BackupError> {
    let ended = tokio::task::spawn_blocking(move || {
        let said = Command::new(program).arg("--version").stdin(Stdio::null()).output();
        let said = said.map_err(|source| BackupError::NoProgram { program, needed, source })?;
        let found = version(&said);
        if found < needed {
            return Err(BackupError::OldProgram { program, found, needed });
        }
        let output = command.output().map_err(|source| BackupError::NoProgram { program, needed, source })?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(BackupError::Program { program, said: if said.is_empty() { output.status.to_string() } else { said } })
    });
    ended.await.unwrap_or_else(|error| Err(BackupError::Program { program, said: error.to_string() }))
}

/// The first number in what a program says of its version, such as `pg_dump (PostgreSQL) 17.2`.
fn version(said: &Output) -> u32 {
    let text = String::from_utf8_lossy(&said.stdout);
    let digits = text.split(|c: char| !c.is_ascii_digit()).find(|part| !part.is_empty());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_url_becomes_variables() {
        let found = variables("postgres://us%20er:p%40ss+w@[::1]:5433/data?sslmode=require&statement-cache-capacity=1");
        let want = [
            ("PGDATABASE", "data"),
            ("PGHOST", "::1"),
            ("PGPASSWORD", "p@ss+w"),
            ("PGPORT", "5433"),
            ("PGSSLMODE", "require"),
            ("PGUSER", "us er"),
        ];
        assert_eq!(found.unwrap(), want.map(|(name, value)| (name, value.to_owned())).into());
        let socket = variables("postgres://postgres@localhost/data?host=/run/pg").unwrap();
        assert_eq!(socket["PGHOST"], "/run/pg");
        let other = with_database("postgres://u@localhost/data?host=/run/pg&dbname=data", "other").unwrap();
        assert_eq!(variables(other.as_str()).unwrap()["PGDATABASE"], "other");
    }

    #[test]
    fn a_name_keeps_its_end_and_its_quotes() {
        assert_eq!(longer("data", "_aside"), "data_aside");
        let long = longer(&"ä".repeat(40), "_aside");
        assert!(long.len() <= LONGEST_NAME && long.ends_with("_aside"));
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
