//! Random and mutated requests to all routes, by several users.
//!
//! Whatever is sent, the server answers and does not fail; an error says what it is and changes nothing; nobody is told
//! what is another's; and what one user has in private is touched by nobody else. `OLMSTEAD_CONFORMANCE_SEED` and
//! `OLMSTEAD_CONFORMANCE_STEPS` (of each of the runs) choose others; 3,000,000 steps are about an hour.

mod mutate;
mod requests;
mod world;

use futures_util::future::join_all;
use olmstead_conformance::{
    driver::{self, Trial},
    random::Random,
};

use self::world::World;
use crate::{harness::Server, rules::access::routes};

/// How many runs go on at once.
const RUNS: usize = 2;
/// How many requests each of them is.
const STEPS: usize = 2_500;
/// So often the state before and after an error is compared.
const LOOK_EVERY: usize = 25;

/// A request, found again by its number.
#[derive(Debug, Clone)]
pub(super) struct Command {
    /// Which of the routes.
    pub(super) route: usize,
    /// Who sends it.
    pub(super) caller: usize,
    /// What is random in it.
    pub(super) seed: u64,
    /// Whether all that the callers can read is looked at before and after.
    pub(super) look: bool,
}

impl Trial for World {
    type Command = Command;

    fn command(random: &mut Random) -> Command {
        let route = random.below(routes::all().len());
        let caller = random.below(world::CALLERS);
        Command { route, caller, seed: random.number(), look: random.once_in(LOOK_EVERY) }
    }

    async fn step(&mut self, command: &Command) -> Result<(), String> {
        self.send(command).await
    }
}

/// No input makes the server fail, tell what is another's, or do by halves what it refuses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_sent_does_harm() {
    let server = Server::start().await;
    let steps = driver::steps(STEPS);
    let runs = driver::seeds(RUNS).map(|seed| {
        let server = server.clone();
        driver::check("fuzz", seed, steps, async move || World::new(server.clone()).await)
    });
    join_all(runs).await;
}
