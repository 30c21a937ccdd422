//! The store that the nodes share: plain maps, with positions that are given when a command begins and commits that come
//! in another order. What an engine promises holds here, and not more than that.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use olmstead_domain::{
    json::RawJson,
    position::{Cursor, Epoch, Position},
};
use olmstead_storage::{
    Result, StorageError,
    changes::{ChangeKey, Horizon},
    to_device::TransactionKey,
};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::chance::{ACTOR, Clock, mix, pause};

/// All positions before are of what was there when the run began.
pub(crate) const BEGIN: u64 = 10;
/// The one life of the store.
pub(crate) const EPOCH: Epoch = Epoch(1);
/// One read or command in so many fails before it did anything.
const FAILS: u64 = 60;

/// The answer of one read in so many is slow.
const SLOW: u64 = 10;

/// How the store breaks its promises, to see that it is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Not at all.
    No,
    /// The horizon is above the newest position, whatever still runs below it.
    NewestIsHorizon,
    /// A command is answered while it runs.
    EarlyAnswer,
    /// Whoever asks what changed is told that nothing did.
    NothingChanged,
    /// An acknowledgement deletes all that waits.
    AcknowledgesAll,
}

/// A change that was committed, for the oracle.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Change {
    pub(crate) what: What,
    /// The position's issue, the commit, and when everybody could read it; milliseconds.
    pub(crate) began: u64,
    pub(crate) committed: u64,
    pub(crate) answered: u64,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum What {
    /// A message of the operation `number` for a device.
    Message { to: usize, from: usize, number: usize },
    /// Account data of a user.
    Entry { user: usize, kind: u64, version: usize },
    /// The device list of a user.
    DeviceList { user: usize },
    /// One-time keys of a device: so many now.
    Count { device: usize, count: u64 },
}

/// All rows. Keys are the names of users and devices.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) inboxes: BTreeMap<String, BTreeMap<Cursor, RawJson>>,
    pub(crate) transactions: HashSet<TransactionKey>,
    pub(crate) account_data: BTreeMap<(String, String), (Position, RawJson)>,
    pub(crate) counts: BTreeMap<String, (u64, Position)>,
    pub(crate) device_lists: BTreeMap<(Position, String), ()>,
    pub(crate) changes: BTreeMap<Position, Vec<ChangeKey>>,
}

#[derive(Default)]
struct State {
    rows: Rows,
    newest: u64,
    running: BTreeSet<u64>,
    locks: HashMap<String, Arc<tokio::sync::Mutex<()>>>,
    /// Where each node that lives hears of news.
    hints: BTreeMap<u64, watch::Sender<Position>>,
    truth: Vec<Change>,
}

/// What a command writes, and what of it is told.
pub(crate) struct Written<R> {
    pub(crate) answer: R,
    pub(crate) keys: Vec<ChangeKey>,
    pub(crate) changes: Vec<What>,
}

/// The store.
pub(crate) struct World {
    state: Mutex<State>,
    /// Counts the ends of commands.
    ended: watch::Sender<u64>,
    pub(crate) clock: Clock,
    seed: u64,
    pub(crate) lie: Lie,
}

impl World {
    pub(crate) fn new(clock: Clock, seed: u64, lie: Lie) -> Arc<Self> {
        let state = Mutex::new(State { newest: BEGIN - 1, ..State::default() });
        Arc::new(Self { state, ended: watch::Sender::new(0), clock, seed, lie })
    }

    /// Where a node, by the number of its life, hears of news.
    pub(crate) fn listen(&self, life: u64) -> watch::Receiver<Position> {
        let sender = watch::Sender::new(Position::START);
        let receiver = sender.subscribe();
        self.state.lock().hints.insert(life, sender);
        receiver
    }

    pub(crate) fn stop_listening(&self, life: u64) {
        self.state.lock().hints.remove(&life);
    }

    /// The horizon that is true.
    fn true_horizon(state: &State) -> u64 {
        state.running.first().copied().unwrap_or(state.newest + 1)
    }

    /// The horizon as nodes are told.
    fn horizon_of(&self, state: &State) -> Horizon {
        let position = match self.lie {
            Lie::NewestIsHorizon => state.newest + 1,
            _ => Self::true_horizon(state),
        };
        Horizon { epoch: EPOCH, position: Position(position) }
    }

    pub(crate) fn horizon(&self) -> Position {
        self.horizon_of(&self.state.lock()).position
    }

    /// Everything that was committed, in the order of the commits.
    pub(crate) fn truth(&self) -> Vec<Change> {
        self.state.lock().truth.clone()
    }

    /// A consistent read, some time after it was asked for and before it is answered.
    pub(crate) async fn read<R>(&self, read: impl FnOnce(&Rows, Horizon) -> R) -> Result<R> {
        pause(120).await;
        fail_sometimes()?;
        let answer = {
            let state = self.state.lock();
            read(&state.rows, self.horizon_of(&state))
        };
        // Now and then so long that others do much before the answer is used.
        let is_slow = ACTOR.with(|actor| actor.once_in(SLOW));
        pause(if is_slow { 1_500 } else { 60 }).await;
        Ok(answer)
    }

    /// A write that is no change: no position, and nobody waits for it.
    pub(crate) async fn note(&self, write: impl FnOnce(&mut Rows)) -> Result<()> {
        pause(120).await;
        fail_sometimes()?;
        write(&mut self.state.lock().rows);
        Ok(())
    }

    /// A command of a node. It goes on when nobody waits for it any more; if its node died before the commit, it is
    /// rolled back half of the time. It is answered when the horizon has passed it.
    pub(crate) async fn command<R: Send + 'static>(
        self: &Arc<Self>,
        node_lives: Arc<AtomicBool>,
        lock: String,
        write: impl FnOnce(&mut Rows, Position) -> Written<R> + Send + 'static,
    ) -> Result<R> {
        pause(120).await;
        fail_sometimes()?;
        let (lane, works, rolls_back) = ACTOR.with(|actor| {
            let long = actor.once_in(4);
            (actor.command_lane(), actor.draw(if long { 2_000 } else { 200 }), actor.once_in(2))
        });
        let world = Arc::clone(self);
        let command = tokio::spawn(async move {
            let lock = Arc::clone(world.state.lock().locks.entry(lock).or_default());
            let _held = lock.lock_owned().await;
            let position = {
                let mut state = world.state.lock();
                state.newest += 1;
                let position = state.newest;
                state.running.insert(position);
                position
            };
            let began = world.clock.now();
            world.hint(position, "begun", lane);
            world.clock.wait(lane, works).await;
            if !node_lives.load(Ordering::Relaxed) && rolls_back {
                world.end(position);
                return Err(unavailable("the node died"));
            }
            let (answer, first, last) = {
                let mut state = world.state.lock();
                let Written { answer, keys, changes } = write(&mut state.rows, Position(position));
                if !keys.is_empty() {
                    state.rows.changes.insert(Position(position), keys);
                }
                let (first, committed) = (state.truth.len(), world.clock.now());
                let noted = changes.into_iter().map(|what| Change { what, began, committed, answered: u64::MAX });
                state.truth.extend(noted);
                (answer, first, state.truth.len())
            };
            world.end(position);
            world.hint(position, "committed", lane);
            let mut ended = world.ended.subscribe();
            while Self::true_horizon(&world.state.lock()) <= position {
                ended.changed().await.map_err(|_| unavailable("the run is over"))?;
            }
            let now = if world.lie == Lie::EarlyAnswer { began } else { world.clock.now() };
            world.state.lock().truth[first..last].iter_mut().for_each(|change| change.answered = now);
            Ok(answer)
        });
        let answer = command.await.map_err(|_| unavailable("the command panicked"))?;
        pause(120).await;
        answer
    }

    fn end(&self, position: u64) {
        self.state.lock().running.remove(&position);
        self.ended.send_modify(|ended| *ended += 1);
    }

    /// Tells each node of a position: soon or late, once or twice, or not.
    fn hint(self: &Arc<Self>, position: u64, moment: &'static str, lane: u64) {
        let lives: Vec<u64> = self.state.lock().hints.keys().copied().collect();
        for life in lives {
            let luck = mix((self.seed, position, moment, life));
            if luck.is_multiple_of(3) {
                continue;
            }
            let world = Arc::clone(self);
            tokio::spawn(async move {
                for time in 0..1 + luck / 3 % 2 {
                    world.clock.wait(lane, luck / 7 % 300 * (time + 1)).await;
                    if let Some(sender) = world.state.lock().hints.get(&life) {
                        sender.send_replace(Position(position));
                    }
                }
            });
        }
    }
}

fn unavailable(why: &str) -> StorageError {
    StorageError::Unavailable { message: why.to_owned(), source: None }
}

fn fail_sometimes() -> Result<()> {
    if ACTOR.with(|actor| actor.once_in(FAILS)) { Err(unavailable("a fault on purpose")) } else { Ok(()) }
}
