//! Measurements of Olmstead: what the programs have in common. `cargo xtask bench` and `cargo xtask soak` run them.
//!
//! `engines` holds the storage engines side by side, through the storage traits and without HTTP; `load` loads a whole
//! server over HTTP; `report` shows what they found; `soak` is a steady load for hours, and says what grew.

pub mod chart;
pub mod check;
pub mod client;
pub mod cpu;
pub mod keys;
pub mod progress;
pub mod random;
pub mod report;
pub mod run;
