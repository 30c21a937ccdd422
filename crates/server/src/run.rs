//! A running server.

use std::{
    future::Future,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::Router;
use olmstead_http::{HttpConfig, admin::OperatorToken};
use olmstead_service::{Context, tailer};
use olmstead_storage::StorageError;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    ServerBuilder, ServerError,
    backup::control,
    connections::{Bounds, Connections},
};

/// How long open requests may take to end after a stop is asked for.
const STOP_DEADLINE: Duration = Duration::from_secs(20);
/// How often ended short-lived values are swept.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// How a server ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending {
    /// How long it serves on while it says that it is about to stop.
    pub(crate) drain: Duration,
    /// Whether the store is its own to close.
    pub(crate) closes_store: bool,
}

/// One homeserver, or one node of it. Mount [`Server::router`] in a program of your own, or let [`Server::serve`] do it. Call
/// [`Server::stop`] at the end.
pub struct Server {
    cx: Arc<Context>,
    router: Router,
    ending: Ending,
    bounds: Bounds,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Server {
    /// Begins a server with this name in its user ids.
    pub fn builder(server_name: impl Into<String>) -> ServerBuilder {
        ServerBuilder::new(server_name)
    }

    /// Starts the background work; with `control`, a directory, orders are taken by a socket in it.
    pub(crate) fn start(
        cx: Arc<Context>,
        config: HttpConfig,
        ending: Ending,
        bounds: Bounds,
        control: Option<&Path>,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = vec![
            tokio::spawn(tailer::run(Arc::clone(&cx), stopped.clone())),
            tokio::spawn(sweep(Arc::clone(&cx), stopped.clone())),
        ];
        match control.map(control::listen) {
            Some(Ok(listener)) => {
                tasks.push(tokio::spawn(control::serve(Arc::clone(&cx.storage), listener, stopped)));
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "there is no control socket: `olmstead backup` works only while the server is stopped");
            }
            None => {}
        }
        let router = olmstead_http::router(Arc::clone(&cx), config);
        Self { cx, router, ending, bounds, stop, tasks: Mutex::new(tasks) }
    }

    /// All routes of the server, to be mounted at the root.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// The admin API for these operators, to be served where no client reaches it.
    pub fn admin_router(&self, operators: &[OperatorToken]) -> Router {
        olmstead_http::admin::router(Arc::clone(&self.cx), operators)
    }

    /// Serves connections until `shutdown` completes. Then `GET /health` says 503, and after the time of
    /// [`ServerBuilder::drain`] what is open is answered, waiting long-polls at once, and the store is closed if the server
    /// opened it.
    ///
    /// # Errors
    /// [`ServerError::Io`] when the listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServerError> {
        self.serve_all(vec![listener], shutdown).await
    }

    /// [`Server::serve`] on several addresses.
    ///
    /// # Errors
    /// [`ServerError::Io`] when a listener fails; [`ServerError::StoreFailed`] when the store has, after what was open was
    /// answered.
    pub async fn serve_all(
        self,
        listeners: Vec<TcpListener>,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServerError> {
        let (begin, begun) = watch::channel(false);
        let (cx, drain) = (Arc::clone(&self.cx), self.ending.drain);
        let begin = Arc::new(begin);
        let begins = Arc::clone(&begin);
        let signal = tokio::spawn(async move {
            shutdown.await;
            cx.leave();
            if !drain.is_zero() {
                tokio::time::sleep(drain).await;
            }
            // Not before: a client whose long-poll is answered at once comes back at once, and maybe to this node.
            cx.notifier.close();
            begins.send_replace(true);
        });
        let failed = fail(Arc::clone(&self.cx), begin);
        let mut failed = std::pin::pin!(failed);
        let (mut has_failed, mut is_late) = (false, false);
        let connections = Arc::new(Connections::new(self.bounds.clone()));
        let mut serving = tokio::task::JoinSet::new();
        for listener in listeners {
            serving.spawn(Arc::clone(&connections).serve(listener, self.router(), begun.clone()));
        }
        let mut deadline = std::pin::pin!(async {
            wait_for(begun).await;
            tokio::time::sleep(STOP_DEADLINE).await;
        });
        let mut outcome = Ok(());
        loop {
            tokio::select! {
                ended = serving.join_next() => match ended {
                    None => break,
                    Some(Ok(())) => {}
                    Some(Err(error)) if error.is_cancelled() => {}
                    Some(Err(error)) => outcome = Err(ServerError::Io(std::io::Error::other(error))),
                },
                how = &mut failed, if !has_failed => {
                    has_failed = true;
                    outcome = Err(ServerError::StoreFailed(how));
                }
                () = &mut deadline, if !is_late => {
                    is_late = true;
                    tracing::warn!("some requests did not end in time; stopping without them");
                    serving.abort_all();
                }
            }
        }
        signal.abort();
        let stopped = self.stop().await;
        outcome?;
        stopped
    }

    /// Ends background work and closes the store, if the server opened it. Requests that come later fail.
    ///
    /// # Errors
    /// [`ServerError::Storage`] when what was not yet durable could not be written.
    pub async fn stop(&self) -> Result<(), ServerError> {
        self.cx.leave();
        self.cx.notifier.close();
        self.stop.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a background task broke");
            }
        }
        if self.ending.closes_store {
            self.cx.storage.close().await?;
        }
        Ok(())
    }
}

/// When the store has failed, begins the end: what is open is answered, long-polls at once, and nothing more is accepted.
/// What is in memory and not on disk must not be served for long.
async fn fail(cx: Arc<Context>, begin: Arc<watch::Sender<bool>>) -> String {
    let how = cx.storage.failed().await;
    tracing::error!(error = how, "the store failed; the server ends");
    cx.leave();
    cx.notifier.close();
    begin.send_replace(true);
    how
}

/// Completes when the flag is set or its owner is gone.
async fn wait_for(mut flag: watch::Receiver<bool>) {
    // An error means that the sender is gone, which ends the wait too.
    let _ = flag.wait_for(|set| *set).await;
}

/// Forgets what has ended, now and then: all of it, since the store does a bounded number at a time. All nodes do, and what
/// one has forgotten is gone for the others.
async fn sweep(cx: Arc<Context>, stopped: watch::Receiver<bool>) {
    let mut stopping = std::pin::pin!(wait_for(stopped));
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let swept = async {
                    while cx.storage.expire_short_lived(cx.now()).await? > 0 {}
                    Ok::<_, StorageError>(())
                };
                if let Err(error) = swept.await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "could not sweep ended values");
                }
            }
            () = &mut stopping => return,
        }
    }
}
