//! Following the horizon, and telling other nodes that there is something to follow.
//!
//! One task asks for the horizon as long as a command of this node waits for it: the questions of all that wait are one.
//! Another says to all nodes that something was committed, at most once in ten milliseconds, because a notification in
//! each transaction would make commits wait for each other. A third hears what other nodes say. What is said is only a
//! hint: whoever waits also reads the horizon from time to time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use olmstead_domain::position::Position;
use olmstead_storage::StorageError;
use sqlx::{
    Connection as _, PgConnection, SqlSafeStr as _,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout},
};

use crate::{
    OpenError, changes,
    connections::Connections,
    epoch,
    error::{Done, Failure},
    transaction::Transaction,
};

/// The channel that all nodes on a database share.
const CHANNEL: &str = "olmstead_changes";

/// The least time between two notifications of a node.
const NOTIFY_EVERY: Duration = Duration::from_millis(10);

/// How often the log of changes is pruned and the reached position noted.
const TIDY_EVERY: Duration = Duration::from_secs(30);

/// How many positions the log of changes reaches back. Whoever asks further is told that everything may have changed.
const REMEMBERED: i64 = 200_000;

/// How many rows are pruned at once: the transaction holds back the horizon while it runs.
const PRUNED: i64 = 2_000;

/// How long to wait before asking the horizon again that has not passed yet, after the first time.
const PAUSES: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_micros(200),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
];

/// How long a command waits for the horizon to pass it. Longer than the timeouts of our own transactions; what takes so
/// long is something else on the server that writes.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long the server is waited for on a connection that may be dead: nobody says so of a network that is gone.
const ANSWER: Duration = Duration::from_secs(5);

/// After how long without news it is asked whether the connection is alive that they would come on.
const QUIET: Duration = Duration::from_secs(5);

/// How long to wait before connecting again.
const RECONNECT: Duration = Duration::from_millis(100);

/// What commands and tasks share.
struct Shared {
    /// The greatest horizon this node has seen.
    hint: watch::Sender<Position>,
    /// The base of positions when the horizon was last read. It only grows.
    base: AtomicI64,
    /// The horizon that somebody waits for: a command of this node, or those who wait for what another node committed.
    wanted: AtomicU64,
    /// The greatest position that this node has committed.
    committed: AtomicU64,
    /// Somebody waits for a horizon.
    ask: Notify,
    /// This node has committed something that others do not know of.
    tell: Notify,
}

/// A node's view of the stream of changes.
pub(crate) struct Stream {
    shared: Arc<Shared>,
    tasks: tokio::sync::Mutex<JoinSet<()>>,
}

impl Stream {
    /// Connects and starts the tasks.
    pub(crate) async fn start(connections: &Connections, connect: PgConnectOptions) -> Result<Self, OpenError> {
        let mut first = PgConnection::connect_with(&connect).await.map_err(OpenError::Connect)?;
        let (horizon, base) = changes::horizon(&mut first).await?;
        let shared = Arc::new(Shared {
            hint: watch::Sender::new(horizon.position),
            base: AtomicI64::new(base),
            wanted: AtomicU64::new(0),
            committed: AtomicU64::new(0),
            ask: Notify::new(),
            tell: Notify::new(),
        });
        let listener = listen(&connect).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(follow(Arc::clone(&shared), connections.clone(), connect.clone(), first));
        tasks.spawn(tell(Arc::clone(&shared), connect.clone()));
        tasks.spawn(hear(Arc::clone(&shared), connect, listener));
        tasks.spawn(tidy(connections.clone()));
        Ok(Self { shared, tasks: tokio::sync::Mutex::new(tasks) })
    }

    /// Waits until the horizon has passed a position that was committed by this node.
    pub(crate) async fn passed(&self, position: Position) -> Done<()> {
        let mut hint = self.shared.hint.subscribe();
        self.shared.committed.fetch_max(position.0, Ordering::SeqCst);
        self.shared.tell.notify_one();
        self.shared.want(position);
        match timeout(PATIENCE, hint.wait_for(|horizon| *horizon > position)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Failure::Final(StorageError::Unavailable {
                message: "what was committed is held back by another transaction".to_owned(),
                source: None,
            })),
        }
    }

    /// Notes a horizon that was read elsewhere.
    pub(crate) fn saw(&self, horizon: Position, base: i64) {
        self.shared.saw(horizon, base);
    }

    /// The base of positions as last seen.
    pub(crate) fn base(&self) -> i64 {
        self.shared.base.load(Ordering::SeqCst)
    }

    /// Fires when the horizon moved.
    pub(crate) fn hint(&self) -> watch::Receiver<Position> {
        self.shared.hint.subscribe()
    }

    /// Ends the tasks.
    pub(crate) async fn end(&self) {
        self.tasks.lock().await.shutdown().await;
    }
}

impl Shared {
    fn saw(&self, horizon: Position, base: i64) {
        self.base.fetch_max(base, Ordering::SeqCst);
        self.hint.send_if_modified(|known| {
            let moved = horizon > *known;
            *known = horizon.max(*known);
            moved
        });
    }

    /// Asks until the horizon has passed a position that is committed.
    fn want(&self, position: Position) {
        self.wanted.fetch_max(position.next().0, Ordering::SeqCst);
        self.ask.notify_one();
    }

    /// Asks until nobody waits for more.
    async fn ask(&self, connection: &mut PgConnection) -> Done<()> {
        let mut pauses = PAUSES.iter();
        let mut pause = Duration::ZERO;
        loop {
            let (horizon, base) = in_time(changes::horizon(connection)).await?;
            self.saw(horizon.position, base);
            if horizon.position.0 >= self.wanted.load(Ordering::SeqCst) {
                return Ok(());
            }
            pause = pauses.next().copied().unwrap_or(pause);
            sleep(pause).await;
        }
    }
}

/// Reads the horizon whenever somebody asks.
async fn follow(shared: Arc<Shared>, connections: Connections, connect: PgConnectOptions, first: PgConnection) {
    let mut connection = first;
    loop {
        shared.ask.notified().await;
        while let Err(failure) = shared.ask(&mut connection).await {
            match failure {
                Failure::NotRunning => {
                    if let Err(failure) = epoch::begin(&connections).await {
                        tracing::warn!(?failure, "the store cannot be opened anew");
                        sleep(RECONNECT).await;
                    }
                }
                failure => {
                    tracing::debug!(?failure, "the horizon cannot be read");
                    connection = reconnect(&connect).await;
                }
            }
        }
    }
}

/// Tells other nodes.
async fn tell(shared: Arc<Shared>, connect: PgConnectOptions) {
    // A notification need not be durable.
    let connect = connect.options([("synchronous_commit", "off")]);
    let mut connection = reconnect(&connect).await;
    loop {
        shared.tell.notified().await;
        let next = Instant::now() + NOTIFY_EVERY;
        let committed = || shared.committed.load(Ordering::SeqCst).to_string();
        while let Err(failure) = in_time(notify(&mut connection, committed())).await {
            tracing::debug!(?failure, "other nodes cannot be told");
            connection = reconnect(&connect).await;
        }
        sleep_until(next).await;
    }
}

async fn notify(connection: &mut PgConnection, committed: String) -> Done<()> {
    sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(committed).execute(connection).await?;
    Ok(())
}

/// Hears other nodes, and this one. What was committed there may still be held back by an older transaction, so the
/// horizon is asked for until it has passed that.
async fn hear(shared: Arc<Shared>, connect: PgConnectOptions, mut listener: PgListener) {
    loop {
        let is_alive = match timeout(QUIET, listener.try_recv()).await {
            Ok(Ok(Some(said))) => {
                shared.want(Position(said.payload().parse().unwrap_or_default()));
                true
            }
            Ok(Ok(None) | Err(_)) => false,
            Err(_) => in_time(ping(&mut listener)).await.is_ok(),
        };
        if !is_alive {
            tracing::debug!("other nodes cannot be heard");
            listener = loop {
                match listen(&connect).await {
                    Ok(listener) => break listener,
                    Err(failure) => tracing::debug!(?failure, "PostgreSQL cannot be reached"),
                }
                sleep(RECONNECT).await;
            };
            // Without a connection nothing was heard, which is a reason to ask, too.
            shared.ask.notify_one();
        }
    }
}

/// Begins to hear, on a connection of its own.
async fn listen(connect: &PgConnectOptions) -> Done<PgListener> {
    let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None).acquire_timeout(ANSWER);
    let pool = pool.connect_lazy_with(connect.clone());
    in_time(async {
        let mut listener = PgListener::connect_with(&pool).await?;
        // A listener that lost its connection is replaced.
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        Ok(listener)
    })
    .await
}

async fn ping(listener: &mut PgListener) -> Done<()> {
    sqlx::query("SELECT 1").execute(listener).await?;
    Ok(())
}

/// What is done on a connection; lost, if no answer comes.
async fn in_time<T>(work: impl Future<Output = Done<T>>) -> Done<T> {
    timeout(ANSWER, work).await.unwrap_or_else(|_| {
        let silent = std::io::Error::new(std::io::ErrorKind::TimedOut, "the server does not answer");
        Err(Failure::Lost(sqlx::Error::Io(silent)))
    })
}

/// Prunes the log of changes and notes how far positions have come. All nodes do; one at a time does something.
async fn tidy(connections: Connections) {
    let mut ticks = interval(TIDY_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(failure) = tidy_once(&connections).await {
            tracing::debug!(?failure, "the log of changes was not pruned");
        }
    }
}

async fn tidy_once(connections: &Connections) -> Done<()> {
    loop {
        let mut transaction = Transaction::begin(connections, "BEGIN".into_sql_str()).await?;
        let alone: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock(hashtext('olmstead tidy'))")
            .fetch_one(&mut *transaction)
            .await?;
        if !alone {
            return transaction.roll_back().await;
        }
        epoch::note_reached(&mut transaction).await?;
        let pruned = sqlx::query(
            "WITH bound AS (
                 SELECT max(position) AS position FROM (
                     SELECT position FROM change_log WHERE position < horizon_now() - $1 ORDER BY position LIMIT $2
                 ) oldest
             ), floor AS (
                 UPDATE change_floor f SET position = b.position + 1 FROM bound b WHERE b.position IS NOT NULL
             )
             DELETE FROM change_log c USING bound b WHERE c.position <= b.position",
        )
        .bind(REMEMBERED)
        .bind(PRUNED)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        transaction.commit().await?;
        if pruned < PRUNED.unsigned_abs() {
            return Ok(());
        }
    }
}

/// Connects, however long it takes.
async fn reconnect(connect: &PgConnectOptions) -> PgConnection {
    loop {
        match in_time(async { Ok(PgConnection::connect_with(connect).await?) }).await {
            Ok(connection) => return connection,
            Err(failure) => tracing::debug!(?failure, "PostgreSQL cannot be reached"),
        }
        sleep(RECONNECT).await;
    }
}
