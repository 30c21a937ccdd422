//! Models of the store, and the driver that holds a store against them.

pub(crate) mod backups;
pub(crate) mod device_lists;
pub(crate) mod inboxes;
pub(crate) mod keys;
pub(crate) mod memberships;

use std::fmt::Debug;

use crate::{
    Store,
    support::random::{Random, seed, setting},
};

/// How many commands a property test runs, unless `OLMSTEAD_CONFORMANCE_STEPS` says otherwise.
const STEPS: usize = 1_000;

/// One command in so many is a restart.
const RESTART: usize = 80;

/// How many runs the search for a short failure may take.
const SHRINKING_RUNS: usize = 150;

/// A model: a plain picture of a part of the store.
pub(crate) trait StoreModel: Sized {
    /// What can be asked of both. A command makes sense in any state, so that any part of a run is a run.
    type Command: Clone + Debug;

    /// A random command.
    fn command(random: &mut Random) -> Self::Command;

    /// The model of a store that was just made; may write to it.
    async fn begin(store: &Store) -> Self;

    /// Runs a command on both and compares; the error says what differs.
    async fn step(&mut self, store: &Store, command: &Self::Command) -> Result<(), String>;
}

#[derive(Debug, Clone)]
enum Step<C> {
    Restart,
    Command(C),
}

/// Runs random commands on a store and its model. A difference is shortened to few commands and told with its seed.
pub(crate) async fn check<M: StoreModel>(store: Store) {
    let seed = seed();
    let steps = setting("OLMSTEAD_CONFORMANCE_STEPS").unwrap_or(STEPS);
    println!("OLMSTEAD_CONFORMANCE_SEED={seed} OLMSTEAD_CONFORMANCE_STEPS={steps}");
    let mut random = Random::new(seed);
    let commands: Vec<Step<M::Command>> = (0..steps)
        .map(|_| if random.once_in(RESTART) { Step::Restart } else { Step::Command(M::command(&mut random)) })
        .collect();
    let Err((at, first)) = run::<M>(store.another().await, &commands).await else { return };
    let mut failing = commands[..=at].to_vec();
    let (mut message, mut size, mut runs) = (first.clone(), failing.len() / 2, 0);
    while size > 0 && runs < SHRINKING_RUNS {
        let mut from = 0;
        while from < failing.len() && runs < SHRINKING_RUNS {
            let mut shorter = failing.clone();
            shorter.drain(from..(from + size).min(failing.len()));
            runs += 1;
            match run::<M>(store.another().await, &shorter).await {
                Err((at, new)) => {
                    shorter.truncate(at + 1);
                    (failing, message) = (shorter, new);
                }
                Ok(()) => from += size,
            }
        }
        size /= 2;
    }
    let commands: Vec<String> = failing.iter().map(|step| format!("  {step:?}")).collect();
    panic!(
        "seed {seed}, step {at}: {first}\n{} commands suffice:\n{}\n  {message}",
        commands.len(),
        commands.join("\n")
    );
}

async fn run<M: StoreModel>(mut store: Store, steps: &[Step<M::Command>]) -> Result<(), (usize, String)> {
    let mut model = M::begin(&store).await;
    for (index, step) in steps.iter().enumerate() {
        match step {
            Step::Restart => store = store.reopen().await,
            Step::Command(command) => model.step(&store, command).await.map_err(|message| (index, message))?,
        }
    }
    Ok(())
}

/// Compares an answer of the store with that of the model.
pub(crate) fn same<T: PartialEq + Debug>(what: &str, store: T, model: T) -> Result<(), String> {
    if store == model { Ok(()) } else { Err(format!("{what}: the store says {store:?}, the model {model:?}")) }
}
