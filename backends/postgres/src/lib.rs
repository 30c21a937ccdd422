//! Olmstead's store for many nodes: the storage traits on one PostgreSQL database.
//!
//! A command is one short transaction: it takes advisory locks, reads, decides, and writes. Its position in the stream
//! of changes is its transaction id, so no counter is locked, and the horizon is the oldest id still running. A command
//! is answered when the horizon has passed it, so whoever reads after the answer, on any node, reads what it wrote.
//!
//! *Invariant:* nothing that another node must know is kept in memory. [`store`] runs commands and reads, and runs them
//! again where that is safe; [`epoch`] says what a position is; [`stream`] follows the horizon.

mod account_data;
mod accounts;
mod audit;
pub mod backup;
mod backups;
mod batch;
mod batches;
mod changes;
mod command;
mod connections;
mod cross_signing;
mod dehydrated;
mod device_lists;
mod devices;
mod directory;
mod ephemeral;
mod epoch;
mod error;
#[cfg(feature = "drill-faults")]
mod faults;
#[doc(hidden)]
pub mod fuzzing;
mod inspection;
mod keys;
mod layout;
mod locks;
mod maintenance;
mod media;
mod open;
mod presence;
mod profiles;
mod queues;
mod registration_tokens;
mod repair;
mod rooms;
mod rows;
mod schema;
mod short_lived;
mod store;
mod stream;
mod sync;
mod text;
mod to_device;
mod tokens;
mod transaction;

#[cfg(feature = "drill-faults")]
pub use self::faults::Faults;
pub use self::{error::OpenError, open::Options, store::PostgresStore};
