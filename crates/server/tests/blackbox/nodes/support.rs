//! Nodes in this process: several servers on one store, as several processes would be.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, atomic::AtomicBool, mpsc},
    thread,
    time::Duration,
};

use olmstead_domain::rooms::signing::ServerKey;
use olmstead_http::HttpConfig;
use olmstead_service::{
    Context, RegistrationMode, ServiceConfig, caches::Caches, census::Statistics, keys::ClaimBudget,
    notifier::Notifier, to_device::MessageBudget,
};
use olmstead_storage::SharedStorage;
use olmstead_telemetry::Telemetry;
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};

use crate::harness::{Clock, Engine, Place, Server, deadline, within};

/// How nodes are.
#[derive(Clone)]
pub(super) struct Plan {
    count: usize,
    deaf: bool,
    limits: bool,
    drain: Duration,
    without_sliding_sync: bool,
    /// All nodes have the same.
    clock: Arc<Clock>,
}

impl Plan {
    /// So many ordinary nodes.
    pub(super) fn nodes(count: usize) -> Self {
        let drain = Duration::ZERO;
        Self { count, deaf: false, limits: false, drain, without_sliding_sync: false, clock: Arc::default() }
    }

    /// Nodes that hear of no change, as if the next look of each at the stream was always still to come. What they answer
    /// must be right all the same; only long-polls are not woken.
    pub(super) fn deaf(count: usize) -> Self {
        Self { deaf: true, ..Self::nodes(count) }
    }

    /// With rate limits.
    pub(super) fn with_limits(self) -> Self {
        Self { limits: true, ..self }
    }

    /// With a time to serve on after being asked to stop.
    pub(super) fn draining_for(self, drain: Duration) -> Self {
        Self { drain, ..self }
    }

    /// With sliding sync turned off.
    pub(super) fn without_sliding_sync(self) -> Self {
        Self { without_sliding_sync: true, ..self }
    }

    /// Starts them; `None`, and a line on standard error, when the tests run against a server elsewhere.
    pub(super) async fn start(self) -> Option<Nodes> {
        if std::env::var("BLACKBOX_URL").is_ok() {
            eprintln!("left out: the server at BLACKBOX_URL is not ours to start several of");
            return None;
        }
        Some(tokio::task::spawn_blocking(move || Nodes::run(&self)).await.expect("the nodes start"))
    }
}

/// How a node is asked to stop, and what it says when it has.
struct End {
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

/// Running nodes, on a thread and a runtime of their own.
pub(super) struct Nodes {
    servers: Vec<Server>,
    ends: Mutex<Vec<Option<End>>>,
    stores: Vec<SharedStorage>,
    clock: Arc<Clock>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Nodes {
    fn run(plan: &Plan) -> Self {
        let (ready, started) = mpsc::channel();
        let (mut ends, mut stopped) = (Vec::new(), Vec::new());
        for _ in 0..plan.count {
            let (stop, stopping) = oneshot::channel();
            let (end, ended) = oneshot::channel();
            ends.push(Some(End { stop, ended }));
            stopped.push((stopping, end));
        }
        let plan_of_thread = plan.clone();
        let thread = thread::Builder::new().name("nodes".to_owned()).spawn(move || {
            let plan = plan_of_thread;
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
            let place = Place::new(Engine::chosen());
            runtime.block_on(async {
                let storage = place.open(None).await;
                let mut stores: Vec<SharedStorage> = Vec::new();
                let mut addresses = Vec::new();
                let mut serving = JoinSet::new();
                for (stopping, end) in stopped {
                    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                    addresses.push(listener.local_addr().expect("an address"));
                    // Each node has a store of its own, if the engine can do that.
                    let store = if addresses.len() > 1 { place.open(Some(&storage)).await } else { storage.clone() };
                    let serve = serve(&plan, &store, listener, stopping).await;
                    stores.push(store);
                    serving.spawn(async move {
                        serve.await;
                        // Nobody may wait for it.
                        let _ = end.send(());
                    });
                }
                ready.send((stores.clone(), addresses)).expect("a test that waits");
                while let Some(ended) = serving.join_next().await {
                    ended.expect("a node ends well");
                }
                for store in stores {
                    store.close().await.expect("the store is closed");
                }
            });
        });
        let thread = thread.expect("a thread");
        let (stores, addresses): (Vec<SharedStorage>, Vec<SocketAddr>) =
            started.recv_timeout(Duration::from_secs(60)).expect("the nodes start");
        Self {
            servers: addresses.iter().map(|address| Server::at(&format!("http://{address}"))).collect(),
            ends: Mutex::new(ends),
            stores,
            clock: Arc::clone(&plan.clock),
            thread: Some(thread),
        }
    }

    /// All nodes.
    pub(super) fn all(&self) -> &[Server] {
        &self.servers
    }

    /// The first two nodes.
    pub(super) fn two(&self) -> (&Server, &Server) {
        match self.servers.as_slice() {
            [a, b, ..] => (a, b),
            _ => panic!("fewer than two nodes"),
        }
    }

    /// The store of each.
    pub(super) fn stores(&self) -> &[SharedStorage] {
        &self.stores
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Takes the store away from all of them.
    pub(super) async fn close_stores(&self) {
        for store in &self.stores {
            store.close().await.expect("the store is closed");
        }
    }

    /// Asks a node to stop, as SIGTERM does. What is returned completes when it has.
    pub(super) fn stop(&self, index: usize) -> impl Future<Output = ()> + use<> {
        let End { stop, ended } = self.ends.lock().unwrap()[index].take().expect("a node that was not stopped before");
        stop.send(()).expect("a node that runs");
        async move { within("the node ends", deadline(), ended).await.expect("the node ends well") }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for end in self.ends.lock().unwrap().iter_mut().filter_map(Option::take) {
            let _ = end.stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !thread::panicking() {
                ended.expect("the nodes end without a panic");
            }
        }
    }
}

/// A node; what is returned completes when it was stopped and has ended.
async fn serve(
    plan: &Plan,
    storage: &SharedStorage,
    listener: TcpListener,
    stopping: oneshot::Receiver<()>,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let stop = async move {
        let _ = stopping.await;
    };
    if plan.deaf {
        let http = HttpConfig { limits_enabled: plan.limits, trusted_proxies: Vec::new() };
        let router = olmstead_http::router(Arc::new(deaf(plan, storage).await), http);
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        return Box::pin(async move {
            axum::serve(listener, service).with_graceful_shutdown(stop).await.expect("a server");
        });
    }
    let mut builder = olmstead::Server::builder("localhost")
        .storage(storage.clone())
        .open_registration()
        .environment(plan.clock.clone())
        .drain(plan.drain);
    if !plan.limits {
        builder = builder.without_limits();
    }
    if plan.without_sliding_sync {
        builder = builder.without_sliding_sync();
    }
    let server = builder.build().await.expect("a node");
    Box::pin(async move { server.serve(listener, stop).await.expect("a node ends well") })
}

/// What a node works with, of which no tailer takes care.
async fn deaf(plan: &Plan, storage: &SharedStorage) -> Context {
    let mut config = ServiceConfig::new("localhost".try_into().expect("a name"));
    config.registration = RegistrationMode::Open;
    config.limit_wrong_passwords = plan.limits;
    let (seed, version) = storage.signing_key(([7; 32], "a1".to_owned())).await.expect("a key");
    Context {
        storage: storage.clone(),
        server_key: ServerKey::from_seed(config.server_name.clone(), &seed, &version).expect("a key"),
        config,
        environment: plan.clock.clone(),
        notifier: Notifier::default(),
        caches: Caches::default(),
        hashing: tokio::sync::Semaphore::new(2),
        claim_budget: ClaimBudget::new(plan.limits),
        message_budget: MessageBudget::new(plan.limits),
        leaving: AtomicBool::new(false),
        telemetry: Telemetry::none(),
        statistics: Statistics::default(),
    }
}
