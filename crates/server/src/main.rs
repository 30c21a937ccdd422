//! The binary `olmstead`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::{Parser, Subcommand};
use olmstead::{
    Config, ServerBuilder, ServerError, admin, backup,
    config::RegistrationMode,
    telemetry::{Providers, start_log},
};
use tokio::{net::TcpListener, signal::unix};

/// Gives memory back that is not used any more; with the usual allocator a server that has hashed passwords keeps
/// hundreds of megabytes. RocksDB's memory comes from it, too. Embedders choose their own.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A Matrix homeserver whose heart is end-to-end encryption.
#[derive(Debug, Parser)]
#[command(name = "olmstead", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    ///
    /// Settings come from the file, and from environment variables over it: OLMSTEAD_SERVER_NAME,
    /// OLMSTEAD_STORAGE__PATH and so on; two underscores step into a section.
    Serve {
        /// A TOML file.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Copy the store of a server, which may be running, into a new directory.
    ///
    /// Settings are read as by `serve`. For PostgreSQL, pg_dump must be installed.
    Backup {
        /// A TOML file.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The directory, which must not be there yet.
        directory: PathBuf,
    },
    /// Put a backup in the place of the store of a server that is stopped.
    ///
    /// Settings are read as by `serve`. The store from before is kept under another name. For PostgreSQL, pg_restore must be
    /// installed, and the role needs CREATEDB.
    Restore {
        /// A TOML file.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The directory that `olmstead backup` wrote.
        directory: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Serve { config } => serve(config),
        Command::Backup { config, directory } => make_backup(config, &directory),
        Command::Restore { config, directory } => restore(config, &directory),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("olmstead: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(file: Option<PathBuf>) -> Result<(), ServerError> {
    let config = Config::load(file.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let providers = Arc::new(Providers::new(&config, runtime.handle().clone())?);
    start_log(&config.log, Some(&providers))?;
    olmstead::open_files::raise_limit();
    let ended = runtime.block_on(async {
        outlive_file_limit()?;
        // Before the store is open, so that an early signal is not lost.
        let stop = stop_signal()?;
        let listeners = listen(&config.listen).await?;
        for listener in listen(&config.admin.listen).await? {
            // It ends with the process: what is measured can be read to the last.
            tokio::spawn(axum::serve(listener, admin::router(Arc::clone(&providers))).into_future());
        }
        let server = ServerBuilder::from_config(&config)?.telemetry(providers.telemetry()).build().await?;
        announce(&config, &listeners);
        server.serve_all(listeners, stop).await
    });
    // The runtime is still there, which sends it.
    providers.end();
    ended
}

async fn listen(addresses: &[String]) -> Result<Vec<TcpListener>, ServerError> {
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| ServerError::Config(format!("cannot listen on {address}: {error}")))?;
        listeners.push(listener);
    }
    Ok(listeners)
}

fn make_backup(file: Option<PathBuf>, directory: &Path) -> Result<(), ServerError> {
    let config = Config::load(file.as_deref())?;
    start_log(&config.log, None)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let made = runtime.block_on(backup::backup(&config, directory))?;
    let (name, engine, files, bytes) = (&made.server_name, made.engine.name(), made.files.len(), made.size());
    println!("Backup of {name} ({engine}) in {}: {files} files, {bytes} bytes.", directory.display());
    Ok(())
}

fn restore(file: Option<PathBuf>, directory: &Path) -> Result<(), ServerError> {
    let config = Config::load(file.as_deref())?;
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

/// Says on standard output where the server is, and how one gets in.
fn announce(config: &Config, listeners: &[TcpListener]) {
    for address in listeners.iter().filter_map(|listener| listener.local_addr().ok()) {
        println!("Olmstead serves {} on http://{address}", config.server_name);
    }
    let how = match config.registration.mode {
        RegistrationMode::Open => "Registration is open: point a Matrix client at the address and create an account.",
        RegistrationMode::Token => "Registration asks for the token in registration.token.",
        RegistrationMode::Closed => "Registration is closed (registration.mode).",
    };
    println!("{how}");
}

/// Completes at the first SIGTERM or SIGINT.
fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, ServerError> {
    let mut terminate = unix::signal(unix::SignalKind::terminate())?;
    let mut interrupt = unix::signal(unix::SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
    })
}

/// A write beyond the limit of a file's size (`ulimit -f`) is then an error like any other of the disk, and not the end of
/// the process without a word.
fn outlive_file_limit() -> Result<(), ServerError> {
    let signal = rustix::process::Signal::XFSZ.as_raw();
    // The handler stays for the life of the process.
    unix::signal(unix::SignalKind::from_raw(signal)).map(drop).map_err(ServerError::Io)
}
