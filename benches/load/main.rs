//! Load over HTTP with real signed keys, against any homeserver, and what it costs that server.
//!
//! Each workload prepares users, devices and rooms, and then does one kind of work with a fixed number of clients at
//! once. Told are operations a second, how long one takes, and the CPU time that the server's processes (`--server-pid`)
//! and the database's (`--database-pid`) took for it. While it loads it checks that what is answered is right: no key
//! twice, no message lost or twice, no change untold. A violation is told and makes the run fail.

// A run that cannot go on ends, with what it saw.
#![allow(clippy::panic)]

mod client;
mod crew;
mod keys;
mod work;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use olmstead_benches::report::Report;

use crate::crew::Crew;

/// Loads a homeserver over HTTP and measures what that costs.
#[derive(Debug, Parser)]
#[command(name = "olmstead-load")]
pub(crate) struct Options {
    /// The server's base URL. Registration must be open (`m.login.dummy`), and limits off.
    #[arg(long)]
    url: String,
    /// A process of the server; its children count as well. May be repeated.
    #[arg(long)]
    server_pid: Vec<u32>,
    /// A process of its database, if that is another. May be repeated.
    #[arg(long)]
    database_pid: Vec<u32>,
    /// Only workloads with this in their name. May be repeated.
    #[arg(long)]
    only: Vec<String>,
    /// Does less, and leaves out what takes long to prepare: rooms of 1,000 members, 100 rooms.
    #[arg(long)]
    quick: bool,
    /// Where to write the figures, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// What to call the server in the report.
    #[arg(long, default_value = "server")]
    name: String,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("olmstead-load: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all answers were right.
#[tokio::main]
async fn run(options: &Options) -> Result<bool, String> {
    let mut report = Report::new(&options.name);
    let mut crew = Crew::new(options);
    let is_chosen =
        |name: &str| options.only.is_empty() || options.only.iter().any(|only| name.contains(only.as_str()));
    let chosen = work::ALL.iter().filter(|workload| is_chosen(workload.name));
    for workload in chosen.filter(|workload| !(options.quick && workload.is_long)) {
        eprintln!("{}: {} …", options.name, workload.name);
        let measured = (workload.run)(&mut crew).await;
        report.add(workload.name, None, measured);
    }
    report.finish(&crew.violations());
    print!("{}", report.table());
    if let Some(path) = &options.json {
        let text = report.json().to_string();
        std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(report.is_right())
}
