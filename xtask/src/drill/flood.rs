//! `drill flood`: attacks on a server with its limits, and what becomes of it and of honest clients; see `benches/flood`.

use std::path::PathBuf;

use crate::Failure;
use crate::args::{Args, split_option};
use crate::engines::Engine;
use crate::postgres::test_cluster;
use crate::process::{build_beside_olmstead, check, command};
use crate::server::{Data, Scratch, Server};
use crate::setup::{self, Needs};

const PROGRAM: &str = "olmstead-flood";
/// What the program takes a value for.
const OPTIONS: [&str; 4] = ["--seconds", "--only", "--memory-mib", "--honest-p99-ms"];

/// What to do.
#[derive(Debug, Default, PartialEq)]
struct Plan {
    engines: Vec<Engine>,
    release: bool,
    /// Arguments of the program.
    flood: Vec<String>,
}

impl Plan {
    fn parse(mut args: Args) -> Result<Self, Failure> {
        let mut plan = Self::default();
        while let Some(arg) = args.next() {
            match split_option(&arg) {
                (name @ "--engine", inline) => plan.engines.push(Engine::parse(&args.value(name, inline)?)?),
                ("--release", None) => plan.release = true,
                (name, inline) if OPTIONS.contains(&name) => plan.flood.extend(args.option(name, inline)?),
                _ => return Err(format!("`{arg}` is not for `drill flood`; see `cargo xtask help`")),
            }
        }
        plan.engines = Engine::or_all(plan.engines);
        Ok(plan)
    }

    fn attack(&self, engine: Engine, [server, flood]: &[PathBuf; 2]) -> Result<(), Failure> {
        let scratch = Scratch::new(&format!("flood-{}", engine.name()))?;
        let cluster = (engine == Engine::Postgres).then(test_cluster).transpose()?;
        let data = match &cluster {
            Some((_, url)) => Data::database(url)?,
            None => Data::Directory,
        };
        let running = Server::start_with(server, &data, &scratch, &[])?;
        let build = if self.release { "release" } else { "debug" };
        println!("Floods on {}, {build} build", engine.name());
        let mut command = command(flood);
        command.args(["--url", &running.url(), "--server-pid", &running.process().to_string()]).args(&self.flood);
        let done = check(&mut command);
        let stopped = running.stop();
        if done.is_err() || stopped.is_err() {
            scratch.show_log();
        }
        done.and(stopped)
    }
}

/// Runs what the arguments ask for; all engines, also when one fails.
///
/// # Errors
/// If something does not build or start, or a bound is broken.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let plan = Plan::parse(args)?;
    setup::run(Needs::test(plan.engines.contains(&Engine::Postgres), false, false))?;
    let built = build_beside_olmstead(PROGRAM, plan.release)?;
    let mut failed = Vec::new();
    for engine in &plan.engines {
        if let Err(failure) = plan.attack(*engine, &built) {
            println!("{failure}");
            failed.push(engine.name());
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("the drill failed on {}", failed.join(", "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans() {
        let parse = |args: &[&str]| Plan::parse(Args::new(args.iter().map(|&arg| arg.to_owned())));
        assert_eq!(parse(&[]).map(|plan| plan.engines), Ok(Engine::ALL.to_vec()));
        let plan = parse(&["--release", "--engine=postgres", "--seconds", "5"]);
        let flood = ["--seconds", "5"].map(str::to_owned).to_vec();
        assert_eq!(plan, Ok(Plan { engines: vec![Engine::Postgres], release: true, flood }));
        assert!(parse(&["--fast"]).is_err());
    }
}
