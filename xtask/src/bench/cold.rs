//! How long a server takes to start on a store that is full.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{durable_cluster, engines};
use crate::Failure;
use crate::engines::Engine;
use crate::process::{check, command, describe, release_binary};
use crate::server::{Data, Scratch, Server};

/// As in the report.
pub(super) const NAME: &str = "cold start";
/// Users of the store in a quick run, and in a whole one.
const USERS: [u32; 2] = [5_000, 100_000];
/// The median of so many starts counts.
const STARTS: usize = 3;

/// Fills a fresh store, starts servers on it, and writes how long one took until it was healthy.
///
/// # Errors
/// If the store cannot be filled, a server does not start, or the file cannot be written.
pub(super) fn measure(engine: Engine, is_quick: bool, json: &Path) -> Result<(), Failure> {
    let users = USERS[usize::from(!is_quick)];
    let scratch = Scratch::new("bench-cold")?;
    let cluster = (engine == Engine::Postgres).then(durable_cluster).transpose()?;
    let data = match &cluster {
        Some(cluster) => Data::database(&cluster.url("postgres"))?,
        None => Data::Directory,
    };
    let mut fill = command(release_binary(engines::PROGRAM));
    fill.args(["--engine", engine.name(), &format!("--sizes={users}"), "--fill"]).arg(scratch.data());
    if let Data::Database(database) = &data {
        fill.args(["--url", database.url()]);
    }
    println!("$ {}", describe(&fill));
    check(&mut fill)?;
    let mut times: Vec<Duration> = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let began = Instant::now();
        let server = Server::start(&release_binary("olmstead"), &data, &scratch)?;
        times.push(began.elapsed());
        server.stop()?;
    }
    times.sort_unstable();
    let median = times[STARTS / 2].as_secs_f64();
    println!("{}: {NAME} {median:.2} s ({users} users)", engine.name());
    let text = format!(
        "{{\"name\":\"{}\",\"figures\":[{{\"name\":\"{NAME}\",\"value\":{median},\"unit\":\"s\",\
         \"how\":\"from the start of the process to a good /health, {users} users in rooms, median of {STARTS}\"}}]}}",
        engine.name()
    );
    fs::write(json, text).map_err(|e| format!("cannot write {}: {e}", json.display()))
}
