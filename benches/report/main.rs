//! Runs side by side: a table for the terminal, a page for the browser.

mod chart;
mod goals;
mod page;
mod runs;
mod table;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;

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
    let before = Run::read_all(&options.before)?;
    print!("{}", table::side_by_side(&runs));
    print!("{}", table::since(&runs, &before));
    if let Some(path) = &options.page {
        std::fs::write(path, page::write(&runs, &before))
            .map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        println!("The page with the plots: {}", path.display());
    }
    Ok(())
}
