//! Several nodes, which are processes of the real binary, on one database.

use std::sync::{Arc, Mutex};

use olmstead_postgres_cluster::{Cluster, Options, Shutdown};
use tokio::sync::watch;

use super::{
    Engine, Server,
    binary::Binary,
    engine::Place,
    proxy::Proxy,
    server::{Running, blocking},
};

/// Nodes behind a proxy, and the PostgreSQL that they alone use, so that it can be restarted.
pub(super) struct Nodes {
    // In this order they end.
    pub(super) proxy: Proxy,
    pub(super) binaries: Vec<Mutex<Binary>>,
    pub(super) starts: watch::Sender<u64>,
    cluster: Cluster,
}

impl Server {
    /// So many nodes on one database. The server's base is a proxy before them, which gives each request to the next;
    /// [`Server::node`] is one of them alone. `None`, and a line on standard error, with an engine that has one node.
    pub async fn nodes(count: usize) -> Option<Self> {
        if Engine::chosen() != Engine::Postgres || std::env::var("BLACKBOX_URL").is_ok() {
            eprintln!("left out: several nodes are tested on postgres only");
            return None;
        }
        let nodes = blocking(move || {
            let cluster = Cluster::start(&Options::default()).unwrap_or_else(|error| panic!("{error}"));
            let place = Arc::new(Place::in_cluster(&cluster.url("postgres")));
            let binaries: Vec<_> = (0..count).map(|_| Binary::olmstead(Arc::clone(&place))).collect();
            let proxy = Proxy::start(binaries.iter().map(|binary| binary.base().to_owned()).collect());
            let binaries = binaries.into_iter().map(Mutex::new).collect();
            Nodes { proxy, binaries, starts: watch::channel(0).0, cluster }
        });
        let server = Self::of(Arc::new(Running::Nodes(nodes.await)));
        // Together, as after a failure of the machine: the first to come sets the database up.
        futures_util::future::join_all((0..count).map(|node| server.restart_node(node))).await;
        Some(server)
    }

    /// The same server, reached through one of its nodes only.
    pub fn node(&self, node: usize) -> Self {
        let base = self.running().binary(node).base().to_owned();
        self.with_base(base)
    }

    /// Stops PostgreSQL as a crash would, and starts it again.
    pub async fn restart_database(&self) {
        let running = Arc::clone(self.running());
        blocking(move || running.nodes().cluster.restart(Shutdown::Immediate).unwrap_or_else(|e| panic!("{e}"))).await;
    }

    /// One-time keys that were given out twice, by whatever nodes.
    pub fn claimed_twice(&self) -> Vec<String> {
        self.running().nodes().proxy.claimed_twice()
    }

    /// Does the next harm to a server that can bear it, and tells which: kills a process and starts it again, each node
    /// in its turn; and once, in between, crashes the database of several nodes.
    pub async fn disturb(&self, turn: usize) -> String {
        match &**self.running() {
            Running::Nodes(_) if turn == 2 => {
                self.restart_database().await;
                "PostgreSQL crashed and is back".to_owned()
            }
            running => {
                let node = turn % running.size();
                self.kill_node(node).await;
                self.restart_node(node).await;
                format!("node {node} was killed and is back")
            }
        }
    }
}
