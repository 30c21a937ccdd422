//! Olmstead, a Matrix homeserver whose heart is end-to-end encryption done right, as a library.
//!
//! ```no_run
//! # async fn run() -> Result<(), olmstead::ServerError> {
//! let server = olmstead::Server::builder("example.org").rocksdb("data").open_registration().build().await?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8008").await.map_err(olmstead::ServerError::Io)?;
//! server.serve(listener, std::future::pending()).await
//! # }
//! ```
//!
//! Nothing is global: several servers run in one process, each on its own store. A server installs no logger, no signal
//! handler and no metrics provider; the binary does.

#[cfg(not(any(feature = "rocksdb", feature = "postgres")))]
compile_error!(
    "Olmstead is built without a storage engine: enable at least one of the features `rocksdb` and \
     `postgres` of the package `olmstead`."
);

#[cfg(any(feature = "rocksdb", feature = "postgres"))]
pub mod admin;
#[cfg(any(feature = "rocksdb", feature = "postgres"))]
pub mod backup;
#[cfg(any(feature = "rocksdb", feature = "postgres"))]
mod builder;
#[cfg(any(feature = "rocksdb", feature = "postgres"))]
pub mod config;
mod connections;
#[cfg(any(feature = "rocksdb", feature = "postgres"))]
mod engine;
#[cfg(any(feature = "rocksdb", feature = "postgres"))]
mod error;
#[cfg(feature = "drill-faults")]
mod faults;
mod first_bytes;
#[cfg(any(feature = "rocksdb", feature = "postgres"))]
pub mod open_files;
#[cfg(any(feature = "rocksdb", feature = "postgres"))]
mod run;
#[cfg(any(feature = "rocksdb", feature = "postgres"))]
pub mod telemetry;

pub use olmstead_http::admin::OperatorToken;

#[cfg(any(feature = "rocksdb", feature = "postgres"))]
pub use self::{builder::ServerBuilder, config::Config, error::ServerError, run::Server};
