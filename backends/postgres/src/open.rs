//! Opening a store.

use std::{
    str::FromStr as _,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{
    Connection as _, PgConnection, Row as _,
    postgres::{PgConnectOptions, PgPool, PgPoolOptions},
};

use crate::{OpenError, PostgresStore, connections::Connections, epoch, schema, stream::Stream};

/// PostgreSQL 15, as the server numbers it.
const OLDEST_SERVER: i32 = 150_000;

/// Between two tries to open a store whose connections are lost.
const PAUSE: Duration = Duration::from_millis(200);

/// What each connection asks of the server beyond [`settings`], where it is so. An operator may let commits wait for
/// standbys, too, but not for nothing at all. Who waits for a lock when its client is gone goes, too, where the system
/// can tell.
const DEMANDS: &str = "
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
    UNION ALL SELECT set_config('client_connection_check_interval', '1000', false) WHERE version() LIKE '%linux%'";

/// How a store uses its database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Connections for commands and reads. A node holds three more, which wait most of the time.
    pub max_connections: u32,
    /// How long a command or a read waits for a free connection, and for a server that is starting again; and half of how
    /// long it waits for commands that are in its way.
    pub acquire_timeout: Duration,
    /// How long a statement may take, the wait for locks included.
    pub statement_timeout: Duration,
    /// Whether the tables are made in a database without any.
    pub create: bool,
    /// What the crash drill wants to be otherwise.
    #[cfg(feature = "drill-faults")]
    pub faults: crate::Faults,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_connections: 16,
            acquire_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
            create: true,
            #[cfg(feature = "drill-faults")]
            faults: crate::Faults::default(),
        }
    }
}

impl PostgresStore {
    /// Opens the store in a database: makes its tables or brings them up to date, and checks that this version may run
    /// on them. The URL is of the form `postgres://user:password@host:port/database`; what it leaves out is taken from
    /// the variables that PostgreSQL's own programs read (`PGHOST`, …).
    ///
    /// # Errors
    /// [`OpenError`], in words for the operator.
    pub async fn open(url: &str, options: Options) -> Result<Arc<Self>, OpenError> {
        let connect = PgConnectOptions::from_str(url)
            .map_err(OpenError::Url)?
            .application_name("olmstead")
            .options(settings(&options));
        let pool = PgPoolOptions::new()
            .max_connections(options.max_connections.max(2))
            .acquire_timeout(options.acquire_timeout)
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    #[cfg(feature = "drill-faults")]
                    if options.faults.no_sync {
                        return sqlx::query("SET synchronous_commit = off").execute(connection).await.map(drop);
                    }
                    sqlx::query(DEMANDS).execute(connection).await.map(drop)
                })
            })
            .connect_with(connect.clone())
            .await;
        let pool = match pool {
            // The pool tried again until then, and does not say what stood in its way.
            Err(sqlx::Error::PoolTimedOut) => {
                let last = PgConnection::connect_with(&connect).await;
                return Err(OpenError::Connect(last.err().unwrap_or(sqlx::Error::PoolTimedOut)));
            }
            pool => pool.map_err(OpenError::Connect)?,
        };
        let began = Instant::now();
        let (connections, stream) = loop {
            match prepare(&pool, &connect, options.create).await {
                // A server that is just starting again, or drops connections, is no reason to end.
                Err(error) if error.is_passing() && began.elapsed() < options.acquire_timeout => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the store could not be opened; once more"
                    );
                    tokio::time::sleep(PAUSE).await;
                }
                prepared => break prepared?,
            }
        };
        Ok(Arc::new_cyclic(|this| Self::new(this.clone(), connections, stream, &options)))
    }
}

/// All that is done with a database before it is used. May be done again: each step is done whole or not at all, and sees
/// what was done.
async fn prepare(pool: &PgPool, connect: &PgConnectOptions, create: bool) -> Result<(Connections, Stream), OpenError> {
    check_server(pool).await?;
    schema::bring_up_to_date(pool, create).await?;
    let connections = Connections::new(pool.clone());
    epoch::begin(&connections).await?;
    let stream = Stream::start(&connections, connect.clone()).await?;
    Ok((connections, stream))
}

/// What each connection asks of the server.
fn settings(options: &Options) -> Vec<(&'static str, String)> {
    let timeout = options.statement_timeout.as_millis();
    vec![
        ("statement_timeout", timeout.to_string()),
        // A lock is waited for less long than a statement may take, so that the one who holds it is not blamed.
        ("lock_timeout", (timeout / 2).max(1).to_string()),
        // A transaction of a node that hangs holds back the horizon of all.
        ("idle_in_transaction_session_timeout", timeout.to_string()),
        // Statements are small: compiling them, or workers for them, cost more than they save.
        ("jit", "off".to_owned()),
        ("max_parallel_workers_per_gather", "0".to_owned()),
        // A plan is kept with the connection. One made while a table was small must not read the whole of it later.
        ("enable_seqscan", "off".to_owned()),
        // Lookups by key, which is what our statements consist of, want a plain index scan: to set up a bitmap or a memory
        // of what was looked up costs more than either saves.
        ("enable_bitmapscan", "off".to_owned()),
        ("enable_memoize", "off".to_owned()),
        // Statements are written to be planned once, see QUERIES.md. Planning one for its parameters again and again, as
        // the server may choose to where a list is shorter than it believes, costs more than running it.
        ("plan_cache_mode", "force_generic_plan".to_owned()),
    ]
}

async fn check_server(pool: &PgPool) -> Result<(), OpenError> {
    let row = sqlx::query(
        "SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS name,
             current_setting('server_encoding') AS encoding, pg_is_in_recovery() AS standby,
             current_setting('transaction_read_only') = 'on' AS read_only",
    )
    .fetch_one(pool)
    .await
    .map_err(OpenError::Connect)?;
    let number: i32 = row.try_get("number").map_err(OpenError::Connect)?;
    if number < OLDEST_SERVER {
        return Err(OpenError::TooOld { found: row.try_get("name").map_err(OpenError::Connect)? });
    }
    if row.try_get("standby").map_err(OpenError::Connect)? {
        return Err(OpenError::TakesNoWrites { why: "it is a standby, or recovers" });
    }
    if row.try_get("read_only").map_err(OpenError::Connect)? {
        return Err(OpenError::TakesNoWrites { why: "default_transaction_read_only is on" });
    }
    let encoding: String = row.try_get("encoding").map_err(OpenError::Connect)?;
    if encoding == "UTF8" { Ok(()) } else { Err(OpenError::Encoding { found: encoding }) }
}
