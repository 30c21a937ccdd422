//! Accepting connections, within bounds.
//!
//! A connection costs memory and a file descriptor before anybody says who they are. So there is an end to how many there
//! are, in all and from one address, to how long a request may take to begin, and to how long a client may leave an answer
//! unread. Connections from a proxy that the operator trusts are as many as it likes: it has bounds of its own.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, extract::ConnectInfo, http::Request};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use olmstead_http::Network;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep},
};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt as _;

/// How long the head of a request may take, and how long a connection may be kept without one.
const HEAD: Duration = Duration::from_secs(75);
/// How long a client may take nothing of an answer.
const UNREAD: Duration = Duration::from_secs(60);
/// Between two attempts to accept when the machine has no room for another connection.
const BREATH: Duration = Duration::from_millis(250);
/// Requests of one HTTP/2 connection at once.
const STREAMS: u32 = 200;
/// How often it is said that there are too many connections.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// How many connections there may be.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    pub(crate) total: usize,
    pub(crate) per_address: usize,
    /// Whose number has no bound of its own.
    pub(crate) trusted: Vec<Network>,
}

/// The connections of a server, on all its addresses.
pub(crate) struct Connections {
    free: Arc<Semaphore>,
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
    bounds: Bounds,
    said: Mutex<Option<Instant>>,
}

/// A place among the connections, given back when dropped.
struct Place {
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
    address: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

impl Connections {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let free = Arc::new(Semaphore::new(bounds.total.min(Semaphore::MAX_PERMITS)));
        Self { free, by_address: Arc::default(), bounds, said: Mutex::new(None) }
    }

    /// A place for a connection from an address; `None` if that has enough of them.
    fn place(&self, permit: OwnedSemaphorePermit, address: IpAddr) -> Option<Place> {
        let mut counts = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        let is_trusted = || self.bounds.trusted.iter().any(|network| network.contains(address));
        if *count >= self.bounds.per_address && !is_trusted() {
            return None;
        }
        *count += 1;
        Some(Place { by_address: Arc::clone(&self.by_address), address, _permit: permit })
    }

    fn say(&self, what: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|at| at.elapsed() > SAID_EVERY) {
            *said = Some(Instant::now());
            tracing::warn!("{what}");
        }
    }

    async fn accept(&self, listener: &TcpListener) -> (TcpStream, SocketAddr, Place) {
        loop {
            let permit = match Arc::clone(&self.free).try_acquire_owned() {
                Ok(permit) => permit,
                Err(_) => {
                    self.say("there are as many connections as limits.connections or the system's limit of open files allows; others wait");
                    match Arc::clone(&self.free).acquire_owned().await {
                        Ok(permit) => permit,
                        // It is never closed.
                        Err(_) => std::future::pending().await,
                    }
                }
            };
            match listener.accept().await {
                Ok((stream, peer)) => match self.place(permit, peer.ip().to_canonical()) {
                    Some(place) => return (stream, peer, place),
                    None => self.say(&format!(
                        "{} has as many connections as limits.connections_per_address allows; if it is a proxy, \
                         name it in trusted_proxies",
                        peer.ip()
                    )),
                },
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    self.say(&format!("cannot accept connections now: {error}"));
                    sleep(BREATH).await;
                }
            }
        }
    }

    /// Serves what comes to a listener until `stopping` is set, then answers what is open.
    pub(crate) async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        router: Router,
        mut stopping: watch::Receiver<bool>,
    ) {
        let mut server = auto::Builder::new(TokioExecutor::new());
        server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
        server.http2().timer(TokioTimer::new()).keep_alive_interval(HEAD).max_concurrent_streams(STREAMS);
        let graceful = GracefulShutdown::new();
        let mut stop = std::pin::pin!(async move {
            // An error means that the sender is gone, which ends the service too.
            let _ = stopping.wait_for(|set| *set).await;
        });
        loop {
            let (stream, peer, place) = tokio::select! {
                accepted = self.accept(&listener) => accepted,
                () = &mut stop => break,
            };
            // Answers are small and wanted at once.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::trace!(%error, "cannot set TCP_NODELAY");
            }
            let mut stream = TimeoutStream::new(stream);
            stream.set_write_timeout(Some(UNREAD));
            let service = router.clone().map_request(move |mut request: Request<hyper::body::Incoming>| {
                request.extensions_mut().insert(ConnectInfo(peer));
                request
            });
            let io = TokioIo::new(Box::pin(stream));
            let connection = server.serve_connection(io, TowerToHyperService::new(service)).into_owned();
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::trace!(error = &*error as &dyn std::error::Error, "a connection broke");
                }
                drop(place);
            });
        }
        drop(listener);
        graceful.shutdown().await;
    }
}

/// Whether only this one connection failed to come about.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionRefused | Kind::ConnectionAborted | Kind::ConnectionReset)
}
