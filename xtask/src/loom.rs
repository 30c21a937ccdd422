//! `loom`: every order in which threads can run, for the positions of the stream and for wake-ups.

use crate::Failure;
use crate::env::target_dir;
use crate::process::{cargo, check, describe};

/// So often a thread may be interrupted where it need not be. Two find nearly all there is to find; each more takes ten
/// times as long.
const PREEMPTIONS: &str = "3";

/// Runs the models. They have a build of their own, without an engine.
///
/// # Errors
/// If an order was found that breaks a rule.
pub(crate) fn run() -> Result<(), Failure> {
    let mut test = cargo(["test", "--release", "--package", "olmstead-sequence", "--test", "loom"])?;
    test.env("CARGO_TARGET_DIR", target_dir().join("loom")).env("RUSTFLAGS", "--cfg loom");
    test.env("LOOM_MAX_PREEMPTIONS", PREEMPTIONS);
    println!("$ {}", describe(&test));
    check(&mut test)
}
