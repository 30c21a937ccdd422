//! `bench`: the engines side by side, and the load over HTTP.

mod cold;
mod engines;
mod http;
mod report;
mod synapse;

use olmstead_postgres_cluster::{Cluster, Options};

use crate::Failure;
use crate::args::Args;
use crate::process::{build_release, check, command, describe};
use crate::setup::{self, Needs};

/// Runs what the arguments ask for.
///
/// # Errors
/// If something does not build or run, or a server answered what it must not.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let mut rest = args.rest();
    match rest.iter().position(|arg| arg == "--http") {
        Some(at) => {
            rest.remove(at);
            http::run(Args::new(rest))
        }
        None => engines::run(Args::new(rest)),
    }
}

/// Builds programs as they are used.
fn build(binaries: &[&str]) -> Result<(), Failure> {
    setup::run(Needs::test(true, false, false))?;
    let mut build = build_release(binaries)?;
    println!("$ {}", describe(&build));
    check(&mut build)
}

/// PostgreSQL with its log synced, as a server in use has it.
fn durable_cluster() -> Result<Cluster, Failure> {
    Cluster::start(&Options { durable: true, ..Options::default() }).map_err(|e| e.to_string())
}

/// Lets the programs that are started have as many open files as there may be: each long poll is a connection.
fn raise_open_files() {
    // Limits are inherited; without the program they stay, and the load lets fewer long polls wait.
    let process = format!("--pid={}", std::process::id());
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    if let Some(most) = files.and_then(|line| line.split_whitespace().nth(1)) {
        let _ = check(command("prlimit").arg(process).arg(format!("--nofile={most}:{most}")));
    }
}
