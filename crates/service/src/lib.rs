//! The use cases of Olmstead: what a client may ask for, on top of the domain's rules and the storage traits.
//!
//! A use case is a function in the module of its feature. It takes the [`Context`] and what the request says, calls one
//! or two storage commands, and answers only after they are committed.

pub mod backups;
pub mod caches;
mod context;
pub mod dehydrated;
mod error;
pub mod keys;
pub mod notifier;
pub mod to_device;

pub use self::{
    context::{Context, Environment, RegistrationMode, ServiceConfig, SystemEnvironment},
    error::{Refusal, Result, ServiceError},
};
