//! The crash drill: a server under load is killed again and again, and a ledger that is kept beside it says what it lost.
//!
//! Clients with real keys do many things at once (see `crew`). The server is killed with SIGKILL at random moments, also
//! while it starts, and started again on the same store. With RocksDB every second kill is a loss of power: what was not
//! synced is cut off. With PostgreSQL the database crashes, too, or drops the server's connections. At the end all that the
//! server has is held against what it acknowledged.

mod api;
mod crew;
mod ledger;
mod server;
mod signed;

use std::{
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::{Parser, ValueEnum};
use olmstead_postgres_cluster::{Cluster, Database, Options as ClusterOptions, Shutdown};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::{crew::Crew, ledger::Ledger, server::Server};

/// Where the server keeps its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    Rocksdb,
    Postgres,
}

impl Engine {
    const fn name(self) -> &'static str {
        match self {
            Self::Rocksdb => "rocksdb",
            Self::Postgres => "postgres",
        }
    }
}

/// What to break, to see that the drill finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Break {
    /// The log is not synced.
    NoSync,
    /// Commands are answered before they are done.
    EarlyAnswer,
}

impl Break {
    const fn name(self) -> &'static str {
        match self {
            Self::NoSync => "no-sync",
            Self::EarlyAnswer => "early-answer",
        }
    }
}

/// Kills a server again and again, and holds what it has against what it acknowledged.
#[derive(Debug, Parser)]
#[command(name = "olmstead-drill")]
struct Arguments {
    /// The server's binary, built with the feature `drill-faults`.
    #[arg(long)]
    server: PathBuf,
    #[arg(long)]
    engine: Engine,
    /// How often.
    #[arg(long, default_value_t = 200)]
    kills: u32,
    /// How long it lives between two, on average.
    #[arg(long, default_value_t = 1.0)]
    seconds_per_life: f64,
    /// For the moments and kinds of the kills; random, and told, if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// How many load it.
    #[arg(long, default_value_t = 5)]
    people: usize,
    #[arg(long = "break")]
    broken: Option<Break>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("olmstead-drill: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing was lost.
#[tokio::main]
async fn run(arguments: &Arguments) -> Result<bool, String> {
    let seed = arguments.seed.unwrap_or_else(|| rand::random_range(0..1_000_000));
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let cluster = match arguments.engine {
        Engine::Postgres => {
            let options = ClusterOptions { durable: true, ..ClusterOptions::default() };
            Some(Cluster::start(&options).map_err(|error| error.to_string())?)
        }
        Engine::Rocksdb => None,
    };
    let database = cluster.as_ref().map(|cluster| Database::create(&cluster.url("postgres"), "drill"));
    let database = database.transpose().map_err(|error| error.to_string())?;
    let url = database.as_ref().map(Database::url);
    let mut server = Server::new(&arguments.server, directory.path(), url)?;
    server.spawn()?;
    server.ready().await?;
    let ledger = Arc::new(Ledger::default());
    let crew = Crew::prepare(&server.base(), Arc::clone(&ledger), arguments.people).await?;
    // What was prepared is not under test: it must be there even where nothing is synced, so what is to be broken is so
    // from now on.
    server.stop()?;
    server.break_it(arguments.broken);
    server.spawn()?;
    server.ready().await?;

    let name = arguments.engine.name();
    let broken = arguments.broken.map(|broken| format!(", broken on purpose: {}", broken.name())).unwrap_or_default();
    println!("{name}: {} kills, seed {seed}{broken}", arguments.kills);
    let mut drill = Drill { server, database, cluster, random: StdRng::seed_from_u64(seed), done: Done::default() };
    let began = Instant::now();
    let mut tasks = crew.begin();
    for kill in 1..=arguments.kills {
        let life = drill.random.random_range(0.0..2.0 * arguments.seconds_per_life.max(0.01));
        tokio::time::sleep(Duration::from_secs_f64(life)).await;
        drill.disturb().await?;
        progress(name, kill, arguments.kills, began, &ledger);
    }
    drill.server.ready().await?;
    crew.stop();
    while tasks.join_next().await.is_some() {}
    drill.server.is_alive()?;
    crew.finish().await;
    let (table, is_good) = ledger.books().verdict();
    let seconds = began.elapsed().as_secs();
    println!("{name}, {seconds} s, seed {seed}{broken}: {}\n{table}", drill.done.text());
    Ok(is_good)
}

/// A line that is written over in a terminal; elsewhere one for every tenth kill.
fn progress(name: &str, kill: u32, kills: u32, began: Instant, ledger: &Ledger) {
    let is_terminal = std::io::stderr().is_terminal();
    if !is_terminal && !kill.is_multiple_of(10) && kill != kills {
        return;
    }
    let books = ledger.books();
    let text = format!(
        "{name}: kill {kill} of {kills}, {} s, {} acknowledged, {} troubles",
        began.elapsed().as_secs(),
        books.acknowledged(),
        books.troubles.len()
    );
    let end = if is_terminal && kill != kills { "" } else { "\n" };
    let start = if is_terminal { "\r\x1b[2K" } else { "" };
    // A terminal that is gone is no reason to end.
    let _ = write!(std::io::stderr(), "{start}{text}{end}");
}

/// How often each thing was done.
#[derive(Debug, Default)]
struct Done {
    kills: u32,
    power: u32,
    dropped: u64,
    crashes: u32,
    both: u32,
    connections: u32,
}

impl Done {
    fn text(&self) -> String {
        let mut text = format!("{} SIGKILL", self.kills);
        for (count, what) in [
            (self.power, "losses of power"),
            (self.both, "crashes of server and database at once"),
            (self.crashes, "crashes of the database"),
            (self.connections, "times connections dropped"),
        ] {
            if count > 0 {
                text.push_str(&format!(", {count} {what}"));
            }
        }
        if self.power > 0 {
            text.push_str(&format!(" ({} bytes that were not synced)", self.dropped));
        }
        text
    }
}

struct Drill {
    server: Server,
    // Before the cluster, which it is in.
    database: Option<Database>,
    cluster: Option<Cluster>,
    random: StdRng,
    done: Done,
}

impl Drill {
    /// Does one bad thing and starts what it ended. One start in eight is not waited for, and the next thing meets it.
    async fn disturb(&mut self) -> Result<(), String> {
        self.server.is_alive()?;
        let kind = self.random.random_range(0..100);
        match (&self.cluster, &self.database) {
            (Some(cluster), Some(database)) => match kind {
                0..60 => {
                    self.server.kill()?;
                    self.done.kills += 1;
                }
                60..70 => {
                    self.server.kill()?;
                    cluster.restart(Shutdown::Immediate).map_err(|error| error.to_string())?;
                    self.done.both += 1;
                }
                70..82 => {
                    cluster.restart(Shutdown::Immediate).map_err(|error| error.to_string())?;
                    self.done.crashes += 1;
                    return Ok(());
                }
                _ => {
                    database.drop_connections().map_err(|error| error.to_string())?;
                    self.done.connections += 1;
                    return Ok(());
                }
            },
            _ => {
                self.server.kill()?;
                if kind < 50 {
                    self.done.dropped += self.server.lose_power()?;
                    self.done.power += 1;
                } else {
                    self.done.kills += 1;
                }
            }
        }
        self.server.spawn()?;
        if self.random.random_ratio(1, 8) {
            return Ok(());
        }
        self.server.ready().await
    }
}
