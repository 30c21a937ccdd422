//! `bench`: the engines side by side, the load over HTTP, and single benchmarks.

mod engines;
mod http;
mod report;
mod synapse;

use olmstead_postgres_cluster::{Cluster, Options};

use crate::args::Args;
use crate::process::{build_release, cargo, check, describe};
use crate::setup::{self, Needs};
use crate::{Failure, engines as names};

/// Runs what the arguments ask for.
///
/// # Errors
/// If something does not build or run, or a server answered what it must not.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let mut rest = args.rest();
    if rest.iter().any(|arg| arg.starts_with("--bench")) {
        return single(rest);
    }
    match rest.iter().position(|arg| arg == "--http") {
        Some(at) => {
            rest.remove(at);
            http::run(Args::new(rest))
        }
        None => engines::run(Args::new(rest)),
    }
}

/// One of the benchmarks in `benches/benches`, in the profile of all other builds, so that nothing is compiled again.
fn single(args: Vec<String>) -> Result<(), Failure> {
    setup::run(Needs::build())?;
    let mut cargo = cargo(["bench", "--workspace", "--profile", "dev"])?;
    check(cargo.args(names::FEATURES).args(args))
}

/// Builds programs as they are used.
fn build(binaries: &[&str]) -> Result<(), Failure> {
    setup::run(Needs::test(true, false))?;
    let mut build = build_release(binaries)?;
    println!("$ {}", describe(&build));
    check(&mut build)
}

/// PostgreSQL with its log synced, as a server in use has it.
fn durable_cluster() -> Result<Cluster, Failure> {
    Cluster::start(&Options { durable: true, ..Options::default() }).map_err(|e| e.to_string())
}
