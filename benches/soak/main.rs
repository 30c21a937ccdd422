//! A soak: a steady load of people with devices, for hours, and what of the server grows.
//!
//! People stay; devices come and go, keys are claimed and topped up, messages are sent, taken and acknowledged, backups
//! are written. What the server holds should level off but for what it is meant to keep, the history of rooms. While it
//! is loaded, its memory, CPU time, open files, the size of its store and the rows in it are noted; at the end the second
//! half says whether they grow.

// A run that cannot go on ends, with what it saw.
#![allow(clippy::panic)]

mod acts;
mod census;
mod page;
mod people;
mod samples;
mod tally;
mod verdict;
mod visits;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Parser;
use olmstead_benches::{check::Violations, cpu::Processes};

use crate::{
    census::{Census, Store},
    people::Town,
    samples::{Sample, Sampler},
    tally::Tally,
    verdict::Judged,
};

/// Loads a homeserver steadily and says whether it grows.
#[derive(Debug, Parser)]
#[command(name = "olmstead-soak")]
pub(crate) struct Options {
    /// The server's base URL. Registration must be open (`m.login.dummy`).
    #[arg(long)]
    url: String,
    /// The server's process.
    #[arg(long)]
    server_pid: u32,
    /// The first process of its database, if that is another.
    #[arg(long)]
    database_pid: Option<u32>,
    /// The directory of its store, for RocksDB.
    #[arg(long, required_unless_present = "database")]
    directory: Option<PathBuf>,
    /// The URL of its database, for PostgreSQL.
    #[arg(long, conflicts_with = "directory")]
    database: Option<String>,
    /// How long to load it.
    #[arg(long)]
    hours: f64,
    /// Seconds from one sample to the next.
    #[arg(long, default_value_t = 5.0)]
    every: f64,
    /// How many people there are.
    #[arg(long, default_value_t = 24)]
    people: usize,
    /// What they do in a second, all together, beside syncing and new devices.
    #[arg(long, default_value_t = 25.0)]
    rate: f64,
    /// How much of what there is may be growth, over the second half.
    #[arg(long, default_value_t = 0.1)]
    tolerance: f64,
    /// Of everything random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What to call the server on the page.
    #[arg(long, default_value = "server")]
    name: String,
    /// Where to write the page and the figures.
    #[arg(long)]
    out: PathBuf,
}

/// How many times the rows are counted.
const COUNTS: u32 = 40;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if let [count, path, notes] = arguments.as_slice()
        && count == census::COUNT
    {
        let counted = census::count(Path::new(path), Path::new(notes));
        return counted.map_or_else(failed, |()| ExitCode::SUCCESS);
    }
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => failed(error),
    }
}

fn failed(error: String) -> ExitCode {
    eprintln!("olmstead-soak: {error}");
    ExitCode::FAILURE
}

/// Whether nothing grew and all answers were right.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn run(options: &Options) -> Result<bool, String> {
    let violations = Violations::default();
    let tally = Arc::new(Tally::new(violations.clone()));
    let store = Store::new(options).await?;
    let town = Town::found(options, &tally).await?;
    let length = Duration::try_from_secs_f64(options.hours * 3_600.0).map_err(|error| format!("--hours: {error}"))?;
    println!("{} people in {} rooms, for {} minutes", town.people.len(), town.rooms, length.as_secs() / 60);
    let lives = town.live(options);
    let mut sampler = Sampler::new(
        Processes::new(&[options.server_pid]),
        Processes::new(&options.database_pid.into_iter().collect::<Vec<u32>>()),
        options.server_pid,
    );
    let (mut samples, mut censuses) = (Vec::new(), Vec::new());
    let every = Duration::try_from_secs_f64(options.every).map_err(|error| format!("--every: {error}"))?;
    let began = Instant::now();
    let mut counted = None;
    let mut ticks = tokio::time::interval(every);
    ticks.tick().await;
    while began.elapsed() < length {
        ticks.tick().await;
        let sample = sampler.sample(began.elapsed(), &store, &tally).await?;
        samples.push(sample);
        if counted.is_none_or(|at: Instant| at.elapsed() >= length / COUNTS) {
            counted = Some(Instant::now());
            censuses.push(store.count(began.elapsed(), &tally).await?);
        }
        if sampler.is_gone() {
            violations.add("the server ended by itself".to_owned());
            break;
        }
        write(options, &samples, &censuses)?;
    }
    drop(lives);
    let judged = verdict::judge(&samples, &censuses, options.tolerance);
    write(options, &samples, &censuses)?;
    let text = page::write(&options.name, &samples, &censuses, &judged, &violations.all());
    put(&options.out, &options.name, "html", &text)?;
    print!("{}", page::table(&options.name, &samples, &judged, &violations.all()));
    Ok(judged.iter().all(Judged::is_level) && violations.all().is_empty())
}

/// All figures so far, so that a run that is ended early has told something.
fn write(options: &Options, samples: &[Sample], censuses: &[Census]) -> Result<(), String> {
    put(&options.out, &options.name, "csv", &samples::csv(samples))?;
    put(&options.out, &options.name, "rows.csv", &census::csv(censuses))
}

fn put(directory: &Path, name: &str, ending: &str, text: &str) -> Result<(), String> {
    let path = directory.join(format!("{name}.{ending}"));
    std::fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
