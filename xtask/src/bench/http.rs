//! `bench --http`: a load of real clients' requests on each engine, and on another homeserver beside them.

use std::path::{Path, PathBuf};

use olmstead_postgres_cluster::Cluster;

use crate::Failure;
use crate::args::{Args, split_option};
use crate::engines::Engine;
use crate::process::{check, command, describe, release_binary};
use crate::server::{Data, Scratch, Server};

use super::cold;
use super::durable_cluster;
use super::engines;
use super::report::{self, Kind, Report};
use super::synapse::{NAME as SYNAPSE, Synapse};

const LOAD: &str = "olmstead-load";
/// The one kind of work that is done with two nodes.
const TWO_NODES: &str = "wake-up, from node to node";
/// Long polls that wait at once on a peer: there are some that would not live through 10,000.
const PEER_POLLS: &str = "--polls=1000";

/// What to load, and how.
#[derive(Debug, Default, PartialEq)]
struct Plan {
    engines: Vec<Engine>,
    /// A server that runs already; no other is started then.
    url: Option<String>,
    synapse: bool,
    report: Report,
    /// Parts of the names of what is measured; everything if there are none.
    only: Vec<String>,
    /// Arguments of the load itself.
    load: Vec<String>,
}

/// A running server.
struct Target<'a> {
    name: &'a str,
    url: String,
    /// Its first process.
    server: Option<u32>,
    /// The first process of its database.
    database: Option<u32>,
}

impl Plan {
    fn parse(mut args: Args) -> Result<Self, Failure> {
        let mut plan = Self::default();
        while let Some(arg) = args.next() {
            match split_option(&arg) {
                (name @ "--engine", inline) => plan.engines.push(Engine::parse(&args.value(name, inline)?)?),
                (name @ "--url", inline) => plan.url = Some(args.value(name, inline)?),
                (name @ "--only", inline) => plan.only.push(args.value(name, inline)?),
                (name, inline) if plan.report.take(name, inline, &mut args)? => {}
                ("--quick", None) => plan.load.push(arg),
                (name @ "--peer", inline) => match args.value(name, inline)?.as_str() {
                    SYNAPSE => plan.synapse = true,
                    other => return Err(format!("there is no peer `{other}`; there is {SYNAPSE}")),
                },
                _ => return Err(format!("`{arg}` is not for `bench --http`; see `cargo xtask help`")),
            }
        }
        plan.engines = Engine::or_all(plan.engines);
        Ok(plan)
    }

    /// Loads a server; `more` are arguments for this load alone.
    fn load(&self, target: &Target<'_>, json: &Path, more: &[&str]) -> Result<(), Failure> {
        let mut load = command(release_binary(LOAD));
        load.args(["--lenient", "--url", &target.url, "--name", target.name]).arg("--json").arg(json);
        for (option, process) in [("--server-pid", target.server), ("--database-pid", target.database)] {
            load.args(process.map(|process| format!("{option}={process}")));
        }
        load.args(&self.load).args(more);
        println!("$ {}", describe(&load));
        check(&mut load)
    }

    /// Whether this kind of work is done.
    fn wants(&self, work: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| work.contains(only.as_str()))
    }

    /// The runs, one after another, so that no server takes another's time.
    fn run(&self, scratch: &Scratch) -> Result<Vec<PathBuf>, Failure> {
        let file = |name: &str| scratch.path().join(format!("{name}.json"));
        let mut runs = Vec::new();
        if let Some(url) = &self.url {
            let target = Target { name: "server", url: url.clone(), server: None, database: None };
            runs.push(file("server"));
            self.load(&target, &runs[0], &self.only())?;
            return Ok(runs);
        }
        for engine in &self.engines {
            self.run_engine(*engine, &file, &mut runs)?;
        }
        if self.synapse {
            let cluster = durable_cluster()?;
            let synapse = Synapse::start(&cluster)?;
            let (server, database) = (Some(synapse.process()), cluster.process());
            let target = Target { name: SYNAPSE, url: synapse.url(), server, database };
            runs.push(file(SYNAPSE));
            self.load(&target, &file(SYNAPSE), &[&self.only()[..], &[PEER_POLLS]].concat())?;
        }
        Ok(runs)
    }

    fn run_engine(
        &self,
        engine: Engine,
        file: &dyn Fn(&str) -> PathBuf,
        runs: &mut Vec<PathBuf>,
    ) -> Result<(), Failure> {
        let name = engine.name();
        let scratch = Scratch::new(&format!("bench-{name}"))?;
        let cluster = (engine == Engine::Postgres).then(durable_cluster).transpose()?;
        let data = match &cluster {
            Some(cluster) => Data::database(&cluster.url("postgres"))?,
            None => Data::Directory,
        };
        let server = Server::start(&release_binary("olmstead"), &data, &scratch)?;
        let database = cluster.as_ref().and_then(Cluster::process);
        let target = Target { name, url: server.url(), server: Some(server.process()), database };
        runs.push(file(name));
        self.load(&target, &file(name), &self.only())?;
        if engine == Engine::Postgres && self.wants(TWO_NODES) {
            let scratch = Scratch::new("bench-second")?;
            let second = Server::start(&release_binary("olmstead"), &data, &scratch)?;
            let file = file("postgres-nodes");
            let process = format!("--server-pid={}", second.process());
            self.load(&target, &file, &["--only", TWO_NODES, "--second-url", &second.url(), &process])?;
            runs.push(file);
            second.stop()?;
        }
        server.stop()?;
        if self.wants(cold::NAME) {
            let file = file(&format!("{name}-cold"));
            cold::measure(engine, self.load.iter().any(|arg| arg == "--quick"), &file)?;
            runs.push(file);
        }
        Ok(())
    }

    fn only(&self) -> Vec<&str> {
        self.only.iter().flat_map(|only| ["--only", only.as_str()]).collect()
    }
}

/// Loads every engine, or the server at `--url`, and prints them side by side.
///
/// # Errors
/// If something does not build or start, or a server answered what it must not.
pub(super) fn run(args: Args) -> Result<(), Failure> {
    let plan = Plan::parse(args)?;
    super::build(&["olmstead", LOAD, engines::PROGRAM, report::PROGRAM])?;
    super::raise_open_files();
    let scratch = Scratch::new("bench")?;
    let runs = plan.run(&scratch)?;
    plan.report.show(Kind::Http, &runs, &[SYNAPSE])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans() {
        let parse = |args: &[&str]| Plan::parse(Args::new(args.iter().map(|&arg| arg.to_owned())));
        assert_eq!(parse(&[]).map(|plan| plan.engines), Ok(Engine::ALL.to_vec()));
        let plan = parse(&["--peer", "synapse", "--quick", "--only=claim", "--engine=rocksdb"]);
        let (only, load) = (vec!["claim".to_owned()], vec!["--quick".to_owned()]);
        assert_eq!(plan, Ok(Plan { engines: vec![Engine::RocksDb], synapse: true, only, load, ..Plan::default() }));
        assert!(parse(&["--peer", "nothing"]).is_err());
        assert!(parse(&["--fast"]).is_err());
    }
}
