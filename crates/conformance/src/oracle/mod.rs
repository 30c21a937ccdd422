//! Predictions of what clients must be told, from nothing but what was done.
//!
//! An oracle knows no server and no store. A test tells it what it did over HTTP and asks what the answers have to be;
//! where the specification leaves room, an oracle gives bounds: what must be in an answer, and what may be in it.

pub mod backups;
pub mod device_lists;
pub mod one_time_keys;
