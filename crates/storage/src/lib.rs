//! The storage traits of Olmstead: one trait per aggregate, one method per atomic command or consistent read.
//!
//! A command is committed and durable when it returns, and has either happened whole or not at all. Rules that need the
//! old value are pure functions in `olmstead_domain`, applied by the engine inside the command. Time, randomness and new
//! ids are parameters. Spans of positions and cursors are half-open: from `from`, itself included, to `to`, excluded.

pub mod account_data;
pub mod accounts;
pub mod audit;
pub mod backups;
pub mod changes;
pub mod cross_signing;
pub mod dehydrated;
pub mod devices;
pub mod directory;
pub mod ephemeral;
mod error;
pub mod inspection;
pub mod keys;
pub mod maintenance;
pub mod media;
pub mod registration_tokens;
pub mod repair;
pub mod rooms;
pub mod short_lived;
pub mod sync;
pub mod to_device;

use std::sync::Arc;

use async_trait::async_trait;

pub use self::{
    account_data::AccountData,
    accounts::Accounts,
    audit::Audit,
    backups::Backups,
    changes::Changes,
    cross_signing::CrossSigning,
    dehydrated::DehydratedDevices,
    devices::Devices,
    directory::Directory,
    ephemeral::Ephemeral,
    error::{Result, StorageError, with_causes},
    inspection::Inspection,
    keys::Keys,
    maintenance::Maintenance,
    media::Media,
    registration_tokens::RegistrationTokens,
    repair::Repair,
    rooms::Rooms,
    short_lived::ShortLived,
    sync::SyncReads,
    to_device::ToDevice,
};

/// A whole store. Use cases take the one trait they need by upcasting.
#[async_trait]
pub trait Storage:
    AccountData
    + Accounts
    + Audit
    + Backups
    + Changes
    + CrossSigning
    + DehydratedDevices
    + Devices
    + Directory
    + Ephemeral
    + Inspection
    + Keys
    + Maintenance
    + Media
    + RegistrationTokens
    + Repair
    + Rooms
    + ShortLived
    + SyncReads
    + ToDevice
{
    /// The engine's name, such as `rocksdb`, for logs and traces.
    fn engine(&self) -> &'static str;

    /// The server's signing key as 32 bytes of seed and the key's version; `fresh` is kept and returned if the store has
    /// none yet.
    async fn signing_key(&self, fresh: ([u8; 32], String)) -> Result<([u8; 32], String)>;

    /// The server name the store belongs to; `name` is kept and returned if it has none yet. A server refuses to run on
    /// another server's store.
    async fn server_name(&self, name: &str) -> Result<String>;

    /// Whether the engine answers.
    async fn ping(&self) -> Result<()>;

    /// Writes out what is not durable yet and refuses further commands.
    async fn close(&self) -> Result<()>;
}

/// How the server holds a store.
pub type SharedStorage = Arc<dyn Storage>;
