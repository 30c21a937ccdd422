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
use olmstead_benches::{check::Violations, report::Report};

use crate::{engine::Engine, world::World};

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
    let mut report = Report::new(options.engine.name());
    for (number, size) in options.sizes.iter().enumerate() {
        let world = World::new(&options, number, *size).await;
        for workload in work::ALL {
            let is_chosen = options.only.is_empty() || options.only.iter().any(|only| workload.name.contains(only));
            if is_chosen {
                eprintln!("{}, {size} users: {} …", options.engine.name(), workload.name);
                report.add(workload.name, Some(*size), (workload.run)(&world).await);
            }
        }
        world.close().await;
    }
    report.finish(&Violations::default());
    print!("seed {}\n{}", options.seed, report.table());
    if let Some(path) = &options.json
        && let Err(error) = std::fs::write(path, report.json().to_string())
    {
        eprintln!("cannot write {}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
