//! The storage engines side by side, through the storage traits: what a command or a read costs, and how that grows.
//!
//! Every workload knows `SharedStorage` only. Engines are measured one after another in worlds of several sizes, with
//! their logs synced as in use; the sequence of everything random follows from a seed.

// A measurement that cannot go on ends, with what it saw.
#![allow(clippy::panic, clippy::unwrap_used)]

mod engine;
mod rooms;
mod work;
mod world;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use olmstead_benches::{check::Violations, progress::Progress, report::Report};

use crate::{
    engine::{Directory, Engine},
    work::Workload,
    world::World,
};

/// Measures storage engines.
#[derive(Debug, Parser)]
#[command(name = "olmstead-engines")]
struct Options {
    /// `rocksdb` or `postgres`.
    #[arg(long)]
    engine: Engine,
    /// The database, for `postgres`; it must be empty.
    #[arg(long)]
    url: Option<String>,
    /// The first process of PostgreSQL, whose CPU time counts as well.
    #[arg(long)]
    database_pid: Vec<u32>,
    /// How many users there are, in each world.
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000")]
    sizes: Vec<usize>,
    /// Makes the world of the first size in this directory, or at `--url`, leaves it there, and measures nothing.
    #[arg(long)]
    fill: Option<PathBuf>,
    /// Only workloads with this in their name. May be repeated.
    #[arg(long)]
    only: Vec<String>,
    /// Where to write the figures, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where the seed of everything random comes from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(path) = &options.fill {
        World::new(&options, 0, options.sizes[0], Directory::Kept(path.clone())).await.close().await;
        return ExitCode::SUCCESS;
    }
    let report = measure(&options).await;
    print!("{}", report.table());
    if let Some(path) = &options.json
        && let Err(error) = std::fs::write(path, report.json().to_string())
    {
        eprintln!("cannot write {}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

async fn measure(options: &Options) -> Report {
    let mut report = Report::new(options.engine.name()).with_seed(options.seed);
    let is_chosen = |name: &str| options.only.is_empty() || options.only.iter().any(|only| name.contains(only));
    let chosen: Vec<&Workload> = work::ALL.iter().filter(|workload| is_chosen(workload.name)).collect();
    let mut progress = Progress::new(options.sizes.len() * (chosen.len() + 1));
    for (number, size) in options.sizes.iter().enumerate() {
        let name = format!("{}, {size} users", options.engine.name());
        progress.begin(&format!("{name}: making them"));
        let directory = Directory::Lent(tempfile::tempdir().unwrap());
        let world = World::new(options, number, *size, directory).await;
        for workload in &chosen {
            progress.begin(&format!("{name}: {}", workload.name));
            report.add([workload.name, workload.about], Some(*size), (workload.run)(&world).await);
        }
        world.close().await;
    }
    report.finish(&Violations::default());
    report
}
