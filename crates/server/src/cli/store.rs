//! `olmstead backup` and `olmstead restore`

use std::{path::Path, time::Duration};

use olmstead::{Config, ServerError, backup, telemetry::start_log};

use super::progress::Progress;

/// How often the size of a backup is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// `olmstead backup`
pub(super) fn backup(file: Option<&Path>, directory: &Path) -> Result<(), ServerError> {
    let config = Config::load(file)?;
    start_log(&config.log, None)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let made = runtime.block_on(watched(directory, backup::backup(&config, directory)))?;
    let (name, engine, files, bytes) = (&made.server_name, made.engine.name(), made.files.len(), made.size());
    println!("Backup of {name} ({engine}) in {}: {files} files, {bytes} bytes.", directory.display());
    Ok(())
}

/// Tells on a terminal how much is written while a backup is made.
async fn watched<T>(directory: &Path, work: impl Future<Output = T>) -> T {
    let progress = Progress::start("MiB");
    let mut tick = tokio::time::interval(LOOK);
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = tick.tick() => progress.at(backup::written(directory) >> 20),
        }
    }
}

/// `olmstead restore`
pub(super) fn restore(file: Option<&Path>, directory: &Path) -> Result<(), ServerError> {
    let config = Config::load(file)?;
    start_log(&config.log, None)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let restored = runtime.block_on(backup::restore(&config, directory))?;
    println!("Restored {} from {}.", restored.backup.server_name, directory.display());
    if let Some(aside) = restored.aside {
        println!("What was there before is kept as {aside}.");
    }
    println!("One-time keys of before are not given out any more; clients upload new ones when they sync.");
    Ok(())
}
