//! What stands before several nodes: each request goes to the next one.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    response::Response,
};
use http::{HeaderMap, StatusCode, header, request::Parts};
use serde_json::Value;
use tokio::{net::TcpListener, sync::oneshot};

/// No test sends more in one request.
const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// Serves until it is dropped, on a thread of its own.
pub(super) struct Proxy {
    address: SocketAddr,
    balance: Arc<Balance>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// Whose turn it is, and what is worth knowing of the answers.
struct Balance {
    nodes: Vec<String>,
    turn: AtomicUsize,
    http: reqwest::Client,
    claims: Mutex<Claims>,
}

/// The one-time keys that were given out through the proxy.
#[derive(Default)]
struct Claims {
    seen: BTreeSet<String>,
    twice: Vec<String>,
}

impl Proxy {
    /// Before the nodes at these base URLs.
    pub(super) fn start(nodes: Vec<String>) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        let balance = Arc::new(Balance { nodes, turn: AtomicUsize::new(0), http, claims: Mutex::default() });
        let (ready, started) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let router = Router::new().fallback(forward).with_state(Arc::clone(&balance));
        let thread = thread::Builder::new().name("proxy".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            let runtime = runtime.expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                ready.send(listener.local_addr().expect("an address")).expect("a test that waits");
                tokio::select! {
                    served = axum::serve(listener, router) => served.expect("the proxy serves"),
                    _ = stopped => {}
                }
            });
            // Not waiting for what is open.
            runtime.shutdown_background();
        });
        let thread = Some(thread.expect("a thread"));
        let address = started.recv_timeout(Duration::from_secs(60)).expect("the proxy starts");
        Self { address, balance, stop: Some(stop), thread }
    }

    pub(super) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// One-time keys that came in the answers to two claims, whichever nodes gave them.
    pub(super) fn claimed_twice(&self) -> Vec<String> {
        self.balance.claims.lock().unwrap().twice.clone()
    }

    /// How many one-time keys came in answers to claims.
    pub(super) fn claimed(&self) -> usize {
        self.balance.claims.lock().unwrap().seen.len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// As load balancers do it: a node that cannot be reached is passed over; one that goes away with a request that it
/// may have begun is not the proxy's to judge, and the client is told.
async fn forward(State(balance): State<Arc<Balance>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else { return status(StatusCode::BAD_REQUEST) };
    for _ in 0..balance.nodes.len() {
        let turn = balance.turn.fetch_add(1, Ordering::Relaxed);
        let node = &balance.nodes[turn % balance.nodes.len()];
        let url = format!("{node}{}", parts.uri.path_and_query().map_or("/", |path| path.as_str()));
        let request = balance.http.request(parts.method.clone(), url).headers(passed_on(&parts.headers));
        match request.body(body.clone()).send().await {
            Err(error) if error.is_connect() => {}
            Err(_) => return status(StatusCode::BAD_GATEWAY),
            Ok(answer) => {
                let (code, headers) = (answer.status(), passed_on(answer.headers()));
                let Ok(bytes) = answer.bytes().await else { return status(StatusCode::BAD_GATEWAY) };
                balance.look(&parts, code, &bytes);
                let mut response = Response::new(Body::from(bytes));
                *response.status_mut() = code;
                *response.headers_mut() = headers;
                return response;
            }
        }
    }
    status(StatusCode::SERVICE_UNAVAILABLE)
}

impl Balance {
    fn look(&self, parts: &Parts, status: StatusCode, body: &[u8]) {
        if status != StatusCode::OK || !parts.uri.path().ends_with("/keys/claim") {
            return;
        }
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut claims = self.claims.lock().unwrap();
        for (user, devices) in answer["one_time_keys"].as_object().into_iter().flatten() {
            for (device, keys) in devices.as_object().into_iter().flatten() {
                for (key, value) in keys.as_object().into_iter().flatten() {
                    let name = format!("{user} {device} {key}");
                    // A fallback key may be given again and again.
                    if value["fallback"] != true && !claims.seen.insert(name.clone()) {
                        claims.twice.push(name);
                    }
                }
            }
        }
    }
}

fn status(code: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = code;
    response
}

/// All but what is about one connection only.
fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in [header::CONNECTION, header::CONTENT_LENGTH, header::HOST, header::TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers
}
