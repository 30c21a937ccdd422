//! A server to test.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::sync::watch;

use super::{
    Client, Engine,
    binary::{Binary, Special},
    deadline,
    engine::Place,
    in_process::InProcess,
    nodes::Nodes,
    unique, within,
};

/// A running server. Clones are the same server; it ends with the last one.
///
/// With `BLACKBOX_URL` all tests run against the server there, and those that must kill theirs are left out, unless
/// `BLACKBOX_COMMAND` starts it (a program that stays in the foreground).
#[derive(Clone)]
pub struct Server {
    base: String,
    http: reqwest::Client,
    running: Arc<Running>,
    /// Counts starts, so that who waits for a killed server hears of its return.
    starts: watch::Receiver<u64>,
    /// Counts requests that were sent again.
    repeats: Arc<AtomicU64>,
}

pub(super) enum Running {
    Elsewhere,
    InProcess(InProcess),
    Binary(Mutex<Binary>, watch::Sender<u64>),
    Nodes(Nodes),
}

static SHARED: Mutex<Weak<Running>> = Mutex::new(Weak::new());

impl Server {
    /// The server that tests share which only need users of their own. This is the cheap one.
    pub async fn shared() -> Self {
        if let Some(server) = Self::elsewhere() {
            return server;
        }
        let running = blocking(|| {
            let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if let Some(running) = shared.upgrade() {
                return running;
            }
            let running = Arc::new(Running::InProcess(usual()));
            *shared = Arc::downgrade(&running);
            running
        })
        .await;
        Self::of(running)
    }

    /// A server of the test's own, in this process, with an empty store.
    pub async fn start() -> Self {
        if let Some(server) = Self::elsewhere() {
            return server;
        }
        Self::of(blocking(|| Arc::new(Running::InProcess(usual()))).await)
    }

    /// A server of the test's own with settings of its own, and with rate limits unless these lift them. `None`, and a
    /// line on standard error, when the tests run against a server elsewhere.
    pub async fn with_settings(
        setting: impl FnOnce(olmstead::ServerBuilder) -> olmstead::ServerBuilder + Send + 'static,
    ) -> Option<Self> {
        if Self::elsewhere().is_some() {
            eprintln!("left out: the server at BLACKBOX_URL has its own settings");
            return None;
        }
        let start = move || Arc::new(Running::InProcess(InProcess::start(Engine::chosen(), Box::new(setting))));
        Some(Self::of(blocking(start).await))
    }

    /// A server of the test's own as a process that can be killed. `None`, and a line on standard error, when the tests
    /// run against a server that they cannot kill.
    pub async fn process() -> Option<Self> {
        let url = std::env::var("BLACKBOX_URL").ok();
        let binary = match (url, std::env::var("BLACKBOX_COMMAND").ok()) {
            (None, _) => blocking(|| Binary::olmstead(Arc::new(Place::new(Engine::chosen())))).await,
            (Some(url), Some(command)) => Binary::other(&command, &url),
            (Some(_), None) => {
                eprintln!("left out: the server at BLACKBOX_URL cannot be killed");
                return None;
            }
        };
        let (count, _) = watch::channel(0);
        let server = Self::of(Arc::new(Running::Binary(Mutex::new(binary), count)));
        server.restart().await;
        Some(server)
    }

    /// A process with its data at a place that the test keeps and with something of its own. `None` when the tests run
    /// against a server elsewhere.
    pub async fn special_process(place: Arc<Place>, special: Special) -> Option<Self> {
        if Self::elsewhere().is_some() {
            eprintln!("left out: the server at BLACKBOX_URL has its own settings");
            return None;
        }
        let binary = blocking(move || Binary::special(place, special)).await;
        let server = Self::of(Arc::new(Running::Binary(Mutex::new(binary), watch::channel(0).0)));
        server.restart().await;
        Some(server)
    }

    fn elsewhere() -> Option<Self> {
        std::env::var("BLACKBOX_URL").is_ok().then(|| Self::of(Arc::new(Running::Elsewhere)))
    }

    /// A server that the test itself runs, at this address.
    pub fn at(base: &str) -> Self {
        Self::with(base, watch::channel(0).1, Arc::new(Running::Elsewhere))
    }

    pub(super) fn of(running: Arc<Running>) -> Self {
        let (base, starts) = match &*running {
            Running::Elsewhere => (std::env::var("BLACKBOX_URL").expect("BLACKBOX_URL"), watch::channel(0).1),
            Running::InProcess(server) => (server.base(), watch::channel(0).1),
            Running::Binary(binary, count) => (binary.lock().unwrap().base().to_owned(), count.subscribe()),
            Running::Nodes(nodes) => (nodes.proxy.base(), nodes.starts.subscribe()),
        };
        Self::with(&base, starts, running)
    }

    fn with(base: &str, starts: watch::Receiver<u64>, running: Arc<Running>) -> Self {
        // A client of its own for every test: its connections live on the test's runtime.
        let http =
            reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().expect("an HTTP client");
        Self { base: base.trim_end_matches('/').to_owned(), http, running, starts, repeats: Arc::default() }
    }

    /// The base URL, without a slash at the end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The same server at another address.
    pub(super) fn with_base(&self, base: String) -> Self {
        Self { base, ..self.clone() }
    }

    pub(super) fn running(&self) -> &Arc<Running> {
        &self.running
    }

    pub(super) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// How many requests patient clients have sent again.
    pub fn repeats(&self) -> u64 {
        self.repeats.load(Ordering::Relaxed)
    }

    /// A request has to be sent again: completes when the server was started again, or after `time`.
    pub(super) async fn come_back(&self, time: Duration) {
        self.repeats.fetch_add(1, Ordering::Relaxed);
        let mut starts = self.starts.clone();
        starts.mark_unchanged();
        // Nobody may start it again: then only the time ends the wait.
        let change = async {
            if starts.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let _ = tokio::time::timeout(time, change).await;
    }

    /// Ends the process with SIGKILL, which it cannot hear coming, and waits until it is gone.
    pub async fn kill(&self) {
        self.kill_node(0).await;
    }

    /// Starts the process after [`Server::kill`], on the same data and port, and waits until it serves.
    pub async fn restart(&self) {
        self.restart_node(0).await;
    }

    /// [`Server::kill`] for one of several nodes.
    pub async fn kill_node(&self, node: usize) {
        let running = Arc::clone(&self.running);
        blocking(move || running.binary(node).kill()).await;
    }

    /// [`Server::restart`] for one of several nodes.
    pub async fn restart_node(&self, node: usize) {
        let running = Arc::clone(&self.running);
        let ready = blocking(move || {
            let mut binary = running.binary(node);
            binary.spawn();
            format!("{}{}", binary.base(), binary.ready_path())
        })
        .await;
        let started = async {
            let mut again = tokio::time::interval(Duration::from_millis(20));
            loop {
                again.tick().await;
                if let Some(status) = self.running.binary(node).ended() {
                    panic!("the server ended at once: {status}");
                }
                if self.http.get(&ready).send().await.is_ok_and(|response| response.status().is_success()) {
                    return;
                }
            }
        };
        within("the server serves", deadline().max(Duration::from_secs(60)), started).await;
        if let Running::Binary(_, starts) | Running::Nodes(Nodes { starts, .. }) = &*self.running {
            starts.send_modify(|count| *count += 1);
        }
    }

    /// A client that is not logged in.
    pub fn anonymous(&self) -> Client {
        Client::anonymous(self.clone())
    }

    /// Registers a user whose name begins with `name`, and logs a device in.
    pub async fn user(&self, name: &str) -> Client {
        self.anonymous().register(&format!("{name}-{}", unique()), &format!("DEV{}", unique().to_uppercase())).await
    }

    /// Several users at once.
    pub async fn users<const N: usize>(&self, names: [&str; N]) -> [Client; N] {
        let users = futures_util::future::join_all(names.iter().map(|name| self.user(name))).await;
        users.try_into().unwrap_or_else(|_| panic!("as many users as names"))
    }

    /// Whether the server answers at all.
    pub async fn versions(&self) -> serde_json::Value {
        self.anonymous().get("/_matrix/client/versions").await.ok()
    }

    /// The server's name, as its users' ids have it.
    pub async fn name(&self) -> String {
        let user = self.user("name").await;
        user.post("/logout", json!({})).await.ok();
        user.user_id().split_once(':').expect("a user id has a server name").1.to_owned()
    }
}

impl Running {
    pub(super) fn binary(&self, node: usize) -> MutexGuard<'_, Binary> {
        match self {
            Self::Binary(binary, _) if node == 0 => binary.lock().unwrap(),
            Self::Nodes(nodes) => nodes.binaries[node].lock().unwrap(),
            _ => panic!("only Server::process() and Server::nodes() can be killed and started again"),
        }
    }

    pub(super) fn nodes(&self) -> &Nodes {
        match self {
            Self::Nodes(nodes) => nodes,
            _ => panic!("only Server::nodes() has several nodes"),
        }
    }

    /// How many processes there are to kill.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Nodes(nodes) => nodes.binaries.len(),
            _ => 1,
        }
    }
}

/// A server as most tests want it.
fn usual() -> InProcess {
    InProcess::start(Engine::chosen(), Box::new(olmstead::ServerBuilder::without_limits))
}

/// Does what blocks, and passes on its panic.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
