//! `olmstead backup` and `olmstead restore`

use std::path::Path;

use olmstead::{Config, ServerError, backup, telemetry::start_log};

/// `olmstead backup`
pub(super) fn backup(file: Option<&Path>, directory: &Path) -> Result<(), ServerError> {
    let config = Config::load(file)?;
    start_log(&config.log, None)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let made = runtime.block_on(backup::backup(&config, directory))?;
    let (name, engine, files, bytes) = (&made.server_name, made.engine.name(), made.files.len(), made.size());
    println!("Backup of {name} ({engine}) in {}: {files} files, {bytes} bytes.", directory.display());
    Ok(())
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
