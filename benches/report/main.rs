//! Runs side by side: a table for the terminal, a page for the browser.

mod floor;
mod goals;
mod page;
mod runs;
mod table;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use olmstead_benches::chart;

use crate::runs::Run;

/// Shows what `olmstead-engines` and `olmstead-load` measured.
#[derive(Debug, Parser)]
#[command(name = "olmstead-report")]
struct Options {
    /// What they wrote with `--json`. The last run is what the others are compared with.
    runs: Vec<PathBuf>,
    /// Earlier runs of the same names, to be compared with.
    #[arg(long)]
    before: Vec<PathBuf>,
    /// Runs of the engines alone, to say what servers may cost.
    #[arg(long)]
    engine_run: Vec<PathBuf>,
    /// A server that is not ours: what it answers wrongly is told, but is no failure. May be repeated.
    #[arg(long)]
    peer: Vec<String>,
    /// Where to write the page.
    #[arg(long)]
    page: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("olmstead-report: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let runs = Run::read_all(&options.runs)?;
    let changes = table::changes(&runs, &Run::read_all(&options.before)?);
    let groups = goals::all(&runs, &Run::read_all(&options.engine_run)?, &options.peer);
    print!("{}{}{}", table::side_by_side(&runs), table::goals(&groups), table::since(&changes));
    if let Some(path) = &options.page {
        std::fs::write(path, page::write(&runs, &groups, &changes))
            .map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        println!("The page: {}", path.display());
    }
    let ours = runs.iter().filter(|run| !options.peer.contains(&run.name));
    let wrong: Vec<&str> = ours.filter(|run| !run.violations.is_empty()).map(|run| run.name.as_str()).collect();
    if wrong.is_empty() { Ok(()) } else { Err(format!("answered what it must not: {}", wrong.join(", "))) }
}
