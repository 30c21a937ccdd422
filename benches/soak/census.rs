//! How large the store is, and how many rows of which table are in it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions};
use tempfile::TempDir;

use crate::{Options, tally::Tally};

/// A census while files come and go may have to begin again.
const TRIES: usize = 5;

/// Bytes on disk.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Size {
    pub(crate) tables: u64,
    pub(crate) logs: u64,
}

/// The rows of each table at a moment: how many, and their bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Census {
    /// Since the load began.
    pub(crate) minutes: f64,
    /// Devices that came until then.
    pub(crate) visits: u64,
    /// Events until then.
    pub(crate) events: u64,
    /// Messages to devices until then.
    pub(crate) messages: u64,
    pub(crate) tables: BTreeMap<String, (u64, u64)>,
}

/// The server's store, seen from outside.
pub(crate) enum Store {
    Directory { path: PathBuf, notes: TempDir },
    Database(PgPool),
}

impl Store {
    /// # Errors
    /// If the database cannot be reached.
    pub(crate) async fn new(options: &Options) -> Result<Self, String> {
        if let Some(path) = &options.directory {
            return Ok(Self::Directory {
                path: path.clone(),
                notes: TempDir::new().map_err(|error| format!("no directory: {error}"))?,
            });
        }
        let url = options.database.clone().unwrap_or_default();
        let pool = PgPoolOptions::new().max_connections(1).connect(&url).await;
        pool.map(Self::Database).map_err(|error| format!("the database: {error}"))
    }

    /// # Errors
    /// If it cannot be measured.
    pub(crate) async fn size(&self) -> Result<Size, String> {
        match self {
            Self::Directory { path, .. } => {
                let mut size = Size::default();
                add_files(path, &mut size);
                Ok(size)
            }
            Self::Database(pool) => {
                let bytes: Result<i64, _> =
                    sqlx::query_scalar("SELECT pg_database_size(current_database())").fetch_one(pool).await;
                let bytes = bytes.map_err(|error| format!("the size of the database: {error}"))?;
                Ok(Size { tables: u64::try_from(bytes).unwrap_or_default(), logs: 0 })
            }
        }
    }

    /// Counts all rows.
    ///
    /// # Errors
    /// If they cannot be counted.
    pub(crate) async fn count(&self, since: Duration, tally: &Arc<Tally>) -> Result<Census, String> {
        let tables = match self {
            Self::Directory { path, notes } => {
                let (path, notes) = (path.clone(), notes.path().to_owned());
                let counted = tokio::task::spawn_blocking(move || of_directory(&path, &notes)).await;
                counted.map_err(|error| format!("the census: {error}"))??
            }
            Self::Database(pool) => of_database(pool).await.map_err(|error| format!("the census: {error}"))?,
        };
        Ok(Census {
            minutes: since.as_secs_f64() / 60.0,
            visits: tally.visits.load(Ordering::Relaxed),
            events: tally.events.load(Ordering::Relaxed),
            messages: tally.messages.load(Ordering::Relaxed),
            tables,
        })
    }
}

/// Files may go while they are looked at.
fn add_files(directory: &Path, size: &mut Size) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let Ok(facts) = entry.metadata() else { continue };
        if facts.is_dir() {
            add_files(&entry.path(), size);
            continue;
        }
        let is_table = entry.path().extension().is_some_and(|ending| ending == "sst" || ending == "blob");
        *(if is_table { &mut size.tables } else { &mut size.logs }) += facts.len();
    }
}

/// Counts in a process of its own: what RocksDB makes of a store that is being written to must not end the soak.
fn of_directory(path: &Path, notes: &Path) -> Result<BTreeMap<String, (u64, u64)>, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let mut tries = 0;
    loop {
        tries += 1;
        let ran = Command::new(&program).arg(COUNT).args([path, notes]).output();
        let ran = ran.map_err(|error| format!("the census: {error}"))?;
        if ran.status.success() {
            return parse(&String::from_utf8_lossy(&ran.stdout));
        }
        if tries == TRIES {
            return Err(format!("the census: {}: {}", ran.status, String::from_utf8_lossy(&ran.stderr)));
        }
    }
}

/// The argument by which this program counts the rows of a directory and ends.
pub(crate) const COUNT: &str = "--count";

/// Counts the rows of a directory and prints a line for each table.
pub(crate) fn count(path: &Path, notes: &Path) -> Result<(), String> {
    for rows in olmstead_rocksdb::census(path, notes).map_err(|error| format!("{error:?}"))? {
        println!("{} {} {}", rows.table, rows.rows, rows.bytes);
    }
    Ok(())
}

fn parse(lines: &str) -> Result<BTreeMap<String, (u64, u64)>, String> {
    let row = |line: &str| {
        let mut words = line.split(' ');
        let (table, rows, bytes) = (words.next()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some((table.to_owned(), (rows, bytes)))
    };
    lines.lines().map(row).collect::<Option<_>>().ok_or_else(|| format!("the census: {lines}"))
}

/// The bytes are those of the tables and indexes on disk, so with what a vacuum has not reused yet.
async fn of_database(pool: &PgPool) -> Result<BTreeMap<String, (u64, u64)>, sqlx::Error> {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
    )
    .fetch_all(pool)
    .await?;
    let mut tables = BTreeMap::new();
    for name in names {
        // The name is that of a table.
        let query = format!("SELECT count(*), pg_total_relation_size('\"{name}\"') FROM \"{name}\"");
        let (rows, bytes): (i64, i64) = sqlx::query_as(AssertSqlSafe(query)).fetch_one(pool).await?;
        tables.insert(name, (u64::try_from(rows).unwrap_or_default(), u64::try_from(bytes).unwrap_or_default()));
    }
    Ok(tables)
}

/// All counts, a line for each table at each moment.
pub(crate) fn csv(censuses: &[Census]) -> String {
    let mut text = String::from("minutes,visits,events,messages,table,rows,bytes\n");
    for census in censuses {
        for (table, (rows, bytes)) in &census.tables {
            text.push_str(&format!(
                "{:.3},{},{},{},{table},{rows},{bytes}\n",
                census.minutes, census.visits, census.events, census.messages
            ));
        }
    }
    text
}
