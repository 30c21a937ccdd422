//! The pure rules of end-to-end encryption, against the requirements they carry out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod backup;
mod cross_signing;
mod device_keys;
mod identifiers;
mod json;
mod one_time;
mod signatures;
mod support;
mod to_device;
mod visibility;
