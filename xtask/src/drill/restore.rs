//! `drill restore`: real clients live through a restore of the store, see the black-box test that this runs.

use crate::Failure;
use crate::args::{Args, split_option};
use crate::engines::Engine;
use crate::postgres::test_cluster;
use crate::setup::{self, Needs};
use crate::suite;

/// The test's name.
const TEST: &str = "restore::drill::";

/// Runs the drill on all engines, or the one in the arguments.
///
/// # Errors
/// If a message was not decrypted, or the drill could not be run.
pub(crate) fn run(mut args: Args) -> Result<(), Failure> {
    let (mut engines, mut users) = (Engine::ALL.to_vec(), "8".to_owned());
    while let Some(arg) = args.next() {
        match split_option(&arg) {
            ("--engine", value) => engines = vec![Engine::parse(&args.value("--engine", value)?)?],
            ("--users", value) => users = args.value("--users", value)?,
            _ => return Err(format!("drill restore takes --engine NAME and --users N, not `{arg}`")),
        }
    }
    setup::run(Needs::everything())?;
    let suite = suite::build()?;
    for engine in engines {
        let cluster = (engine == Engine::Postgres).then(test_cluster).transpose()?;
        let url = cluster.as_ref().map(|(_, url)| url.as_str());
        suite.run_drill(engine, url, TEST, &[("BLACKBOX_USERS", &users)])?;
    }
    Ok(())
}
