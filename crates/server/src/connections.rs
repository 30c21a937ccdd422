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

use crate::first_bytes::FirstBytes;

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

/// How many connections there may be, and how long they may take.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    pub(crate) total: usize,
    pub(crate) per_address: usize,
    /// Whose number has no bound of its own.
    pub(crate) trusted: Vec<Network>,
    pub(crate) head: Duration,
    pub(crate) unread: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { total: usize::MAX, per_address: usize::MAX, trusted: Vec::new(), head: HEAD, unread: UNREAD }
    }
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
        server.http1().timer(TokioTimer::new()).header_read_timeout(self.bounds.head);
        server.http2().timer(TokioTimer::new()).keep_alive_interval(self.bounds.head).max_concurrent_streams(STREAMS);
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
            let mut stream = TimeoutStream::new(FirstBytes::within(self.bounds.head, stream));
            stream.set_write_timeout(Some(self.bounds.unread));
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        time::timeout,
    };

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);
    /// More than the buffers of a connection hold.
    const LARGE: usize = 64 << 20;

    /// A server with one large page, and a word when that is dropped.
    async fn serve(bounds: Bounds) -> (SocketAddr, watch::Receiver<usize>, watch::Sender<bool>) {
        struct Page(watch::Sender<usize>, Vec<u8>);
        impl AsRef<[u8]> for Page {
            fn as_ref(&self) -> &[u8] {
                &self.1
            }
        }
        impl Drop for Page {
            fn drop(&mut self) {
                self.0.send_modify(|dropped| *dropped += 1);
            }
        }
        let (dropped, drops) = watch::channel(0);
        let page = move || {
            let page = Page(dropped.clone(), vec![b'x'; LARGE]);
            async move { axum::body::Body::from(axum::body::Bytes::from_owner(page)) }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let router = Router::new().route("/", get(page));
        tokio::spawn(Arc::new(Connections::new(bounds)).serve(listener, router, stopping));
        (address, drops, stop)
    }

    #[tokio::test]
    async fn a_head_that_does_not_come_ends_the_connection() {
        let (address, _, _stop) = serve(Bounds { head: Duration::from_millis(50), ..Bounds::default() }).await;
        for begun in ["", "P", "PRI * HTTP/2", "GET / HTTP/1.1\r\nHost: example.org"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(begun.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            // Closed, or broken off: either way it ends.
            let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
            assert!(!answer.starts_with(b"HTTP/1.1 200"));
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_not_taken_is_dropped() {
        let bounds = Bounds { unread: Duration::from_millis(50), ..Bounds::default() };
        let (address, mut drops, _stop) = serve(bounds).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        timeout(PATIENCE, drops.wait_for(|dropped| *dropped == 1)).await.unwrap().unwrap();
        // It was not sent.
        let mut answer = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
        assert!(answer.len() < LARGE);
    }

    #[tokio::test]
    async fn beyond_the_total_one_waits_for_a_place() {
        let (address, _, _stop) = serve(Bounds { total: 1, ..Bounds::default() }).await;
        let ask = b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(ask).await.unwrap();
        let mut answer = [0; 12];
        timeout(PATIENCE, first.read_exact(&mut answer)).await.unwrap().unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(ask).await.unwrap();
        assert!(
            timeout(Duration::from_millis(200), second.read_exact(&mut answer)).await.is_err(),
            "there is one place"
        );
        drop(first);
        timeout(PATIENCE, second.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer, b"HTTP/1.1 404");
    }

    #[tokio::test]
    async fn a_trusted_proxy_has_as_many_as_it_likes() {
        let trusted = vec!["127.0.0.1".parse().unwrap()];
        let connections = Connections::new(Bounds { total: 10, per_address: 1, trusted, ..Bounds::default() });
        let place = |address: [u8; 4]| {
            let permit = Arc::clone(&connections.free).try_acquire_owned().unwrap();
            connections.place(permit, address.into())
        };
        let all = [place([127, 0, 0, 1]), place([127, 0, 0, 1]), place([10, 0, 0, 1])];
        assert!(all.iter().all(Option::is_some));
        assert!(place([10, 0, 0, 1]).is_none());
    }
}
