//! `fuzz`: mutations of the corpora, for as long as one likes: as a test, or with libFuzzer, which sees what code an input
//! reaches.

use std::path::PathBuf;
use std::{env, fs};

use crate::Failure;
use crate::args::{Args, split_option};
use crate::engines::FEATURES;
use crate::env::{root, target_dir};
use crate::process::{cargo, check, command, describe};
use crate::setup::{self, Needs};

/// Counts edges and compared values where libFuzzer looks for them, and keeps the checks of a debug build. All of it is in
/// stable Rust; cargo-fuzz adds sanitizers, which are not.
const INSTRUMENTED: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Coverflow-checks -Ccodegen-units=1";
/// Where cargo-fuzz looks, too.
const DIRECTORY: &str = "fuzz";

#[derive(Debug, PartialEq)]
struct Plan {
    minutes: String,
    target: Option<String>,
    coverage: bool,
}

impl Plan {
    fn parse(mut args: Args) -> Result<Self, Failure> {
        let mut plan = Self { minutes: "1".to_owned(), target: None, coverage: false };
        while let Some(arg) = args.next() {
            match split_option(&arg) {
                ("--minutes", inline) => plan.minutes = args.value("--minutes", inline)?,
                ("--coverage", None) => plan.coverage = true,
                (name, None) if !name.starts_with('-') && plan.target.is_none() => plan.target = Some(name.to_owned()),
                _ => return Err(format!("unexpected argument `{arg}`; see `cargo xtask help`")),
            }
        }
        Ok(plan)
    }
}

/// Runs one target, or one after the other.
///
/// # Errors
/// If an argument is wrong, or something was found.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let plan = Plan::parse(args)?;
    setup::run(Needs::everything())?;
    if plan.coverage { with_coverage(&plan) } else { as_a_test(&plan) }
}

fn as_a_test(plan: &Plan) -> Result<(), Failure> {
    let mut test = cargo(["test", "--workspace"])?;
    test.args(FEATURES).args(["--test", "corpora", "--", "--nocapture", "--exact", "fuzz"]);
    test.env("OLMSTEAD_FUZZ_MINUTES", &plan.minutes);
    if let Some(target) = &plan.target {
        test.env("OLMSTEAD_FUZZ_TARGET", target);
    }
    check(&mut test)
}

/// Builds the targets with libFuzzer and runs them. Inputs that reach something new are kept beside the build, findings in
/// `fuzz/artifacts`.
fn with_coverage(plan: &Plan) -> Result<(), Failure> {
    let minutes: f64 = plan.minutes.parse().map_err(|_| format!("`{}` is no number of minutes", plan.minutes))?;
    let names = targets(plan.target.as_deref())?;
    let (host, built) = (host()?, target_dir().join(DIRECTORY));
    let mut build = cargo(["build", "--release", "--target", &host])?;
    build.current_dir(root().join(DIRECTORY)).env("CARGO_TARGET_DIR", &built).env("RUSTFLAGS", INSTRUMENTED);
    if let Some(library) = rocksdb() {
        // It is not fuzzed, and takes long to build.
        build.env("ROCKSDB_LIB_DIR", library).env("ROCKSDB_STATIC", "1");
    }
    println!("$ {}", describe(&build));
    check(&mut build)?;
    let mut failed = Vec::new();
    for name in &names {
        let (corpus, artifacts) =
            (built.join("corpus").join(name), root().join(DIRECTORY).join("artifacts").join(name));
        for directory in [&corpus, &artifacts] {
            fs::create_dir_all(directory).map_err(|e| format!("cannot make {}: {e}", directory.display()))?;
        }
        let mut fuzzer = command(built.join(&host).join("release").join(name));
        fuzzer.arg(&corpus).arg(root().join(DIRECTORY).join("corpus").join(name));
        fuzzer.arg(format!("-max_total_time={}", (minutes * 60.0).ceil()));
        fuzzer.arg(format!("-artifact_prefix={}/", artifacts.display()));
        fuzzer.args(["-rss_limit_mb=3000", "-timeout=20", "-verbosity=0", "-print_final_stats=1"]);
        println!("--- {name} ---");
        if check(&mut fuzzer).is_err() {
            failed.push(name.as_str());
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("something was found in {}", failed.join(", "))) }
}

fn targets(only: Option<&str>) -> Result<Vec<String>, Failure> {
    let all = root().join(DIRECTORY).join("fuzz_targets");
    let entries = fs::read_dir(&all).map_err(|e| format!("cannot read {}: {e}", all.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned()))
        .filter(|name| only.is_none_or(|only| only == name))
        .collect();
    names.sort();
    if names.is_empty() { Err(format!("there is no target `{}`", only.unwrap_or_default())) } else { Ok(names) }
}

/// The machine's own target: named, so that build scripts and macros are not instrumented.
fn host() -> Result<String, Failure> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = command(rustc).arg("-vV").output().map_err(|e| format!("cannot run rustc: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc does not say what machine this is".to_owned())
}

/// Where an ordinary build has left RocksDB.
fn rocksdb() -> Option<PathBuf> {
    let builds = ["debug", "release"].map(|profile| target_dir().join(profile).join("build"));
    let outputs = builds.into_iter().filter_map(|builds| fs::read_dir(builds).ok()).flatten();
    outputs.filter_map(|entry| Some(entry.ok()?.path().join("out"))).find(|out| out.join("librocksdb.a").exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans() {
        let parse = |args: &[&str]| Plan::parse(Args::new(args.iter().map(|&arg| arg.to_owned())));
        let plan = |minutes: &str, target: Option<&str>, coverage| {
            Ok(Plan { minutes: minutes.to_owned(), target: target.map(str::to_owned), coverage })
        };
        assert_eq!(parse(&[]), plan("1", None, false));
        assert_eq!(parse(&["pdu", "--minutes=5", "--coverage"]), plan("5", Some("pdu"), true));
        assert!(parse(&["pdu", "json"]).is_err());
        assert!(parse(&["--fast"]).is_err());
    }
}
