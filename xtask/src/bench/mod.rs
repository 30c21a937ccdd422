//! `bench`: the benchmarks of the engines, and the load over HTTP.

mod http;
mod synapse;

use crate::Failure;
use crate::args::Args;
use crate::{engines, process, setup};

/// Runs what the arguments ask for.
///
/// # Errors
/// If something does not build or run, or a server answered what it must not.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let mut rest = args.rest();
    if let Some(at) = rest.iter().position(|arg| arg == "--http") {
        rest.remove(at);
        return http::run(Args::new(rest));
    }
    setup::run(setup::Needs::build())?;
    // The profile and the packages of all other builds, so that nothing is compiled again.
    let mut cargo = process::cargo(["bench", "--workspace", "--profile", "dev"])?;
    if !rest.iter().any(|arg| arg.starts_with("--bench")) {
        cargo.args(["--bench", "*"]);
    }
    process::check(cargo.args(engines::FEATURES).args(rest))
}
