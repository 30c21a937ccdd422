//! When things happen: drawn from a seed, the same in each run of it.
//!
//! Each who acts has a lane: moments at which nobody else does anything. So what happens does not depend on the order in
//! which a runtime polls tasks that are ready at the same moment.

use std::{
    hash::{DefaultHasher, Hash, Hasher as _},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// Who can act at once. Each has two lanes: its own, and that of the commands it began.
pub(crate) const ACTORS: u64 = 32;
/// Milliseconds from one moment of a lane to the next.
const ROUND: u64 = 2 * ACTORS;

/// A number that follows from others.
pub(crate) fn mix(parts: impl Hash) -> u64 {
    // Its keys are fixed.
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

/// The time of a run: it begins with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Milliseconds since the beginning.
    pub(crate) fn now(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap()
    }

    /// Waits for at least so many milliseconds, until a moment of a lane.
    pub(crate) async fn wait(self, lane: u64, least: u64) {
        let after = self.now() + least;
        let moment = after - after % ROUND + lane % ROUND;
        let moment = if moment > after { moment } else { moment + ROUND };
        sleep_until(self.0 + Duration::from_millis(moment)).await;
    }
}

/// Somebody who acts: a client, a request, a node's tailer.
#[derive(Debug)]
pub(crate) struct Actor {
    pub(crate) clock: Clock,
    pub(crate) number: u64,
    seed: u64,
    drawn: AtomicU64,
}

impl Actor {
    /// With draws of its own; `number` says whose lane it is.
    pub(crate) fn new(clock: Clock, number: u64, seed: u64) -> Self {
        Self { clock, number, seed, drawn: AtomicU64::new(0) }
    }

    /// The next number below `end`.
    pub(crate) fn draw(&self, end: u64) -> u64 {
        mix((self.seed, self.drawn.fetch_add(1, Ordering::Relaxed))) % end
    }

    /// True once in `n` times.
    pub(crate) fn once_in(&self, n: u64) -> bool {
        self.draw(n) == 0
    }

    /// Waits for a while, at most about so many milliseconds.
    pub(crate) async fn pause(&self, most: u64) {
        let least = self.draw(most);
        self.clock.wait(2 * self.number, least).await;
    }

    /// The lane of the commands it began.
    pub(crate) const fn command_lane(&self) -> u64 {
        2 * self.number + 1
    }
}

tokio::task_local! {
    /// Who runs.
    pub(crate) static ACTOR: Actor;
}

/// As [`Actor::pause`], by who runs.
pub(crate) async fn pause(most: u64) {
    let (clock, number, least) = ACTOR.with(|actor| (actor.clock, actor.number, actor.draw(most)));
    clock.wait(2 * number, least).await;
}
