//! The store: running commands and reads on it, and running them again where that is safe.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use olmstead_domain::position::Position;
use olmstead_storage::{Result, Storage, StorageError};
use rand::Rng as _;
use sqlx::{PgConnection, Row as _, SqlSafeStr as _};
use tokio::time::{Instant, timeout_at};

use crate::{
    Options,
    batches::Batches,
    command::{Command, Ended},
    connections::{Connection, Connections},
    epoch,
    error::{Done, Failure},
    locks::Locks,
    queues::Queues,
    rows::place,
    stream::Stream,
    transaction::Transaction,
};

/// A command that stood in the way of others is run this often at most.
const TRIES: u32 = 20;

/// For so many times the patience with the server, others that are in the way are waited for.
const CONTENDED: u32 = 2;

/// A store in a PostgreSQL database, shared with all other nodes on it.
///
/// Dropping it ends its background tasks; the database needs nothing of the kind.
pub struct PostgresStore {
    /// The store itself, for work that outlives the one who asked for it.
    this: Weak<Self>,
    connections: Connections,
    stream: Stream,
    queues: Queues,
    batches: Batches,
    /// How long a server that is starting again is waited for.
    patience: Duration,
    #[cfg(feature = "drill-faults")]
    faults: crate::Faults,
}

/// Counts how often something was tried, and decides whether to try again.
pub(crate) struct Attempts {
    tries: u32,
    /// Until when the server is waited for.
    until: Instant,
    /// Until when others are waited for.
    contended: Instant,
}

/// Runs a command: begins a transaction under locks, does the work, commits, and waits until the horizon has passed it.
/// The work is an expression of [`Done`] that may use `?`; it is run again when others stood in the way, or when the
/// connection was lost before the commit.
macro_rules! command {
    ($store:expr, $locks:expr, |$command:ident| $work:expr) => {{
        let (store, locks) = ($store, $locks);
        let mut attempts = store.attempts();
        loop {
            let tried: $crate::error::Done<_> = async {
                let mut $command = store.begin(&locks, &attempts).await?;
                let worked: $crate::error::Done<_> = async { $work }.await;
                match worked {
                    Ok(answer) => {
                        store.finish($command).await?;
                        Ok(answer)
                    }
                    Err(failure) => {
                        $command.abandon();
                        Err(failure)
                    }
                }
            }
            .await;
            match tried {
                Ok(answer) => break Ok(answer),
                Err(failure) => {
                    if let Err(error) = store.again(&mut attempts, failure).await {
                        break Err(error);
                    }
                }
            }
        }
    }};
}

/// Runs a read of one statement, or of several that need not agree with each other; again when the connection was lost.
macro_rules! read {
    ($store:expr, |$connection:ident| $work:expr) => {{
        let store = $store;
        let mut attempts = store.attempts();
        loop {
            let tried: $crate::error::Done<_> = async {
                let mut connection = store.connection().await?;
                let worked: $crate::error::Done<_> = async {
                    let $connection: &mut sqlx::PgConnection = &mut connection;
                    $work
                }
                .await;
                $crate::store::give_back(connection, worked)
            }
            .await;
            match tried {
                Ok(answer) => break Ok(answer),
                Err(failure) => {
                    if let Err(error) = store.again(&mut attempts, failure).await {
                        break Err(error);
                    }
                }
            }
        }
    }};
}

/// Runs a read of several statements in one consistent view; again when the connection was lost.
macro_rules! view {
    ($store:expr, |$connection:ident| $work:expr) => {{
        let store = $store;
        let mut attempts = store.attempts();
        loop {
            let tried: $crate::error::Done<_> = async {
                let mut transaction = store.begin_view().await?;
                let worked: $crate::error::Done<_> = async {
                    let $connection: &mut sqlx::PgConnection = &mut transaction;
                    $work
                }
                .await;
                match worked {
                    Ok(answer) => {
                        transaction.commit().await?;
                        Ok(answer)
                    }
                    Err(failure) => {
                        transaction.abandon();
                        Err(failure)
                    }
                }
            }
            .await;
            match tried {
                Ok(answer) => break Ok(answer),
                Err(failure) => {
                    if let Err(error) = store.again(&mut attempts, failure).await {
                        break Err(error);
                    }
                }
            }
        }
    }};
}

pub(crate) use {command, read, view};

impl PostgresStore {
    pub(crate) fn new(this: Weak<Self>, connections: Connections, stream: Stream, options: &Options) -> Self {
        Self {
            this,
            connections,
            stream,
            queues: Queues::default(),
            batches: Batches::default(),
            patience: options.acquire_timeout,
            #[cfg(feature = "drill-faults")]
            faults: options.faults,
        }
    }

    /// The store, for a task of its own.
    pub(crate) fn handle(&self) -> Result<Arc<Self>> {
        let closed = || StorageError::Unavailable { message: "the store is closed".to_owned(), source: None };
        self.this.upgrade().ok_or_else(closed)
    }

    /// A connection for a read.
    pub(crate) async fn connection(&self) -> Done<Connection> {
        self.connections.acquire().await
    }

    /// Begins a command; for the macro `command`.
    pub(crate) async fn begin(&self, locks: &Locks, attempts: &Attempts) -> Done<Command> {
        let places = timeout_at(attempts.contended, self.queues.wait(locks)).await.map_err(|_| contended())?;
        let base = self.stream.base();
        let transaction = Transaction::begin(&self.connections, locks.begin()).await?;
        drop(places);
        Ok(Command::new(transaction, base))
    }

    /// Begins a read in one view; for the macro `view`.
    pub(crate) async fn begin_view(&self) -> Done<Transaction> {
        Transaction::begin(&self.connections, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY".into_sql_str()).await
    }

    /// Ends a command: when this returns it is durable, and below every horizon that is read from now on, by any node.
    pub(crate) async fn finish(&self, command: Command) -> Done<()> {
        #[cfg(feature = "drill-faults")]
        if self.faults.early_answer {
            // Who asked is told that all is well, whatever becomes of it.
            tokio::spawn(command.end());
            return Ok(());
        }
        match command.end().await? {
            Ended::WithoutTrace | Ended::Committed(None) => Ok(()),
            Ended::Committed(Some(position)) => self.stream.passed(position).await,
            Ended::InDoubt { position: None, .. } => Err(in_doubt()),
            Ended::InDoubt { position: Some(position), base, lost } => self.settle(position, base, lost).await,
        }
    }

    /// Finds out what became of a commit whose answer was lost. Only while the base stays is the id surely that of the
    /// same transaction.
    async fn settle(&self, position: Position, base: i64, lost: Failure) -> Done<()> {
        let mut attempts = self.attempts();
        let status: Option<String> = loop {
            let asked = async {
                let mut connection = self.connection().await?;
                // What is above all ids that have ended was given, too, and has not ended.
                let status: Result<Option<Option<String>>, sqlx::Error> = sqlx::query_scalar(
                    "SELECT CASE WHEN $1 - base < pg_snapshot_xmax(pg_current_snapshot())::text::bigint
                         THEN pg_xact_status(($1 - base)::text::xid8) ELSE 'in progress' END
                     FROM running WHERE base = $2",
                )
                .bind(place(position))
                .bind(base)
                .fetch_optional(&mut *connection)
                .await;
                give_back(connection, status.map_err(Failure::from))
            };
            match asked.await {
                // Its server process has not seen yet that we are gone.
                Ok(Some(Some(status))) if status == "in progress" => {
                    let busy = sqlx::Error::Protocol("a commit is still under way".to_owned());
                    self.again(&mut attempts, Failure::Lost(busy)).await?;
                }
                Ok(status) => break status.flatten(),
                Err(failure) => self.again(&mut attempts, failure).await?,
            }
        };
        match status.as_deref() {
            Some("committed") => self.stream.passed(position).await,
            // Nothing was written: to be run again.
            Some("aborted") => Err(lost),
            _ => Err(in_doubt()),
        }
    }

    /// Begins to count attempts.
    pub(crate) fn attempts(&self) -> Attempts {
        let now = Instant::now();
        Attempts { tries: 0, until: now + self.patience, contended: now + self.patience * CONTENDED }
    }

    /// After a failure: returns when it is time to try again, or says that there is no point.
    pub(crate) async fn again(&self, attempts: &mut Attempts, failure: Failure) -> Result<()> {
        attempts.tries += 1;
        // Never in step with the others that failed.
        let pause = |milliseconds: u64| {
            Duration::from_micros(rand::rng().random_range(milliseconds * 500..=milliseconds * 1_500))
        };
        match failure {
            Failure::Again(error) if attempts.tries < TRIES && Instant::now() < attempts.contended => {
                tracing::debug!(%error, "running a command again");
                tokio::time::sleep(pause(u64::from(attempts.tries))).await;
                Ok(())
            }
            Failure::Lost(error) if Instant::now() < attempts.until && !self.connections.is_closed() => {
                tracing::debug!(%error, "connecting again");
                tokio::time::sleep(pause(u64::from(attempts.tries.min(10)) * 20)).await;
                Ok(())
            }
            Failure::NotRunning if Instant::now() < attempts.until => {
                match epoch::begin(&self.connections).await {
                    Ok(()) => {}
                    Err(failure @ Failure::Final(_)) => return Err(failure.into()),
                    Err(_) => tokio::time::sleep(pause(100)).await,
                }
                Ok(())
            }
            failure => Err(failure.into()),
        }
    }

    /// The questions that are answered together.
    pub(crate) const fn batches(&self) -> &Batches {
        &self.batches
    }

    pub(crate) const fn stream(&self) -> &Stream {
        &self.stream
    }
}

/// Gives a connection back after a read, or closes it if it is no good any more.
pub(crate) fn give_back<T>(connection: Connection, worked: Done<T>) -> Done<T> {
    match &worked {
        Ok(_) => connection.done(),
        Err(Failure::Lost(_)) => connection.lost(),
        // What was not read to its end may still be on it.
        Err(_) => drop(connection),
    }
    worked
}

/// Others held a lock for too long. Nothing was begun.
fn contended() -> Failure {
    let message = "other commands hold a lock for too long".to_owned();
    Failure::Final(StorageError::Unavailable { message, source: None })
}

/// Nobody can say whether a commit was done. What a client sends again is done once all the same, by its transaction id
/// or because it is the same again.
fn in_doubt() -> Failure {
    Failure::Final(StorageError::Unavailable {
        message: "the connection was lost during a commit that may have been done".to_owned(),
        source: None,
    })
}

async fn signing_key(connection: &mut PgConnection, fresh: &([u8; 32], String)) -> Done<([u8; 32], String)> {
    let row = sqlx::query(
        "UPDATE store SET signing_key = coalesce(signing_key, $1),
             signing_key_version = CASE WHEN signing_key IS NULL THEN $2 ELSE signing_key_version END
         RETURNING signing_key, signing_key_version",
    )
    .bind(fresh.0.as_slice())
    .bind(&fresh.1)
    .fetch_optional(connection)
    .await?
    .ok_or_else(epoch::no_facts)?;
    let seed: Vec<u8> = row.try_get("signing_key")?;
    let seed = <[u8; 32]>::try_from(seed).map_err(|_| StorageError::damaged("the signing key has another length"))?;
    Ok((seed, row.try_get("signing_key_version")?))
}

async fn server_name(connection: &mut PgConnection, name: &str) -> Done<String> {
    sqlx::query_scalar("UPDATE store SET server_name = coalesce(server_name, $1) RETURNING server_name")
        .bind(name)
        .fetch_optional(connection)
        .await?
        .ok_or_else(epoch::no_facts)
}

#[async_trait]
impl Storage for PostgresStore {
    fn engine(&self) -> &'static str {
        "postgres"
    }

    async fn signing_key(&self, fresh: ([u8; 32], String)) -> Result<([u8; 32], String)> {
        command!(self, Locks::new(), |command| signing_key(command.sql(), &fresh).await)
    }

    async fn server_name(&self, name: &str) -> Result<String> {
        command!(self, Locks::new(), |command| server_name(command.sql(), name).await)
    }

    async fn ping(&self) -> Result<()> {
        let answer = async {
            let mut connection = self.connection().await?;
            let answered = sqlx::query("SELECT 1").execute(&mut *connection).await;
            give_back(connection, answered.map_err(Failure::from))
        };
        answer.await.map(drop).map_err(StorageError::from)
    }

    async fn close(&self) -> Result<()> {
        self.stream.end().await;
        self.connections.close().await;
        Ok(())
    }
}
