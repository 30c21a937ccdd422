//! What can go wrong, and what is done about it.

use olmstead_storage::{StorageError, with_causes};
use sqlx::Error as SqlError;

/// Why a store cannot be opened, in words for the operator.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL cannot be read. It may hold a password, so it is not repeated.
    #[error("the URL of the PostgreSQL database cannot be read: {0}")]
    Url(#[source] SqlError),
    /// The database does not answer or refuses the connection.
    #[error("PostgreSQL cannot be reached: {0}")]
    Connect(#[source] SqlError),
    /// PostgreSQL is too old.
    #[error("PostgreSQL {found} is too old: version 15 or newer is needed")]
    TooOld {
        /// What the server says of itself.
        found: String,
    },
    /// The database's encoding is not UTF-8.
    #[error("the database has the encoding {found}: make one with ENCODING 'UTF8' TEMPLATE template0")]
    Encoding {
        /// The encoding.
        found: String,
    },
    /// A newer version of the server has changed the database in a way this one does not know.
    #[error(
        "the database has schema {found}, usable from schema {oldest} on, and this version knows schema {known}: run a \
         newer version"
    )]
    Newer {
        /// The schema of the database.
        found: i32,
        /// The oldest schema whose nodes can run on it.
        oldest: i32,
        /// The schema this version knows.
        known: i32,
    },
    /// It is a standby, or was told to take no writes.
    #[error("PostgreSQL takes no writes ({why}): `storage.url` has to name the primary")]
    TakesNoWrites {
        /// Why.
        why: &'static str,
    },
    /// There is no store in the database, and none is to be made.
    #[error("the database has no tables of a store, and `storage.create` is false: is it the right database?")]
    Missing,
    /// Something of the schema is not as it was made.
    #[error(
        "the database is damaged or was altered: {what}; undo what was altered, or restore a backup with \
         `olmstead restore`"
    )]
    Altered {
        /// What is missing, and how it should be.
        what: String,
    },
    /// The schema could not be made or read.
    #[error("the schema of the database could not be brought up to date: {0}")]
    Schema(#[source] SqlError),
    /// Something else failed.
    #[error("{}", with_causes(.0))]
    Storage(#[from] StorageError),
}

impl OpenError {
    /// Whether it is likely to be over soon: the connection was lost on the way, or the server is starting or stopping.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Connect(error) | Self::Schema(error) => is_lost(error),
            Self::Storage(StorageError::Unavailable { .. } | StorageError::Conflict) => true,
            _ => false,
        }
    }
}

impl From<Failure> for OpenError {
    fn from(failure: Failure) -> Self {
        Self::Storage(failure.into())
    }
}

/// How a command or a read failed, by what is to be done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Others stood in the way: nothing was written, and running again is right.
    Again(SqlError),
    /// The connection was lost, or the server is starting or stopping. Before the commit nothing was written.
    Lost(SqlError),
    /// The server recovered from a crash, and no position can be taken until the store was opened anew.
    NotRunning,
    /// Running again does not help.
    Final(StorageError),
}

/// What functions inside the engine answer.
pub(crate) type Done<T> = Result<T, Failure>;

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Final(error)
    }
}

/// Whether the connection was lost, or the server is starting or stopping.
pub(crate) fn is_lost(error: &SqlError) -> bool {
    match error {
        // admin_shutdown, crash_shutdown, cannot_connect_now, idle_session_timeout; connection exceptions;
        // too_many_connections; read_only_sql_transaction, on what is a standby until it is promoted;
        // idle_in_transaction_session_timeout; in_failed_sql_transaction and active_sql_transaction, by which a connection
        // is not as it should be and as good as lost
        SqlError::Database(database) => database.code().is_some_and(|code| {
            let codes = ["57P01", "57P02", "57P03", "57P05", "53300", "25006", "25P03", "25P02", "25001"];
            codes.contains(&&*code) || code.starts_with("08")
        }),
        SqlError::Io(_) | SqlError::Tls(_) | SqlError::Protocol(_) | SqlError::WorkerCrashed => true,
        _ => false,
    }
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        match &error {
            lost if is_lost(lost) => Self::Lost(error),
            SqlError::Database(database) => match database.code().as_deref() {
                // serialization_failure, deadlock_detected, lock_not_available
                Some("40001" | "40P01" | "55P03") => Self::Again(error),
                // not_null_violation: of all columns only a position can be absent.
                Some("23502") => Self::NotRunning,
                // Data exceptions and limits, such as a character that no text can have or a key that no index can hold.
                Some(code) if code.starts_with("22") || code.starts_with("54") => {
                    Self::Final(StorageError::refused("PostgreSQL cannot hold this", error))
                }
                // undefined_table, undefined_column, undefined_function; data_corrupted, index_corrupted
                Some("42P01" | "42703" | "42883") => {
                    Self::Final(StorageError::corrupt("something of the database's schema is missing", error))
                }
                Some("XX001" | "XX002") => Self::Final(StorageError::corrupt("PostgreSQL found damaged data", error)),
                // disk_full
                Some("53100") => Self::Final(StorageError::unavailable("the disk of PostgreSQL is full", error)),
                _ => Self::Final(StorageError::unavailable("PostgreSQL refused a statement", error)),
            },
            SqlError::PoolTimedOut => Self::Final(StorageError::unavailable("no connection became free", error)),
            SqlError::PoolClosed => Self::Final(StorageError::unavailable("the store is closed", error)),
            SqlError::ColumnDecode { .. } | SqlError::Decode(_) => {
                Self::Final(StorageError::corrupt("a row cannot be read", error))
            }
            _ => Self::Final(StorageError::unavailable("PostgreSQL failed", error)),
        }
    }
}

impl From<Failure> for StorageError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Again(error) => {
                tracing::warn!(%error, "a command stood in the way of others too often");
                Self::Conflict
            }
            Failure::Lost(error) => {
                let code = error.as_database_error().and_then(|error| error.code());
                let what = match code.as_deref() {
                    Some("25006") => "PostgreSQL takes no writes: it is a standby, or was told so",
                    Some("53300") => "PostgreSQL has no connection left",
                    _ => "the connection to PostgreSQL was lost",
                };
                Self::unavailable(what, error)
            }
            Failure::NotRunning => {
                Self::Unavailable { message: "PostgreSQL recovered from a crash".to_owned(), source: None }
            }
            Failure::Final(error) => error,
        }
    }
}
