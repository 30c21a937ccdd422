//! Black-box tests: a whole server, spoken to over HTTP only.
//!
//! A test body is written once. Which server it runs against is chosen outside: see [`harness::Server`].
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]
// The harness is a small library; not every part of it is used by every set of tests.
#![allow(dead_code, unused_imports)]

mod e2ee;
mod faults;
mod fuzz;
mod harness;
mod nodes;
mod olm;
mod operators;
mod oracle;
mod processes;
mod restore;
mod rooms;
mod rules;
mod telemetry;
