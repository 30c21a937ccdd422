//! Runs random commands on a thing and on its model, and makes a failure short.

use std::fmt::Debug;

use crate::random::{Random, seed, setting};

/// How many runs the search for a short failure may take.
const SHRINKING_RUNS: usize = 150;

/// Something under test together with what is expected of it.
// Implemented and called in tests only: nobody needs the futures to be `Send`.
#[allow(async_fn_in_trait)]
pub trait Trial: Sized {
    /// What can be done. A command makes sense in any state, so that any part of a run is a run.
    type Command: Clone + Debug;

    /// A random command.
    fn command(random: &mut Random) -> Self::Command;

    /// Runs a command and compares; the error says what differs.
    async fn step(&mut self, command: &Self::Command) -> Result<(), String>;
}

/// How many commands to run: `OLMSTEAD_CONFORMANCE_STEPS`, or else `default`.
#[must_use]
pub fn steps(default: usize) -> usize {
    setting("OLMSTEAD_CONFORMANCE_STEPS").unwrap_or(default)
}

/// Runs so many random commands of one seed on what `begin` makes. A difference is shortened to few commands, each
/// attempt on something new, and told with the seed.
///
/// # Panics
/// If what is under test and its model differ.
pub async fn check<T: Trial>(name: &str, seed: u64, steps: usize, begin: impl AsyncFn() -> T) {
    println!("{name}: OLMSTEAD_CONFORMANCE_SEED={seed} OLMSTEAD_CONFORMANCE_STEPS={steps}");
    let mut random = Random::new(seed);
    let commands: Vec<T::Command> = (0..steps).map(|_| T::command(&mut random)).collect();
    let Err((at, first)) = run(begin().await, &commands).await else { return };
    // Shortening takes long; what was found must not be lost with the patience of who waits.
    println!("{name}: seed {seed}, step {at}: {first}\nlooking for a shorter run …");
    let mut failing = commands[..=at].to_vec();
    let (mut message, mut size, mut runs) = (first.clone(), failing.len() / 2, 0);
    while size > 0 && runs < SHRINKING_RUNS {
        let mut from = 0;
        while from < failing.len() && runs < SHRINKING_RUNS {
            let mut shorter = failing.clone();
            shorter.drain(from..(from + size).min(failing.len()));
            runs += 1;
            match run(begin().await, &shorter).await {
                Err((at, new)) => {
                    shorter.truncate(at + 1);
                    (failing, message) = (shorter, new);
                }
                Ok(()) => from += size,
            }
        }
        size /= 2;
    }
    let commands: Vec<String> = failing.iter().map(|command| format!("  {command:?}")).collect();
    panic!(
        "{name}: seed {seed}, step {at}: {first}\n{} commands suffice:\n{}\n  {message}",
        commands.len(),
        commands.join("\n")
    );
}

/// The seeds of so many runs that go on at the same time: the one of the environment or the clock, and those after it.
pub fn seeds(count: usize) -> impl Iterator<Item = u64> {
    let first = seed();
    (0..count).map(move |number| first.wrapping_add(u64::try_from(number).unwrap_or_default()))
}

async fn run<T: Trial>(mut trial: T, commands: &[T::Command]) -> Result<(), (usize, String)> {
    for (index, command) in commands.iter().enumerate() {
        trial.step(command).await.map_err(|message| (index, message))?;
    }
    Ok(())
}

/// Compares an answer with what is expected of it.
///
/// # Errors
/// What differs.
pub fn same<T: PartialEq + Debug>(what: &str, answer: T, expected: T) -> Result<(), String> {
    if answer == expected { Ok(()) } else { Err(format!("{what}: there is {answer:?}, expected {expected:?}")) }
}
