//! `drill crash`: a server is killed under load, and a ledger says what it must have kept, see `drills`.

use std::fs;

use crate::Failure;
use crate::args::{Args, split_option};
use crate::engines::Engine;
use crate::env::target_dir;
use crate::process::{UNIFY, cargo, check, command, describe, olmstead_binary};
use crate::server::Scratch;
use crate::setup::{self, Needs};

/// The drill's program.
const PROGRAM: &str = "olmstead-drill";
/// Lets the drill see what is synced, and break things. No other build has it.
const FEATURES: [&str; 2] = ["--features", "olmstead/postgres,olmstead/drill-faults"];
/// In a run of all tests: enough to see a store that is not durable at all.
const SHORT: [&str; 4] = ["--kills", "8", "--seconds-per-life", "0.8"];
/// What the program takes a value for.
const OPTIONS: [&str; 5] = ["--kills", "--seconds-per-life", "--seed", "--people", "--break"];

/// What to do.
#[derive(Debug, Default, PartialEq)]
struct Plan {
    engines: Vec<Engine>,
    /// Arguments of the program.
    drill: Vec<String>,
}

impl Plan {
    fn parse(mut args: Args) -> Result<Self, Failure> {
        let mut plan = Self::default();
        while let Some(arg) = args.next() {
            match split_option(&arg) {
                (name @ "--engine", inline) => plan.engines.push(Engine::parse(&args.value(name, inline)?)?),
                (name, inline) if OPTIONS.contains(&name) => plan.drill.extend(args.option(name, inline)?),
                _ => return Err(format!("`{arg}` is not for `drill crash`; see `cargo xtask help`")),
            }
        }
        plan.engines = Engine::or_all(plan.engines);
        Ok(plan)
    }

    /// All engines, also when one fails.
    fn run(&self) -> Result<(), Failure> {
        let mut build = cargo(["build", "--workspace", "--bin", "olmstead", "--bin", PROGRAM])?;
        build.args(UNIFY).args(FEATURES);
        println!("$ {}", describe(&build));
        check(&mut build)?;
        let scratch = Scratch::new("drill")?;
        // The next build puts another binary there.
        let server = scratch.path().join("olmstead");
        fs::copy(olmstead_binary(false), &server).map_err(|e| format!("cannot copy the binary: {e}"))?;
        let mut failed = Vec::new();
        for engine in &self.engines {
            let mut drill = command(target_dir().join("debug").join(PROGRAM));
            drill.arg("--server").arg(&server).args(["--engine", engine.name()]).args(&self.drill);
            if check(&mut drill).is_err() {
                failed.push(engine.name());
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(format!("the drill failed on {}", failed.join(", "))) }
    }
}

/// Runs what the arguments ask for.
///
/// # Errors
/// If something does not build or start, or the server lost something.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let plan = Plan::parse(args)?;
    setup::run(Needs::test(plan.engines.contains(&Engine::Postgres), false, false))?;
    plan.run()
}

/// The short form, for a run of all tests.
///
/// # Errors
/// As of [`run`].
pub(crate) fn short(engine: Engine) -> Result<(), Failure> {
    Plan { engines: vec![engine], drill: SHORT.map(str::to_owned).to_vec() }.run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans() {
        let parse = |args: &[&str]| Plan::parse(Args::new(args.iter().map(|&arg| arg.to_owned())));
        assert_eq!(parse(&[]), Ok(Plan { engines: Engine::ALL.to_vec(), drill: Vec::new() }));
        let plan = parse(&["--engine", "rocksdb", "--kills=5", "--break", "no-sync"]);
        let drill = ["--kills", "5", "--break", "no-sync"].map(str::to_owned).to_vec();
        assert_eq!(plan, Ok(Plan { engines: vec![Engine::RocksDb], drill }));
        assert!(parse(&["--fast"]).is_err());
    }
}
