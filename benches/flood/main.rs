//! Floods one server in all the ways that its limits are against, one after another, and looks at what becomes of its memory
//! and of clients that do nothing wrong. Prints a table; fails if a bound is broken.

// A program like a test: what it cannot go on without ends it.
#![allow(clippy::panic)]

mod attacks;
mod client;
mod honest;
mod memory;
mod table;
mod tally;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    attacks::{Attack, World},
    honest::Honest,
    memory::Memory,
    table::Row,
    tally::Tally,
};

const MIB: u64 = 1 << 20;

/// Floods a server that is made for it: users are registered, and stores filled.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where it serves; without TLS, and on this machine, since attackers have addresses in 127.0.0.0/8.
    #[arg(long)]
    url: String,
    /// The number of its process, whose memory is looked at.
    #[arg(long)]
    server_pid: u32,
    /// How long each attack takes at least, seconds. Some take longer, until a limit on time has shown.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Only attacks with this in their name.
    #[arg(long)]
    only: Option<String>,
    /// How much more memory than at rest the server may take, MiB. See docs/reliability.md for the sum.
    #[arg(long, default_value_t = 1_024)]
    memory_mib: u64,
    /// What the slowest hundredth of an honest client's requests may take during an attack, milliseconds. Some, on a busy
    /// machine, are one of a hundred, and a connection whose first packet was dropped comes a second late.
    #[arg(long, default_value_t = 3_000)]
    honest_p99_ms: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(broken) if broken.is_empty() => {
            println!("\nAll bounds held.");
            ExitCode::SUCCESS
        }
        Ok(broken) => {
            println!();
            for broken in broken {
                println!("BROKEN: {broken}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("olmstead-flood: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The bounds that were broken, as sentences.
async fn run(arguments: &Arguments) -> Result<Vec<String>, String> {
    // Thousands of connections are opened from here.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
        .map_err(|error| format!("the limit of open files: {error}"))?;
    let memory = Memory::of(arguments.server_pid);
    let world = World::make(&arguments.url).await?;
    let honest = Honest::start(&arguments.url).await?;

    // What each needs once (caches, connections) is not what an attack costs.
    tokio::time::sleep(Duration::from_secs(3)).await;
    honest.take();
    memory.forget_peak()?;
    tokio::time::sleep(Duration::from_secs(arguments.seconds)).await;
    let at_rest = memory.peak()?;
    let quiet = Row::new("none", None, &Tally::default(), Duration::ZERO, at_rest, honest.take());
    let mut broken = quiet.broken(None, Duration::from_millis(arguments.honest_p99_ms));
    let mut rows = vec![quiet];

    let allowed = at_rest + arguments.memory_mib * MIB;
    for attack in Attack::ALL {
        if arguments.only.as_ref().is_some_and(|only| !attack.name().contains(only.as_str())) {
            continue;
        }
        eprintln!("{} …", attack.name());
        honest.take();
        memory.forget_peak()?;
        let (began, tally) = (Instant::now(), Tally::default());
        let least = Duration::from_secs(arguments.seconds);
        let found = attack.run(&world, began + attack.lasts(least), &tally).await;
        let row =
            Row::new(attack.name(), found.as_deref().ok(), &tally, began.elapsed(), memory.peak()?, honest.take());
        broken.extend(found.err().map(|error| format!("{}: {error}", attack.name())));
        broken.extend(row.broken(Some(allowed), Duration::from_millis(arguments.honest_p99_ms)));
        rows.push(row);
        // What the attack left behind (connections that close, memory that is given back) is not the next one's.
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    honest.stop().await;
    let after = memory.now()?;
    println!("{}", table::render(&rows));
    println!(
        "Memory at rest {} MiB, allowed {} MiB, after all attacks {} MiB.",
        at_rest / MIB,
        allowed / MIB,
        after / MIB
    );
    Ok(broken)
}
