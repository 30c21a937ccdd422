//! `bench --http`: a load of real clients' requests on each engine, and on another homeserver beside them.

use std::path::PathBuf;

use olmstead_postgres_cluster::Cluster;

use crate::Failure;
use crate::args::{Args, split_option};
use crate::engines::Engine;
use crate::process::{check, command, describe, release_binary};
use crate::server::{Data, Scratch, Server};

use super::durable_cluster;
use super::report::{self, Report};
use super::synapse::Synapse;

const LOAD: &str = "olmstead-load";

/// What to load, and how.
#[derive(Debug, Default, PartialEq)]
struct Plan {
    engines: Vec<Engine>,
    /// A server that runs already; no other is started then.
    url: Option<String>,
    synapse: bool,
    report: Report,
    /// Arguments of the load itself.
    load: Vec<String>,
}

impl Plan {
    fn parse(mut args: Args) -> Result<Self, Failure> {
        let mut plan = Self::default();
        while let Some(arg) = args.next() {
            match split_option(&arg) {
                (name @ "--engine", inline) => plan.engines.push(Engine::parse(&args.value(name, inline)?)?),
                (name @ "--url", inline) => plan.url = Some(args.value(name, inline)?),
                (name @ "--only", inline) => plan.load.extend([name.to_owned(), args.value(name, inline)?]),
                (name, inline) if plan.report.take(name, inline, &mut args)? => {}
                ("--quick", None) => plan.load.push(arg),
                (name @ "--peer", inline) => match args.value(name, inline)?.as_str() {
                    "synapse" => plan.synapse = true,
                    other => return Err(format!("there is no peer `{other}`; there is synapse")),
                },
                _ => return Err(format!("`{arg}` is not for `bench --http`; see `cargo xtask help`")),
            }
        }
        if plan.engines.is_empty() {
            plan.engines = Engine::ALL.to_vec();
        }
        Ok(plan)
    }

    /// Loads a server; the file with its figures.
    fn load(
        &self,
        name: &str,
        url: &str,
        server: Option<u32>,
        database: Option<u32>,
        scratch: &Scratch,
    ) -> Result<PathBuf, Failure> {
        let json = scratch.path().join(format!("{name}.json"));
        let mut load = command(release_binary(LOAD));
        load.args(["--url", url, "--name", name]).arg("--json").arg(&json).args(&self.load);
        for (option, process) in [("--server-pid", server), ("--database-pid", database)] {
            load.args(process.map(|process| format!("{option}={process}")));
        }
        println!("$ {}", describe(&load));
        check(&mut load)?;
        Ok(json)
    }

    /// The runs, one after another, so that no server takes another's time.
    fn run(&self, scratch: &Scratch) -> Result<Vec<PathBuf>, Failure> {
        if let Some(url) = &self.url {
            return Ok(vec![self.load("server", url, None, None, scratch)?]);
        }
        let mut runs = Vec::new();
        for engine in &self.engines {
            let scratch_of_run = Scratch::new(&format!("bench-{}", engine.name()))?;
            let cluster = (*engine == Engine::Postgres).then(durable_cluster).transpose()?;
            let data = match &cluster {
                Some(cluster) => Data::database(&cluster.url("postgres"))?,
                None => Data::Directory,
            };
            let server = Server::start(&release_binary("olmstead"), &data, &scratch_of_run)?;
            let database = cluster.as_ref().and_then(Cluster::process);
            runs.push(self.load(engine.name(), &server.url(), Some(server.process()), database, scratch)?);
            server.stop()?;
        }
        if self.synapse {
            let cluster = durable_cluster()?;
            let synapse = Synapse::start(&cluster)?;
            let (process, database) = (Some(synapse.process()), cluster.process());
            runs.push(self.load("synapse", &synapse.url(), process, database, scratch)?);
        }
        Ok(runs)
    }
}

/// Loads every engine, or the server at `--url`, and prints them side by side.
///
/// # Errors
/// If something does not build or start, or a server answered what it must not.
pub(super) fn run(args: Args) -> Result<(), Failure> {
    let plan = Plan::parse(args)?;
    super::build(&["olmstead", LOAD, report::PROGRAM])?;
    let scratch = Scratch::new("bench")?;
    let runs = plan.run(&scratch)?;
    plan.report.show("http", &runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans() {
        let parse = |args: &[&str]| Plan::parse(Args::new(args.iter().map(|&arg| arg.to_owned())));
        assert_eq!(parse(&[]).map(|plan| plan.engines), Ok(Engine::ALL.to_vec()));
        let plan = parse(&["--peer", "synapse", "--quick", "--only=claim", "--engine=rocksdb"]);
        let load = ["--quick", "--only", "claim"].map(str::to_owned).to_vec();
        assert_eq!(plan, Ok(Plan { engines: vec![Engine::RocksDb], synapse: true, load, ..Plan::default() }));
        assert!(parse(&["--peer", "nothing"]).is_err());
        assert!(parse(&["--fast"]).is_err());
    }
}
