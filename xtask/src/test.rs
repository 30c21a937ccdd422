//! `test`: everything CI runs, in order, with a summary.

use std::io::Write;
use std::time::{Duration, Instant};

use olmstead_postgres_cluster::Cluster;

use crate::Failure;
use crate::args::{Args, split_option};
use crate::engines::{Engine, FEATURES};
use crate::process::{cargo, check, describe, rocksdb_is_built};
use crate::server::Data;
use crate::setup::{self, Needs};
use crate::steps::Step;
use crate::suite::{self, Suite};
use crate::{clients, docs, drill, features, loom, postgres, requirements, tidy};

/// What `test` was asked to do.
#[derive(Debug, PartialEq)]
struct Plan {
    engines: Vec<Engine>,
    steps: Vec<Step>,
    filter: Option<String>,
    /// For the tests with random commands.
    random: Vec<(&'static str, String)>,
}

/// The options of tests with random commands, and the variables that these read.
const RANDOM: [(&str, &str); 2] = [("--seed", "OLMSTEAD_CONFORMANCE_SEED"), ("--steps", "OLMSTEAD_CONFORMANCE_STEPS")];

impl Plan {
    fn parse(mut args: Args) -> Result<Self, Failure> {
        let (mut engines, mut filter) = (Vec::new(), None);
        let (mut only, mut skip, mut random) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(arg) = args.next() {
            match split_option(&arg) {
                (name @ "--engine", inline) => engines.push(Engine::parse(&args.value(name, inline)?)?),
                (name @ "--only", inline) => only.extend(Step::parse_list(&args.value(name, inline)?)?),
                (name @ "--skip", inline) => skip.extend(Step::parse_list(&args.value(name, inline)?)?),
                (option, inline) if option.starts_with('-') => {
                    let Some((name, variable)) = RANDOM.into_iter().find(|(name, _)| *name == option) else {
                        return Err(format!("there is no option `{option}`; see `cargo xtask help`"));
                    };
                    let number = args.value(name, inline)?;
                    number.parse::<u64>().map_err(|_| format!("{name} needs a number, not `{number}`"))?;
                    random.push((variable, number));
                }
                _ if filter.is_some() => return Err("only one FILTER can be given".to_owned()),
                _ => filter = Some(arg),
            }
        }
        let engines = Engine::ALL.into_iter().filter(|engine| engines.is_empty() || engines.contains(engine));
        let steps = Step::choose(&only, &skip, filter.is_some());
        Ok(Self { engines: engines.collect(), steps, filter, random })
    }

    /// The parts of a step, and the engine that each is about.
    fn parts(&self, step: Step) -> Vec<Option<Engine>> {
        let on_each = self.engines.iter().copied().map(Some);
        match step {
            Step::Test => std::iter::once(None).chain(on_each).collect(),
            Step::Drill | Step::Clients | Step::Docs => on_each.collect(),
            _ => vec![None],
        }
    }

    fn uses_postgres(&self) -> bool {
        let uses = |step: &Step| matches!(step, Step::Features | Step::Test | Step::Drill | Step::Clients | Step::Docs);
        self.engines.contains(&Engine::Postgres) && self.steps.iter().any(uses)
    }
}

struct Report {
    name: String,
    took: Duration,
    result: Result<(), Failure>,
}

/// What several parts use.
struct Session {
    plan: Plan,
    suite: Option<Suite>,
    /// With its URL. It goes with this process, however that ends.
    cluster: Option<(Cluster, String)>,
}

/// Runs the chosen steps, all of them even when one fails.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let plan = Plan::parse(args)?;
    let has = |step| plan.steps.contains(&step);
    setup::run(Needs::test(plan.uses_postgres(), has(Step::Clients), has(Step::Docs)))?;
    if !rocksdb_is_built(false) && plan.steps.iter().any(|step| needs_rocksdb(*step)) {
        println!("This first build compiles RocksDB: about 16 minutes on two cores. Later ones reuse it.");
    }
    let parts: Vec<_> =
        plan.steps.iter().flat_map(|&step| plan.parts(step).into_iter().map(move |engine| (step, engine))).collect();
    let mut session = Session { plan, suite: None, cluster: None };
    let mut reports = Vec::new();
    for (step, engine) in parts {
        let name =
            engine.map_or_else(|| step.name().to_owned(), |engine| format!("{} on {}", step.name(), engine.name()));
        println!("\n=== {name} ===");
        let start = Instant::now();
        let result = session.run(step, engine);
        let report = Report { name, took: start.elapsed(), result };
        match &report.result {
            Ok(()) => println!("=== {} passed in {} ===", report.name, pretty(report.took)),
            Err(failure) => println!("=== {} FAILED in {}: {failure} ===", report.name, pretty(report.took)),
        }
        // The children write on the same stream.
        let _ = std::io::stdout().flush();
        reports.push(report);
    }
    println!("\n{}", summary(&reports));
    let failed: Vec<&str> =
        reports.iter().filter(|report| report.result.is_err()).map(|report| report.name.as_str()).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}

fn needs_rocksdb(step: Step) -> bool {
    matches!(step, Step::Clippy | Step::Test | Step::Drill | Step::Clients | Step::Docs)
}

impl Session {
    fn run(&mut self, step: Step, engine: Option<Engine>) -> Result<(), Failure> {
        let filter = self.plan.filter.clone();
        let filter = filter.as_deref();
        match (step, engine) {
            (Step::Fmt, _) => shown(&["fmt", "--all", "--check"]),
            (Step::Clippy, _) => {
                let mut args = vec!["clippy", "--workspace", "--all-targets"];
                args.extend(FEATURES);
                args.extend(["--", "-D", "warnings"]);
                shown(&args)
            }
            (Step::Features, _) => {
                features::resolve()?;
                match self.cluster_for(Engine::Postgres)? {
                    Some(url) => features::postgres_only(&url),
                    None => Ok(()),
                }
            }
            (Step::Tidy, _) => tidy::run(),
            (Step::Requirements, _) => requirements::run(Args::new(["--check".to_owned()])),
            (Step::Test, None) => self.build()?.run_common(filter),
            (Step::Test, Some(engine)) => {
                let url = self.cluster_for(engine)?;
                let random = self.plan.random.clone();
                self.build()?.run_on(engine, url.as_deref(), filter, &random)
            }
            (Step::Loom, _) => loom::run(),
            (Step::Drill, _) => drill::crash::short(engine.unwrap_or(Engine::ALL[0])),
            (Step::Clients, _) => {
                let engine = engine.unwrap_or(Engine::ALL[0]);
                clients::prepare()?;
                let data = match self.cluster_for(engine)? {
                    Some(url) => Data::database(&url)?,
                    None => Data::Directory,
                };
                clients::run(&data, filter)
            }
            (Step::Docs, _) => {
                let engine = engine.unwrap_or(Engine::ALL[0]);
                docs::prepare()?;
                let cluster = self.cluster_for(engine)?;
                docs::run(engine, cluster.as_deref(), filter)
            }
        }
    }

    /// The tests, built when they are first asked for.
    fn build(&mut self) -> Result<&Suite, Failure> {
        let suite = match self.suite.take() {
            Some(suite) => suite,
            None => suite::build()?,
        };
        Ok(self.suite.insert(suite))
    }

    /// The URL of PostgreSQL, if the engine needs it and was chosen; started when it is first asked for.
    fn cluster_for(&mut self, engine: Engine) -> Result<Option<String>, Failure> {
        if engine != Engine::Postgres || !self.plan.engines.contains(&engine) {
            return Ok(None);
        }
        let cluster = match self.cluster.take() {
            Some(cluster) => cluster,
            None => postgres::test_cluster()?,
        };
        Ok(Some(self.cluster.insert(cluster).1.clone()))
    }
}

/// Runs cargo, saying so.
fn shown(args: &[&str]) -> Result<(), Failure> {
    let mut command = cargo(args.iter().copied())?;
    println!("$ {}", describe(&command));
    check(&mut command)
}

fn summary(reports: &[Report]) -> String {
    let width = reports.iter().map(|report| report.name.len()).max().unwrap_or_default().max("total".len());
    let mut text = format!("{:<width$} result  time\n", "step");
    for report in reports {
        let result = if report.result.is_ok() { "passed" } else { "FAILED" };
        text.push_str(&format!("{:<width$} {result:<7} {}\n", report.name, pretty(report.took)));
    }
    let total = reports.iter().map(|report| report.took).sum();
    text.push_str(&format!("{:<width$} {:<7} {}", "total", "", pretty(total)));
    text
}

fn pretty(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Plan, Failure> {
        Plan::parse(Args::new(args.iter().map(|&arg| arg.to_owned())))
    }

    #[test]
    fn plans() {
        assert_eq!(parse(&[]).map(|plan| plan.steps), Ok(Step::ALL.to_vec()));
        assert_eq!(parse(&[]).map(|plan| plan.engines), Ok(Engine::ALL.to_vec()));
        let filter = Some("claim".to_owned());
        let plan = Plan { engines: vec![Engine::Postgres], steps: vec![Step::Test], filter, random: Vec::new() };
        assert_eq!(parse(&["--engine", "postgres", "claim"]), Ok(plan));
        assert!(parse(&["--engine", "sled"]).is_err());
        assert!(parse(&["--fast"]).is_err());
        assert!(parse(&["one", "two"]).is_err());
        let random = vec![(RANDOM[0].1, "7".to_owned()), (RANDOM[1].1, "50000".to_owned())];
        assert_eq!(parse(&["--seed", "7", "--steps=50000"]).map(|plan| plan.random), Ok(random));
        assert!(parse(&["--seed", "x"]).is_err());
    }

    #[test]
    fn tests_and_clients_run_on_every_engine() -> Result<(), Failure> {
        let plan = parse(&[])?;
        assert_eq!(plan.parts(Step::Tidy), [None]);
        assert_eq!(plan.parts(Step::Test), [None, Some(Engine::RocksDb), Some(Engine::Postgres)]);
        assert_eq!(plan.parts(Step::Clients), [Some(Engine::RocksDb), Some(Engine::Postgres)]);
        assert!(plan.uses_postgres());
        assert!(!parse(&["--engine=rocksdb"])?.uses_postgres());
        assert!(!parse(&["--only=fmt,clippy"])?.uses_postgres());
        Ok(())
    }

    #[test]
    fn durations_are_readable() {
        assert_eq!(pretty(Duration::from_millis(1230)), "1.2 s");
        assert_eq!(pretty(Duration::from_secs(125)), "2 min 05 s");
    }
}
