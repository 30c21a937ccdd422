//! Olmstead's embedded store: the storage traits on RocksDB, for one process and one directory.
//!
//! A command takes the locks of what it touches, runs on a blocking thread, reads, decides, and writes one batch with
//! one position; it gives its locks back and waits until the log is on disk, together with all others that wait. So a
//! command that succeeded survives a crash, and no read shows half of one.

mod account_data;
mod accounts;
mod audit;
mod backups;
mod census;
mod changes;
mod command;
mod cross_signing;
mod damage;
mod dehydrated;
mod device_keys;
mod devices;
mod directory;
mod disk;
mod engine;
mod ephemeral;
mod error;
mod facts;
#[cfg(feature = "drill-faults")]
mod faults;
#[doc(hidden)]
pub mod fuzzing;
mod inspection;
mod keys;
mod lately;
mod locks;
mod log_check;
mod log_marks;
mod maintenance;
mod media;
mod newest;
mod place;
mod pools;
mod reads;
mod registration_tokens;
mod repair;
mod rooms;
mod rows;
mod short_lived;
mod store;
mod stream;
mod sync;
mod to_device;
mod tokens;
mod user_keys;
mod wal;

#[cfg(feature = "drill-faults")]
pub use self::faults::Faults;
pub use self::{
    census::{Rows, census},
    disk::{Disk, RealDisk, Space},
    engine::Options,
    error::OpenError,
    maintenance::DirectoryLock,
    store::RocksStore,
};
