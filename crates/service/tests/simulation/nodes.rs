//! Nodes: each with the real context, tailer and notifier, over the one store. They die and are started anew.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use olmstead_domain::rooms::signing::ServerKey;
use olmstead_service::{
    Context, Environment, ServiceConfig, caches::Caches, census::Statistics, keys::ClaimBudget, notifier::Notifier,
    tailer, to_device::MessageBudget,
};
use parking_lot::Mutex;
use tokio::{
    sync::{Semaphore, watch},
    task::AbortHandle,
};

use crate::{
    chance::{ACTOR, Actor, Clock, mix},
    node_store::NodeStore,
    store::World,
};

/// How many there are when all live.
pub(crate) const NODES: usize = 3;
/// The actors of their tailers, after those of the clients.
const TAILERS: u64 = 6;

/// The time of the run, and nothing that is random.
struct Simulated(Clock);

impl Environment for Simulated {
    fn now(&self) -> u64 {
        1_700_000_000_000 + self.0.now()
    }

    fn random(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}

/// One life of a node.
struct Node {
    cx: Arc<Context>,
    store: Arc<NodeStore>,
    life: u64,
    /// Dropped with it.
    _stop: watch::Sender<bool>,
    /// Its tailer, and requests that it answers.
    tasks: Mutex<Vec<AbortHandle>>,
}

/// All nodes.
pub(crate) struct Nodes {
    pub(crate) world: Arc<World>,
    all: Mutex<Vec<Option<Arc<Node>>>>,
    lives: AtomicU64,
    seed: u64,
}

impl Nodes {
    /// Starts all of them.
    pub(crate) fn start(world: &Arc<World>, seed: u64) -> Arc<Self> {
        let nodes =
            Self { world: Arc::clone(world), all: Mutex::new(vec![None; NODES]), lives: AtomicU64::new(0), seed };
        (0..NODES).for_each(|number| nodes.revive(number));
        Arc::new(nodes)
    }

    /// Starts a node that is not there.
    pub(crate) fn revive(&self, number: usize) {
        let mut all = self.all.lock();
        if all[number].is_some() {
            return;
        }
        let life = self.lives.fetch_add(1, Ordering::Relaxed);
        let (hint, lives) = (self.world.listen(life), Arc::new(AtomicBool::new(true)));
        let store = Arc::new(NodeStore { world: Arc::clone(&self.world), lives, hint });
        let name = ruma::OwnedServerName::try_from("example.org").unwrap();
        let cx = Arc::new(Context {
            storage: Arc::clone(&store) as _,
            server_key: ServerKey::from_seed(name.clone(), &[1; 32], "1").unwrap(),
            config: ServiceConfig::new(name),
            environment: Arc::new(Simulated(self.world.clock)),
            notifier: Notifier::default(),
            caches: Caches::default(),
            claim_budget: ClaimBudget::new(false),
            message_budget: MessageBudget::new(false),
            hashing: Semaphore::new(1),
            leaving: AtomicBool::new(false),
            telemetry: olmstead_telemetry::Telemetry::none(),
            statistics: Statistics::default(),
        });
        let (stop, stopped) = watch::channel(false);
        let actor =
            Actor::new(self.world.clock, TAILERS + u64::try_from(number).unwrap(), mix((self.seed, "tail", life)));
        let tailer = tokio::spawn(ACTOR.scope(actor, tailer::run(Arc::clone(&cx), stopped)));
        let tasks = Mutex::new(vec![tailer.abort_handle()]);
        all[number] = Some(Arc::new(Node { cx, store, life, _stop: stop, tasks }));
    }

    /// Kills a node: what it does ends where it is.
    pub(crate) fn kill(&self, number: usize) {
        if let Some(node) = self.all.lock()[number].take() {
            node.store.lives.store(false, Ordering::Relaxed);
            node.tasks.lock().iter().for_each(AbortHandle::abort);
            self.world.stop_listening(node.life);
        }
    }

    /// Has a node answer a request by an actor; `None` if it is not there, or dies, or the client waits no longer than
    /// `patience` milliseconds.
    pub(crate) async fn ask<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        number: usize,
        actor: Actor,
        patience: u64,
        request: impl FnOnce(Arc<Context>, Arc<NodeStore>) -> F,
    ) -> Option<T> {
        let node = self.all.lock()[number].clone()?;
        let (clock, lane) = (actor.clock, 2 * actor.number);
        let mut answer = tokio::spawn(ACTOR.scope(actor, request(Arc::clone(&node.cx), Arc::clone(&node.store))));
        node.tasks.lock().push(answer.abort_handle());
        tokio::select! {
            biased;
            answer = &mut answer => match answer {
                Ok(answer) => Some(answer),
                Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
                Err(_) => None,
            },
            () = clock.wait(lane, patience) => {
                answer.abort();
                None
            }
        }
    }
}
