//! `postgres`: a command with a fresh PostgreSQL beside it.

use std::process::Stdio;

use olmstead_postgres_cluster::{Cluster, Options};

use crate::Failure;
use crate::args::Args;
use crate::env::target_dir;
use crate::process::{check, command};
use crate::setup::{self, Needs};

/// The variable in which tests find a database whose user may create others.
pub(crate) const TEST_URL: &str = "OLMSTEAD_TEST_POSTGRES";

/// A cluster for tests and the URL for [`TEST_URL`]. It goes when this process ends, in whatever way.
///
/// # Errors
/// If PostgreSQL is not installed or does not start.
pub(crate) fn test_cluster() -> Result<(Cluster, String), Failure> {
    let cluster = Cluster::start(&Options::default()).map_err(|e| e.to_string())?;
    let url = cluster.url("postgres");
    println!("PostgreSQL for the tests: {url}");
    Ok((cluster, url))
}

/// Runs the command in the arguments.
///
/// # Errors
/// If there is no cluster, or the command does not succeed.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let mut rest = args.rest();
    if rest.first().is_some_and(|first| first == "--") {
        rest.remove(0);
    }
    let Some((program, rest)) = rest.split_first() else {
        return Err("name a command, such as `cargo xtask postgres -- cargo test -p olmstead-postgres`".to_owned());
    };
    setup::run(Needs::postgres())?;
    let (cluster, url) = test_cluster()?;
    // Where xtask builds, so that `cargo` builds nothing twice.
    let mut command = command(program);
    command.args(rest).env(TEST_URL, url).env("CARGO_TARGET_DIR", target_dir()).stdin(Stdio::inherit());
    if let Ok(here) = std::env::current_dir() {
        command.current_dir(here);
    }
    let result = check(&mut command);
    cluster.stop();
    result
}
