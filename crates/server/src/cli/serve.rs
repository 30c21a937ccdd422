//! `olmstead serve`

use std::{path::Path, sync::Arc};

use olmstead::{
    Config, OperatorToken, ServerBuilder, ServerError, admin,
    config::RegistrationMode,
    telemetry::{Providers, start_log},
};
use tokio::{net::TcpListener, signal::unix};

/// `olmstead serve`
pub(super) fn serve(file: Option<&Path>) -> Result<(), ServerError> {
    let config = Config::load(file)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let providers = Arc::new(Providers::new(&config, runtime.handle().clone())?);
    start_log(&config.log, Some(&providers))?;
    olmstead::open_files::raise_limit();
    let ended = runtime.block_on(async {
        outlive_file_limit()?;
        // Before the store is open, so that an early signal is not lost.
        let stop = stop_signal()?;
        let listeners = listen(&config.listen).await?;
        let for_operators = listen(&config.admin.listen).await?;
        let server = ServerBuilder::from_config(&config)?.telemetry(providers.telemetry()).build().await?;
        let api = server.admin_router(&operators(&config));
        for listener in for_operators {
            // It ends with the process: what is measured can be read to the last.
            let router = admin::router(Arc::clone(&providers), api.clone());
            tokio::spawn(axum::serve(listener, router).into_future());
        }
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

fn operators(config: &Config) -> Vec<OperatorToken> {
    let tokens = config.admin.tokens.iter();
    tokens.map(|(name, token)| OperatorToken { name: name.clone(), token: token.clone() }).collect()
}

/// Says on standard output where the server is, and how one gets in.
fn announce(config: &Config, listeners: &[TcpListener]) {
    for address in listeners.iter().filter_map(|listener| listener.local_addr().ok()) {
        println!("Olmstead serves {} on http://{address}", config.server_name);
    }
    let how = match config.registration.mode {
        RegistrationMode::Open => "Registration is open: point a Matrix client at the address and create an account.",
        RegistrationMode::Token => {
            "Registration asks for a token: that of registration.token, or one made by an operator."
        }
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
