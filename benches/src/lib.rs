//! Measurements of Olmstead: what the two programs have in common. `cargo xtask bench` runs them.
//!
//! `engines` holds the storage engines side by side, through the storage traits and without HTTP; `load` loads a whole
//! server over HTTP; `report` shows what they found.

pub mod check;
pub mod cpu;
pub mod progress;
pub mod report;
pub mod run;
