//! Group commit: one thread brings the log to disk for all commands that wait, then closes their positions.
//!
//! A command waits here after it gave its locks back, so commands on the same rows share a sync too. Once a write or a
//! sync failed nothing is known about what is on disk, so the store refuses every further command until it is opened
//! anew: an answer must never rest on a commit that may be lost. A command is answered when the horizon has passed its
//! position too, so a read after the answer sees it, through whatever token.

use std::{error::Error, io, mem, sync::Arc, thread};

use olmstead_domain::position::Position;
use olmstead_storage::{Result, StorageError, changes::ChangeKey, with_causes};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{oneshot, watch};

use crate::{
    engine::Engine,
    stream::{Committed, Stream},
};

/// A command's wait for the disk. Gives `false` if it cannot be known to be there.
pub(crate) type Durable = oneshot::Receiver<bool>;

/// A commit that is written and not yet durable.
struct Commit {
    position: Option<Position>,
    changes: Vec<ChangeKey>,
    done: oneshot::Sender<bool>,
}

/// Whether commands are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Open,
    Closed,
    Failed,
}

struct State {
    standing: Standing,
    waiting: Vec<Commit>,
    syncing: bool,
    stop: bool,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    /// Why nothing more can be promised, once that is so.
    failure: watch::Sender<Option<String>>,
}

impl Shared {
    /// Nothing is known of what is on disk any more.
    fn fail(&self, stream: &Stream, error: &StorageError) {
        self.state.lock().standing = Standing::Failed;
        stream.abandon();
        self.failure.send_if_modified(|failure| {
            let is_first = failure.is_none();
            if is_first {
                tracing::error!(error = error as &dyn Error, "a write to disk failed; no further commands are taken");
                *failure = Some(with_causes(error));
            }
            is_first
        });
    }
}

/// The log and its thread.
pub(crate) struct Wal {
    shared: Arc<Shared>,
    stream: Arc<Stream>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Wal {
    /// Starts the thread. With `sync` false nothing is brought to disk, see [`crate::Options::wal_sync`].
    pub(crate) fn start(engine: Arc<Engine>, stream: Arc<Stream>, sync: bool) -> io::Result<Self> {
        let state = State { standing: Standing::Open, waiting: Vec::new(), syncing: false, stop: false };
        let shared =
            Arc::new(Shared { state: Mutex::new(state), wake: Condvar::new(), failure: watch::Sender::new(None) });
        let for_thread = (Arc::clone(&shared), Arc::clone(&stream));
        let thread = thread::Builder::new()
            .name("rocksdb-wal".to_owned())
            .spawn(move || run(&for_thread.0, &engine, &for_thread.1, sync))?;
        Ok(Self { shared, stream, thread: Some(thread) })
    }

    /// Refuses if the store is closed or failed.
    pub(crate) fn check(&self) -> Result<()> {
        match self.shared.state.lock().standing {
            Standing::Open => Ok(()),
            Standing::Closed => Err(refusal("the store is closed")),
            Standing::Failed => Err(lost()),
        }
    }

    /// Hands over a commit that was just written.
    pub(crate) fn commit(&self, position: Option<Position>, changes: Vec<ChangeKey>) -> Durable {
        let (done, durable) = oneshot::channel();
        self.shared.state.lock().waiting.push(Commit { position, changes, done });
        self.shared.wake.notify_one();
        durable
    }

    /// What a command that wrote nothing must wait for, as its answer may rest on a commit that is not yet durable.
    pub(crate) fn settled(&self) -> Option<Durable> {
        let state = self.shared.state.lock();
        let idle = state.waiting.is_empty() && !state.syncing && state.standing == Standing::Open;
        drop(state);
        (!idle).then(|| self.commit(None, Vec::new()))
    }

    /// A write failed: it may or may not be in the log.
    pub(crate) fn fail(&self, error: &StorageError) {
        self.shared.fail(&self.stream, error);
    }

    /// Waits until a write or a sync failed, and says how.
    pub(crate) async fn failed(&self) -> String {
        let mut failure = self.shared.failure.subscribe();
        // The sender is of this value, so it is there.
        let how = failure.wait_for(Option::is_some).await.ok().and_then(|failure| failure.clone());
        how.unwrap_or_default()
    }

    /// Takes no further commands, and gives the wait for those that were taken.
    pub(crate) fn close(&self) -> Durable {
        let mut state = self.shared.state.lock();
        if state.standing == Standing::Open {
            state.standing = Standing::Closed;
        }
        drop(state);
        self.commit(None, Vec::new())
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        self.shared.state.lock().stop = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the log's thread ended in a panic");
        }
    }
}

/// The error of a command whose commit is not known to be durable, and of all after it.
pub(crate) fn lost() -> StorageError {
    refusal("a write to disk failed; the store must be opened anew")
}

fn refusal(message: &str) -> StorageError {
    StorageError::Unavailable { message: message.to_owned(), source: None }
}

fn run(shared: &Shared, engine: &Engine, stream: &Stream, sync: bool) {
    let mut marked = engine.written();
    loop {
        let mut state = shared.state.lock();
        while state.waiting.is_empty() && !state.stop {
            shared.wake.wait(&mut state);
        }
        if state.waiting.is_empty() {
            break;
        }
        let commits = mem::take(&mut state.waiting);
        state.syncing = true;
        let failed_before = state.standing == Standing::Failed;
        drop(state);

        let written = engine.written();
        let result = if sync && !failed_before { engine.flush_log() } else { Ok(()) };
        let good = result.is_ok() && !failed_before;
        let mut waiters = Vec::with_capacity(commits.len());
        if good {
            let mut committed = Vec::with_capacity(commits.len());
            for Commit { position, changes, done } in commits {
                match position {
                    Some(position) => committed.push(Committed { position, changes, done: Some(done) }),
                    None => waiters.push(done),
                }
            }
            stream.retire(committed);
        } else {
            // Their positions stay open: the horizon must not pass a commit that may come back after a restart.
            waiters.extend(commits.into_iter().map(|commit| commit.done));
        }
        let marking = if good && sync && written > marked { engine.mark_synced(written) } else { Ok(()) };
        marked = written;
        shared.state.lock().syncing = false;
        // What was synced is answered even if the mark is one write too many for the disk.
        if let Err(error) = result.and(marking) {
            shared.fail(stream, &error);
        }
        for waiter in waiters {
            // Nobody waits if the request was given up meanwhile.
            let _ = waiter.send(good);
        }
    }
    // Brings what need not be durable at once to disk; not after a failure, when nobody knows what that would be.
    let is_good = shared.state.lock().standing != Standing::Failed;
    if sync
        && is_good
        && let Err(error) = engine.flush_log()
    {
        tracing::error!(%error, "bringing the log to disk failed at the end");
    }
}
