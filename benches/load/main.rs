//! Load over HTTP with real signed keys, against any homeserver, and what it costs that server.
//!
//! Each workload prepares users, devices and rooms, and then does one kind of work with a fixed number of clients at
//! once. Told are operations a second, how long one takes, and the CPU time that the server's processes (`--server-pid`)
//! and the database's (`--database-pid`) took for it. While it loads it checks that what is answered is right: no key
//! twice, no message lost or twice, no change untold. A violation is told and makes the run fail.

// A run that cannot go on ends, with what it saw.
#![allow(clippy::panic)]

mod crew;
mod work;

use std::{panic::AssertUnwindSafe, path::PathBuf, process::ExitCode};

use clap::Parser;
use futures_util::FutureExt as _;
use olmstead_benches::{client, keys, progress::Progress, report::Report};

use crate::{
    crew::Crew,
    work::{Needs, Workload},
};

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
    /// Another node of the same server, to measure how long a message takes from one to the other.
    #[arg(long)]
    second_url: Option<String>,
    /// Only workloads with this in their name. May be repeated.
    #[arg(long)]
    only: Vec<String>,
    /// Does less, and leaves out what takes long to prepare: rooms of 1,000 members, 100 rooms.
    #[arg(long)]
    quick: bool,
    /// How many long polls wait at once.
    #[arg(long)]
    polls: Option<usize>,
    /// Ends well though answers were wrong; they are in the figures, and who reads those judges.
    #[arg(long)]
    lenient: bool,
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
    let is_possible = |workload: &Workload| match workload.needs {
        Needs::Nothing => true,
        Needs::Time => !options.quick,
        Needs::SecondNode => options.second_url.is_some(),
    };
    let chosen: Vec<&Workload> =
        work::ALL.iter().filter(|workload| is_chosen(workload.name) && is_possible(workload)).collect();
    if is_chosen(work::FRESH_MEMORY) && !options.server_pid.is_empty() {
        work::fresh_memory(&mut crew);
        report.add_figures(crew.take_figures());
    }
    let mut progress = Progress::new(chosen.len());
    for workload in chosen {
        progress.begin(&format!("{}: {}", options.name, workload.name));
        // What one kind of work broke is no reason to know nothing of the others.
        match AssertUnwindSafe((workload.run)(&mut crew)).catch_unwind().await {
            Ok(measured) => report.add([workload.name, workload.about], crew.take_size(), measured),
            Err(reason) => {
                let reason = reason.downcast_ref::<String>().map_or("it panicked", String::as_str);
                crew.violations().add(format!("{}: could not be done: {reason}", workload.name));
            }
        }
        report.add_figures(crew.take_figures());
    }
    drop(progress);
    report.finish(&crew.violations());
    print!("{}", report.table());
    if let Some(path) = &options.json {
        let text = report.json().to_string();
        std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(options.lenient || report.is_right())
}
