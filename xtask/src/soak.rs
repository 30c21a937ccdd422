//! `soak`: a steady load for hours, and whether the server grows.

use std::fs;
use std::path::{Path, PathBuf};

use olmstead_postgres_cluster::{Cluster, Options};

use crate::Failure;
use crate::args::{Args, split_option};
use crate::engines::Engine;
use crate::env::target_dir;
use crate::process::{build_beside_olmstead, check, command};
use crate::server::{Data, Scratch, Server};
use crate::setup::{self, Needs};

/// The program that loads.
const PROGRAM: &str = "olmstead-soak";
/// What the program takes a value for.
const OPTIONS: [&str; 5] = ["--every", "--people", "--rate", "--tolerance", "--seed"];

/// What to do.
#[derive(Debug, Default, PartialEq)]
struct Plan {
    engines: Vec<Engine>,
    hours: String,
    release: bool,
    /// Arguments of the program.
    soak: Vec<String>,
}

impl Plan {
    fn parse(mut args: Args) -> Result<Self, Failure> {
        let mut plan = Self::default();
        while let Some(arg) = args.next() {
            match split_option(&arg) {
                (name @ "--engine", inline) => plan.engines.push(Engine::parse(&args.value(name, inline)?)?),
                (name @ "--hours", inline) => plan.hours = args.value(name, inline)?,
                ("--release", None) => plan.release = true,
                (name, inline) if OPTIONS.contains(&name) => plan.soak.extend(args.option(name, inline)?),
                _ => return Err(format!("`{arg}` is not for `soak`; see `cargo xtask help`")),
            }
        }
        if !plan.hours.parse::<f64>().is_ok_and(|hours| hours > 0.0) {
            return Err("say how long: `cargo xtask soak --hours 0.5`".to_owned());
        }
        plan.engines = Engine::or_all(plan.engines);
        Ok(plan)
    }

    /// All engines, one after another, also when one grows.
    fn run(&self) -> Result<(), Failure> {
        let built = build_beside_olmstead(PROGRAM, self.release)?;
        let out = target_dir().join("soak");
        fs::create_dir_all(&out).map_err(|e| format!("cannot make {}: {e}", out.display()))?;
        let mut failed = Vec::new();
        for engine in &self.engines {
            if let Err(failure) = self.run_engine(*engine, &built, &out) {
                println!("{failure}");
                failed.push(engine.name());
            }
            println!("the page and the figures: {}", out.join(engine.name()).with_extension("html").display());
        }
        if failed.is_empty() { Ok(()) } else { Err(format!("the soak failed on {}", failed.join(", "))) }
    }

    fn run_engine(&self, engine: Engine, built: &[PathBuf; 2], out: &Path) -> Result<(), Failure> {
        let scratch = Scratch::new(&format!("soak-{}", engine.name()))?;
        // The next build puts others there.
        let programs = [scratch.path().join("olmstead"), scratch.path().join(PROGRAM)];
        for (from, to) in built.iter().zip(&programs) {
            fs::copy(from, to).map_err(|e| format!("cannot copy {}: {e}", from.display()))?;
        }
        let cluster = (engine == Engine::Postgres)
            .then(|| Cluster::start(&Options { durable: true, ..Options::default() }).map_err(|e| e.to_string()))
            .transpose()?;
        let data = match &cluster {
            Some(cluster) => Data::database(&cluster.url("postgres"))?,
            None => Data::Directory,
        };
        // As in use, with limits.
        let server = Server::start_with(&programs[0], &data, &scratch, &[("OLMSTEAD_LIMITS__ENABLED", "true")])?;
        let mut soak = command(&programs[1]);
        soak.args(["--url", &server.url(), "--name", engine.name(), "--hours", &self.hours])
            .arg(format!("--server-pid={}", server.process()))
            .arg("--out")
            .arg(out)
            .args(&self.soak);
        match &data {
            Data::Directory => soak.arg("--directory").arg(scratch.data()),
            Data::Database(database) => soak.arg("--database").arg(database.url()),
        };
        soak.args(cluster.as_ref().and_then(Cluster::process).map(|process| format!("--database-pid={process}")));
        println!("{} for {} hours", engine.name(), self.hours);
        let result = check(&mut soak);
        if result.is_err() {
            scratch.show_log();
        }
        server.stop()?;
        result
    }
}

/// Runs what the arguments ask for.
///
/// # Errors
/// If something does not build or start, something grew, or the server answered what it must not.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let plan = Plan::parse(args)?;
    setup::run(Needs::test(plan.engines.contains(&Engine::Postgres), false, false))?;
    plan.run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans() {
        let parse = |args: &[&str]| Plan::parse(Args::new(args.iter().map(|&arg| arg.to_owned())));
        assert!(parse(&[]).is_err() && parse(&["--hours", "long"]).is_err() && parse(&["--hours=0"]).is_err());
        let plan = parse(&["--hours", "0.5", "--engine=rocksdb", "--rate=9", "--release"]);
        let soak = ["--rate", "9"].map(str::to_owned).to_vec();
        let expected = Plan { engines: vec![Engine::RocksDb], hours: "0.5".to_owned(), release: true, soak };
        assert_eq!(plan, Ok(expected));
        assert_eq!(parse(&["--hours=2"]).map(|plan| plan.engines), Ok(Engine::ALL.to_vec()));
        assert!(parse(&["--hours", "1", "--fast"]).is_err());
    }
}
