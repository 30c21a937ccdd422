//! Positions that are given out and become final, and waiters that are woken: the two places where the order in which
//! threads run decides whether a client misses something.
//!
//! They are alone in this crate, without I/O and nearly without dependencies, so that loom can try every order on the very
//! code that runs: with `--cfg loom`, all that threads share here is loom's. `cargo xtask loom` does so.

mod positions;
mod sync;
mod waiters;

pub use self::{
    positions::{Changed, Positions, Retired},
    waiters::{Registration, Waiters},
};
