//! Backups of PostgreSQL, by its own programs.

use std::{io, path::Path};

use olmstead_postgres::backup as database;
use olmstead_storage::maintenance::StoreFacts;

use super::{BackupError, Manifest, error::broken, is_of};
use crate::{Config, config::Secret};

/// The dump in a backup.
const DUMP: &str = "database.dump";

/// Lets `pg_dump` copy the database.
pub(super) async fn copy(config: &Config, backup: &Path) -> Result<StoreFacts, BackupError> {
    let url = url(config);
    let facts = database::facts(url).await?;
    database::dump(url, &backup.join(DUMP)).await?;
    Ok(facts)
}

/// Lets `pg_restore` fill a new database, which takes the name of the old one.
pub(super) async fn restore(
    config: &Config,
    backup: &Manifest,
    directory: &Path,
    suffix: u64,
) -> Result<(StoreFacts, Option<String>), BackupError> {
    let (manifest, from) = (backup.clone(), directory.to_owned());
    let check = move || manifest.files.iter().try_for_each(|entry| entry.check(&from, &mut io::sink()));
    tokio::task::spawn_blocking(check).await.map_err(broken)??;
    if !backup.files.iter().any(|entry| entry.path == Path::new(DUMP)) {
        return Err(BackupError::Damaged { file: directory.join(DUMP), what: "is missing".to_owned() });
    }
    let is_right = |facts: &StoreFacts| is_of(facts, backup);
    let restored = database::restore(url(config), &directory.join(DUMP), &suffix.to_string(), is_right).await?;
    Ok((restored.facts, restored.aside))
}

/// The database; a configuration without one was refused when it was read.
fn url(config: &Config) -> &str {
    config.storage.url.as_ref().map_or("", Secret::reveal)
}
