//! Syncing at several nodes of one store, over many seeds.
//!
//! The code of the use cases, the tailer and the notifier is the real one; the store is a model with the promises of an
//! engine, and time is the run's own, so a minute of it takes milliseconds. Commands commit in another order than they
//! began, hints come late, twice or not at all, reads and commands fail, nodes die and come back with nothing in memory,
//! clients go from node to node and drop answers. What clients are told is held against what was committed.
//!
//! A seed that fails is printed with the fewest operations that were found to fail. `OLMSTEAD_CONFORMANCE_SEED` runs it
//! again, `OLMSTEAD_CONFORMANCE_STEPS` says how many operations a run has, and `OLMSTEAD_SIMULATIONS` how many seeds are
//! tried.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod absent;
mod chance;
mod clients;
mod node_store;
mod nodes;
mod oracle;
mod people;
mod store;

use std::sync::Arc;

use olmstead_conformance::{
    driver,
    random::{Random, seed, setting},
};
use tokio::{runtime::Builder, sync::watch, task::JoinSet};

use crate::{
    chance::{Clock, mix},
    clients::{Act, Hands, Operation},
    nodes::{NODES, Nodes},
    people::{DEVICES, USERS},
    store::{Lie, World},
};

/// Seeds that are tried, unless `OLMSTEAD_SIMULATIONS` says otherwise.
const SEEDS: u64 = 120;
/// Operations of a run, unless `OLMSTEAD_CONFORMANCE_STEPS` says otherwise.
const OPERATIONS: usize = 60;
/// Milliseconds in which they are begun.
const SPAN: usize = 20_000;
/// How many runs the search for a short failure may take.
const SHRINKING_RUNS: usize = 200;
/// Within so many seeds each lie of the store is noticed.
const LIES: u64 = 30;

/// What is done in a run.
fn operations(seed: u64, count: usize) -> Vec<Operation> {
    let mut random = Random::new(seed);
    (0..count)
        .map(|number| {
            let at = u64::try_from(random.below(SPAN)).unwrap();
            let (user, device) = (random.below(USERS), random.below(DEVICES));
            let what = match random.below(20) {
                0..8 => Act::Send { from: random.below(DEVICES), to: device, all: random.once_in(3) },
                8..12 => Act::Entry { user, kind: random.number() % 2 },
                12..15 => Act::DeviceList { user },
                15..17 => Act::Upload { device, keys: 1 + random.number() % 9 },
                17..19 => Act::Claim { device },
                _ => Act::Kill { node: random.below(NODES), away: 200 + u64::try_from(random.below(4_000)).unwrap() },
            };
            Operation { number, at, what }
        })
        .collect()
}

/// Runs it. What differs from what must be; else a number that stands for all that was answered.
fn simulate(seed: u64, operations: &[Operation], lie: Lie) -> Result<u64, String> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = World::new(Clock::start(), seed, lie);
        let nodes = Nodes::start(&world, seed);
        let (end, ended) = watch::channel(None);
        let mut clients = Vec::new();
        for device in 0..DEVICES {
            clients.push(tokio::spawn(clients::sync_on(Arc::clone(&nodes), device, seed, ended.clone())));
        }
        let hands = Arc::new(Hands::new());
        let mut all = JoinSet::new();
        for operation in operations {
            all.spawn(clients::operate(Arc::clone(&nodes), Arc::clone(&hands), operation.clone(), seed));
        }
        while let Some(done) = all.join_next().await {
            done.map_err(|error| format!("an operation failed: {error}"))?;
        }
        // Commands that nobody waits for any more end, too.
        world.clock.wait(0, 5_000).await;
        end.send_replace(Some(world.horizon()));
        let mut answered = Vec::new();
        for client in clients {
            answered.push(client.await.map_err(|error| format!("a client failed: {error}"))??);
        }
        let truth = world.truth();
        for (device, answers) in answered.iter().enumerate() {
            oracle::check(device, answers, &truth)?;
        }
        Ok(mix((format!("{answered:?}"), truth)))
    })
}

/// Fewer operations that fail as well, and how.
fn shorten(seed: u64, operations: Vec<Operation>, message: String, lie: Lie) -> (Vec<Operation>, String) {
    let (mut failing, mut message, mut size, mut runs) = (operations, message, usize::MAX, 0);
    while size > 0 && runs < SHRINKING_RUNS {
        size = size.min(failing.len()) / 2;
        let mut from = 0;
        while size > 0 && from < failing.len() && runs < SHRINKING_RUNS {
            let mut shorter = failing.clone();
            shorter.drain(from..(from + size).min(failing.len()));
            runs += 1;
            match simulate(seed, &shorter, lie) {
                Err(new) => (failing, message) = (shorter, new),
                Ok(_) => from += size,
            }
        }
    }
    (failing, message)
}

#[test]
fn clients_at_several_nodes_are_told_of_everything_once() {
    let (first, count) = (seed(), driver::steps(OPERATIONS));
    let seeds = setting("OLMSTEAD_SIMULATIONS").unwrap_or(SEEDS);
    println!(
        "simulation: OLMSTEAD_CONFORMANCE_SEED={first} OLMSTEAD_CONFORMANCE_STEPS={count}, {seeds} seeds from it on"
    );
    for seed in (0..seeds).map(|number| first.wrapping_add(number)) {
        let operations = operations(seed, count);
        let Err(message) = simulate(seed, &operations, Lie::No) else { continue };
        println!("simulation: seed {seed}: {message}\nlooking for a shorter run …");
        let (operations, shorter) = shorten(seed, operations, message.clone(), Lie::No);
        let lines: Vec<String> = operations.iter().map(|operation| format!("  {operation:?}")).collect();
        panic!("seed {seed}: {message}\n{} operations suffice:\n{}\n{shorter}", lines.len(), lines.join("\n"));
    }
}

#[test]
fn a_store_that_breaks_a_promise_is_noticed() {
    for lie in [Lie::NewestIsHorizon, Lie::EarlyAnswer, Lie::NothingChanged, Lie::AcknowledgesAll] {
        let mut found = (0..LIES).filter_map(|seed| simulate(seed, &operations(seed, OPERATIONS), lie).err());
        let message = found.next().unwrap_or_else(|| panic!("{lie:?} is not noticed"));
        println!("{lie:?}: {message}");
    }
}
