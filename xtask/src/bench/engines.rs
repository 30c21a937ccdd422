//! `bench`: the engines side by side, without HTTP.

use std::path::PathBuf;

use olmstead_postgres_cluster::Cluster;

use crate::Failure;
use crate::args::{Args, split_option};
use crate::engines::Engine;
use crate::process::{check, command, describe, release_binary};
use crate::server::{Data, Scratch};

use super::report::{self, Kind, Report};

pub(super) const PROGRAM: &str = "olmstead-engines";
/// Worlds of a quick run, and of a whole one. The largest is a hundred times as large as another: growth is judged by both.
const SIZES: [&str; 2] = ["100,10000", "100,1000,10000,100000"];

/// What to measure, and how.
#[derive(Debug, Default, PartialEq)]
struct Plan {
    engines: Vec<Engine>,
    quick: bool,
    report: Report,
    /// Arguments of the program itself.
    rest: Vec<String>,
}

impl Plan {
    fn parse(mut args: Args) -> Result<Self, Failure> {
        let mut plan = Self::default();
        while let Some(arg) = args.next() {
            match split_option(&arg) {
                (name @ "--engine", inline) => plan.engines.push(Engine::parse(&args.value(name, inline)?)?),
                (name, inline) if plan.report.take(name, inline, &mut args)? => {}
                (name @ ("--only" | "--sizes" | "--seed"), inline) => {
                    plan.rest.extend(args.option(name, inline)?);
                }
                ("--quick", None) => plan.quick = true,
                _ => return Err(format!("`{arg}` is not for `bench`; see `cargo xtask help`")),
            }
        }
        plan.engines = Engine::or_all(plan.engines);
        if !plan.rest.iter().any(|arg| arg == "--sizes") {
            plan.rest.extend(["--sizes".to_owned(), SIZES[usize::from(!plan.quick)].to_owned()]);
        }
        Ok(plan)
    }

    fn measure(&self, engine: Engine, scratch: &Scratch) -> Result<PathBuf, Failure> {
        let json = scratch.path().join(format!("{}.json", engine.name()));
        let cluster = (engine == Engine::Postgres).then(super::durable_cluster).transpose()?;
        let mut program = command(release_binary(PROGRAM));
        program.args(["--engine", engine.name()]).arg("--json").arg(&json).args(&self.rest);
        let database = cluster.as_ref().map(|cluster| Data::database(&cluster.url("postgres"))).transpose()?;
        if let Some(Data::Database(database)) = &database {
            program.args(["--url", database.url()]);
        }
        if let Some(process) = cluster.as_ref().and_then(Cluster::process) {
            program.arg(format!("--database-pid={process}"));
        }
        println!("$ {}", describe(&program));
        check(&mut program)?;
        Ok(json)
    }
}

/// Measures the engines one after another.
///
/// # Errors
/// If something does not build or run.
pub(super) fn run(args: Args) -> Result<(), Failure> {
    let plan = Plan::parse(args)?;
    super::build(&[PROGRAM, report::PROGRAM])?;
    let scratch = Scratch::new("engines")?;
    let mut runs = Vec::new();
    for engine in &plan.engines {
        runs.push(plan.measure(*engine, &scratch)?);
    }
    plan.report.show(Kind::Engines, &runs, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans() {
        let parse = |args: &[&str]| Plan::parse(Args::new(args.iter().map(|&arg| arg.to_owned())));
        assert_eq!(parse(&["--quick"]).map(|plan| plan.rest), Ok(vec!["--sizes".to_owned(), SIZES[0].to_owned()]));
        assert_eq!(parse(&["--save", "a", "--compare=b"]).map(|plan| plan.report.save), Ok(Some("a".to_owned())));
        let rest = ["--sizes", "10", "--only", "claim"].map(str::to_owned).to_vec();
        assert_eq!(parse(&["--sizes=10", "--only", "claim"]).map(|plan| plan.rest), Ok(rest));
        assert!(parse(&["--peer", "synapse"]).is_err());
    }
}
