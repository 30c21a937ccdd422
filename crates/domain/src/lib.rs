//! The rules and types of Olmstead: what a Matrix homeserver must decide, with no I/O, no clock and no runtime.
//!
//! Everything here is a value or a pure function of its arguments. Time, randomness and stored data come in as
//! parameters, so a test decides them.

pub mod backup;
pub mod device_lists;
pub mod error;
pub mod filter;
pub mod identifiers;
pub mod json;
pub mod keys;
pub mod position;
pub mod push;
pub mod rooms;
pub mod to_device;
