//! The project's one tool, reached as `cargo xtask <command>`: set-up, a development server, everything CI
//! runs, and the project's own checks. Nothing of it is from outside of this
//! repository, so that it compiles in seconds.

mod args;
mod bench;
mod clients;
mod docs;
mod drill;
mod engines;
mod env;
mod features;
mod fuzz;
mod loom;
mod manifest;
mod markdown;
mod postgres;
mod process;
mod requirements;
mod serve;
mod server;
mod setup;
mod soak;
mod steps;
mod suite;
mod test;
mod tidy;

use std::process::ExitCode;

use args::Args;

/// What went wrong, as a sentence for the terminal.
type Failure = String;

/// What [`run`] knows.
const COMMANDS: [&str; 13] = [
    "setup",
    "serve",
    "test",
    "postgres",
    "tidy",
    "requirements",
    "bench",
    "drill",
    "fuzz",
    "loom",
    "soak",
    "cargo",
    "help",
];

const HELP: &str = "\
cargo xtask <command>

  setup                       install what builds and tests need (apt-get as root, else the line to run)
  serve [--release] [--engine NAME] [-- ARGS]
                              build Olmstead and run it here: RocksDB in ./olmstead-data, server name
                              localhost, http://127.0.0.1:8008, open registration; ARGS go to `olmstead serve`;
                              with `--engine postgres` on a PostgreSQL of its own in ./olmstead-data-postgres
  test [--engine NAME] [--only STEP] [--skip STEP] [--seed N] [--steps N] [FILTER]
                              everything CI runs, on every engine (rocksdb, postgres) or the named one;
                              a FILTER runs only the tests with it in their name; --seed and --steps are for
                              the tests with random commands, which print theirs
                              steps: fmt, clippy, features, test, tidy, requirements, loom, drill, clients, docs
  postgres -- COMMAND         COMMAND with a fresh PostgreSQL; its URL is in OLMSTEAD_TEST_POSTGRES
  tidy                        the project's own checks: layers, forbidden constructs, stray paths, links of the book
  requirements [--check]      which requirements of encryption the tests show; writes docs/requirements.md
                              (--check: fails if that is not up to date)
  bench [--quick] [--engine NAME] [--only WORK] [--sizes N,N] [--seed N]
                              the engines side by side, in worlds of several sizes
  bench --http [--quick] [--engine NAME] [--only WORK] [--peer synapse] [--url URL]
                              load over HTTP, on each engine or the server at URL; CPU time, latency and memory,
                              and Synapse's beside them with `--peer synapse`
                              both print a table, write a page with plots, keep the figures with `--save NAME`
                              and hold them against kept ones with `--compare NAME`
  drill crash [--kills N] [--engine NAME] [--seconds-per-life S] [--seed N] [--break no-sync|early-answer]
                              a server under load is killed 200 times, and a ledger says what it lost;
                              --break breaks it on purpose: then the drill must fail
  drill flood [--engine NAME] [--release] [--seconds N] [--only ATTACK]
                              floods a server with its limits, one attack after another; fails if its memory, or
                              the time of an honest client's requests, is over a bound
  drill restore [--engine NAME] [--users N]
                              real clients live through a restore of the store; fails if they cannot decrypt
  fuzz [TARGET] [--minutes N] [--coverage]
                              mutations of the inputs in fuzz/corpus, for so long on each target or the named one;
                              --coverage: with libFuzzer, which follows what code they reach
  loom                        every order of threads, for the positions of the stream and for wake-ups
  soak --hours H [--engine NAME] [--release] [--people N] [--rate N] [--every SECONDS] [--tolerance SHARE]
                              a steady load for so long on each engine; fails if memory, files or rows grow;
                              writes figures and a page with plots
  cargo ARGS                  cargo itself, building where all of the above build
  help                        this text

Everything is built in CARGO_TARGET_DIR if that is set, else in $XDG_CACHE_HOME/olmstead/target, else in
~/.cache/olmstead/target, so that a fresh clone reuses what another one compiled.";

fn main() -> ExitCode {
    match run(Args::new(std::env::args().skip(1))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut args: Args) -> Result<(), Failure> {
    match args.next().as_deref() {
        Some("setup") => {
            args.finish()?;
            setup::run(setup::Needs::everything())?;
            println!("Everything that builds and tests need is there.");
            Ok(())
        }
        Some("serve") => serve::run(args),
        Some("test") => test::run(args),
        Some("postgres") => postgres::run(args),
        Some("tidy") => {
            args.finish()?;
            tidy::run()
        }
        Some("requirements") => requirements::run(args),
        Some("bench") => bench::run(args),
        Some("drill") => drill::run(args),
        Some("fuzz") => fuzz::run(args),
        Some("loom") => loom::run(),
        Some("soak") => soak::run(args),
        Some("cargo") => {
            let mut cargo = process::cargo([])?;
            process::check(cargo.args(args.rest()).stdin(std::process::Stdio::inherit()))
        }
        None | Some("help" | "--help" | "-h") => {
            println!("{HELP}");
            Ok(())
        }
        Some(other) => Err(format!("there is no command `{other}`; there are {}", COMMANDS.join(", "))),
    }
}
