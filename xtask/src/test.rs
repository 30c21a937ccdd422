//! `test`: everything CI runs, in order, with a summary.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::args::{Args, split_option};
use crate::process::{capture, cargo, check, describe, rocksdb_is_built};
use crate::setup::{self, Needs};
use crate::steps::Step;
use crate::{clients, tidy};

const ENGINES: [&str; 1] = ["rocksdb"];

/// What `test` was asked to do.
#[derive(Debug, PartialEq)]
struct Plan {
    engine: String,
    steps: Vec<Step>,
    filter: Option<String>,
}

impl Plan {
    fn parse(mut args: Args) -> Result<Self, Failure> {
        let (mut engine, mut filter) = (ENGINES[0].to_owned(), None);
        let (mut only, mut skip) = (Vec::new(), Vec::new());
        while let Some(arg) = args.next() {
            match split_option(&arg) {
                (name @ "--engine", inline) => engine = args.value(name, inline)?,
                (name @ "--only", inline) => only.extend(Step::parse_list(&args.value(name, inline)?)?),
                (name @ "--skip", inline) => skip.extend(Step::parse_list(&args.value(name, inline)?)?),
                (option, _) if option.starts_with('-') => {
                    return Err(format!("there is no option `{option}`; see `cargo xtask help`"));
                }
                _ if filter.is_some() => return Err("only one FILTER can be given".to_owned()),
                _ => filter = Some(arg),
            }
        }
        if !ENGINES.contains(&engine.as_str()) {
            return Err(format!("there is no engine `{engine}`; there are {}", ENGINES.join(", ")));
        }
        let steps = Step::choose(&only, &skip, filter.is_some());
        Ok(Self { engine, steps, filter })
    }
}

struct Report {
    step: Step,
    took: Duration,
    result: Result<(), Failure>,
}

/// Runs the chosen steps, all of them even when one fails.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let plan = Plan::parse(args)?;
    setup::run(Needs::test(false, plan.steps.contains(&Step::Clients)))?;
    if !rocksdb_is_built(false) && plan.steps.iter().any(|step| needs_rocksdb(*step)) {
        println!("This first build compiles RocksDB: about 16 minutes on two cores. Later ones reuse it.");
    }
    let mut reports = Vec::new();
    for &step in &plan.steps {
        println!("\n=== {} ===", step.name());
        let start = Instant::now();
        let result = run_step(step, &plan);
        let report = Report { step, took: start.elapsed(), result };
        match &report.result {
            Ok(()) => println!("=== {} passed in {} ===", step.name(), pretty(report.took)),
            Err(failure) => {
                println!("=== {} FAILED in {}: {failure} ===", step.name(), pretty(report.took));
            }
        }
        // The children write on the same stream.
        let _ = std::io::stdout().flush();
        reports.push(report);
    }
    println!("\n{}", summary(&reports));
    let failed: Vec<&str> =
        reports.iter().filter(|report| report.result.is_err()).map(|report| report.step.name()).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}

fn needs_rocksdb(step: Step) -> bool {
    matches!(step, Step::Clippy | Step::Test | Step::Clients)
}

fn run_step(step: Step, plan: &Plan) -> Result<(), Failure> {
    match step {
        Step::Fmt => shown(&["fmt", "--all", "--check"]),
        Step::Clippy => shown(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        Step::Features => features(),
        Step::Test => {
            let mut args = vec!["test", "--workspace", "--no-fail-fast"];
            args.extend(plan.filter.as_deref());
            shown(&args)
        }
        Step::Tidy => tidy::run(),
        Step::Clients => clients::run(&plan.engine, plan.filter.as_deref()),
    }
}

/// Runs cargo, saying so.
fn shown(args: &[&str]) -> Result<(), Failure> {
    let mut command = cargo(args.iter().copied())?;
    println!("$ {}", describe(&command));
    check(&mut command)
}

/// A build without an engine's feature does not know the engine; a build with no engine says so.
fn features() -> Result<(), Failure> {
    let mut tree = cargo(["tree", "-p", "olmstead", "--no-default-features", "-e", "normal,build"])?;
    println!("$ {}", describe(&tree));
    let (ok, packages, errors) = capture(&mut tree)?;
    if !ok {
        return Err(format!("cargo tree failed: {errors}"));
    }
    if let Some(line) = packages.lines().find(|line| line.contains("rocksdb")) {
        return Err(format!(
            "without the feature `rocksdb` the server still depends on {}",
            line.trim_start_matches([' ', '│', '├', '└', '─'])
        ));
    }
    println!("no rocksdb without its feature");

    let mut build = cargo(["check", "-p", "olmstead", "--no-default-features", "--lib"])?;
    println!("$ {} (must fail)", describe(&build));
    let (ok, _, errors) = capture(&mut build)?;
    let sentence = no_engine_message(ok, &errors)?;
    println!("{sentence}");
    Ok(())
}

/// The one error of a build with no engine.
fn no_engine_message(ok: bool, errors: &str) -> Result<&str, Failure> {
    if ok {
        return Err("a build with no storage engine must not succeed".to_owned());
    }
    let sentences: Vec<&str> = errors
        .lines()
        .filter(|line| line.starts_with("error") && !line.starts_with("error: could not compile"))
        .collect();
    match sentences.as_slice() {
        [one] if one.contains("storage engine") && one.contains("rocksdb") => Ok(one),
        _ => Err(format!(
            "a build with no engine must stop with one error that says `storage engine` and names the \
             feature flags; it said:\n{errors}"
        )),
    }
}

fn summary(reports: &[Report]) -> String {
    let mut text = String::from("step      result  time\n");
    for report in reports {
        let result = if report.result.is_ok() { "passed" } else { "FAILED" };
        text.push_str(&format!("{:<9} {result:<7} {}\n", report.step.name(), pretty(report.took)));
    }
    let total = reports.iter().map(|report| report.took).sum();
    text.push_str(&format!("{:<9} {:<7} {}", "total", "", pretty(total)));
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
        let plan = Plan { engine: "rocksdb".to_owned(), steps: vec![Step::Test], filter: Some("claim".to_owned()) };
        assert_eq!(parse(&["--engine", "rocksdb", "claim"]), Ok(plan));
        assert!(parse(&["--engine", "sled"]).is_err());
        assert!(parse(&["--fast"]).is_err());
        assert!(parse(&["one", "two"]).is_err());
    }

    #[test]
    fn durations_are_readable() {
        assert_eq!(pretty(Duration::from_millis(1230)), "1.2 s");
        assert_eq!(pretty(Duration::from_secs(125)), "2 min 05 s");
    }

    #[test]
    fn a_build_with_no_engine_says_one_sentence() {
        let good = "error: choose at least one storage engine: enable the feature `rocksdb`\n --> x\n\
                    error: could not compile `olmstead`";
        assert!(no_engine_message(false, good).is_ok());
        assert!(no_engine_message(true, good).is_err());
        assert!(no_engine_message(false, "error: other\n").is_err());
        assert!(no_engine_message(false, &format!("{good}\nerror[E0432]: more")).is_err());
    }
}
