//! Random requests, with every answer held against an oracle of the conformance crate.
//!
//! Several runs go on at once on one server, 10,000 requests together. `OLMSTEAD_CONFORMANCE_SEED` and
//! `OLMSTEAD_CONFORMANCE_STEPS` (of one run) choose others.

mod backups;
mod device_lists;
mod one_time_keys;

use futures_util::future::join_all;
use olmstead_conformance::driver::{self, Trial};

use crate::harness::Server;

/// How many runs go on at once.
const RUNS: usize = 4;
/// How many commands each of them is.
const STEPS: usize = 2_500;

/// Runs random commands in parallel worlds on the shared server.
async fn check<T: Trial>(name: &str, begin: impl AsyncFn(Server) -> T + Copy) {
    let server = Server::shared().await;
    let steps = driver::steps(STEPS);
    let runs = driver::seeds(RUNS).map(|seed| {
        let server = server.clone();
        driver::check(name, seed, steps, async move || begin(server.clone()).await)
    });
    join_all(runs).await;
}
