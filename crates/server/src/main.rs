//! The binary `olmstead`.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use olmstead::{
    Config, ServerBuilder, ServerError,
    config::{Log, LogFormat, RegistrationMode},
};
use tokio::{net::TcpListener, signal::unix};
use tracing_subscriber::EnvFilter;

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
}

fn main() -> ExitCode {
    let Command::Serve { config } = Arguments::parse().command;
    match serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("olmstead: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(file: Option<PathBuf>) -> Result<(), ServerError> {
    let config = Config::load(file.as_deref())?;
    start_log(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // Before the store is open, so that an early signal is not lost.
        let stop = stop_signal()?;
        let mut listeners = Vec::new();
        for address in &config.listen {
            let listener = TcpListener::bind(address)
                .await
                .map_err(|error| ServerError::Config(format!("cannot listen on {address}: {error}")))?;
            listeners.push(listener);
        }
        let server = ServerBuilder::from_config(&config)?.build().await?;
        announce(&config, &listeners);
        server.serve_all(listeners, stop).await
    })
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

fn start_log(log: &Log) -> Result<(), ServerError> {
    // The authorisation rules tell of every event they allow; a setting that names them still has its way.
    let filter = EnvFilter::try_new(format!("ruma_state_res=warn,{}", log.filter))
        .map_err(|error| ServerError::Config(format!("log.filter is not right: {error}")))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log.format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
