//! The connections of a node, for commands and reads.
//!
//! sqlx's pool asks the server after each use whether a connection is still alive, and flushes what may be left on it.
//! That is a round trip, and most of our uses are one. So connections that were used to the end of a statement or
//! transaction are kept here, in front of the pool, and only those that were not go back through it: where somebody who
//! waited for an answer went away, for example.

use std::{
    collections::VecDeque,
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{Error as SqlError, PgConnection, Postgres, pool::PoolConnection, postgres::PgPool};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::error::Done;

/// After so long a connection goes back through the pool, which replaces it when it is old.
const KEPT: Duration = Duration::from_secs(600);

/// Connections that were not used for so long go back to the pool, which closes what nobody needs.
const IDLE: Duration = Duration::from_secs(60);

/// The connections of a node. Clones are the same.
#[derive(Clone)]
pub(crate) struct Connections(Arc<Inner>);

struct Inner {
    pool: PgPool,
    /// One for each connection there may be.
    permits: Arc<Semaphore>,
    /// Connections that are free, the one that was used last at the end.
    free: Mutex<VecDeque<Held>>,
    /// Counts how often all connections had to be looked at.
    doubts: AtomicU64,
}

/// A connection, and what is known of it. Dropped, it goes back through the pool, which makes sure that nothing is left on
/// it; inside of a transaction it is closed.
struct Held {
    connection: PoolConnection<Postgres>,
    /// When it was taken from the pool.
    taken: Instant,
    /// When it was given back.
    used: Instant,
    /// The doubts when it was taken.
    doubts: u64,
    in_transaction: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.in_transaction {
            self.connection.close_on_drop();
        }
    }
}

/// A connection that is in use.
pub(crate) struct Connection {
    held: Held,
    home: Arc<Inner>,
    /// Given up after the connection was.
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    /// Those of a pool, which nobody else may use meanwhile. As many as it may have.
    pub(crate) fn new(pool: PgPool) -> Self {
        let most = usize::try_from(pool.options().get_max_connections()).unwrap_or(Semaphore::MAX_PERMITS);
        Self(Arc::new(Inner {
            pool,
            permits: Arc::new(Semaphore::new(most)),
            free: Mutex::new(VecDeque::with_capacity(most)),
            doubts: AtomicU64::new(0),
        }))
    }

    /// Waits for a free connection, as long as the pool lets one wait.
    pub(crate) async fn acquire(&self) -> Done<Connection> {
        let inner = &self.0;
        let patience = inner.pool.options().get_acquire_timeout();
        let permit = timeout(patience, Arc::clone(&inner.permits).acquire_owned());
        let permit = permit.await.map_err(|_| SqlError::PoolTimedOut)?.map_err(|_| SqlError::PoolClosed)?;
        let held = match inner.take() {
            Some(held) => held,
            None => {
                let doubts = inner.doubts.load(Ordering::SeqCst);
                let connection = inner.pool.acquire().await?;
                let now = Instant::now();
                Held { connection, taken: now, used: now, doubts, in_transaction: false }
            }
        };
        Ok(Connection { held, home: Arc::clone(inner), _permit: permit })
    }

    /// Whether the store was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.pool.is_closed()
    }

    /// Closes all, as soon as they are free.
    pub(crate) async fn close(&self) {
        // From now on what comes back goes to the pool.
        let closing = self.0.pool.close();
        drop(self.0.all());
        closing.await;
    }
}

impl Inner {
    fn take(&self) -> Option<Held> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).pop_back()
    }

    fn all(&self) -> VecDeque<Held> {
        std::mem::take(&mut *self.free.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A connection was lost, so others may be, too: all that are free or come back go through the pool once.
    fn doubt(&self) {
        self.doubts.fetch_add(1, Ordering::SeqCst);
        drop(self.all());
    }

    /// Keeps a connection that is as it was when it was taken.
    fn keep(&self, mut held: Held) {
        held.used = Instant::now();
        let is_old = held.used - held.taken > KEPT;
        if is_old || held.in_transaction || held.doubts != self.doubts.load(Ordering::SeqCst) || self.pool.is_closed() {
            return;
        }
        let unused = {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            let is_unused = free.front().is_some_and(|oldest| held.used - oldest.used > IDLE);
            free.push_back(held);
            if is_unused { free.pop_front() } else { None }
        };
        drop(unused);
        if self.pool.is_closed() {
            drop(self.all());
        }
    }
}

impl Connection {
    /// Says whether it is inside of a transaction.
    pub(crate) fn set_in_transaction(&mut self, is: bool) {
        self.held.in_transaction = is;
    }

    /// Gives it back after its last statement or transaction was answered to the end.
    pub(crate) fn done(self) {
        self.home.keep(self.held);
    }

    /// Closes it, and doubts all others.
    pub(crate) fn lost(mut self) {
        self.held.connection.close_on_drop();
        self.home.doubt();
    }
}

impl Deref for Connection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.held.connection
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.held.connection
    }
}
