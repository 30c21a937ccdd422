//! The use cases of Olmstead: what a client may ask for, on top of the domain's rules and the storage traits.
//!
//! A use case is a function in the module of its feature. It takes the [`Context`] and what the request says, calls one
//! or two storage commands, and answers only after they are committed.

pub mod account_data;
pub mod accounts;
pub mod admin;
pub mod backups;
pub mod caches;
pub mod census;
mod context;
pub mod dehydrated;
pub mod device_lists;
pub mod devices;
mod error;
pub mod filters;
pub mod keys;
pub mod media;
pub mod notifier;
pub mod presence;
pub mod profile;
pub mod push_rules;
pub mod pushers;
pub mod quotas;
pub mod rooms;
mod secret;
pub mod sliding_sync;
pub mod sync;
pub mod tailer;
pub mod to_device;
mod tries;
pub mod uia;
pub mod unread;
pub mod user_directory;

pub use self::{
    context::{Context, Environment, RegistrationMode, ServiceConfig, SystemEnvironment},
    error::{Refusal, Result, ServiceError},
    secret::Secret,
};
