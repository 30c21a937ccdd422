//! Models of the store, and how a store is held against them.

pub(crate) mod backups;
pub(crate) mod device_lists;
pub(crate) mod inboxes;
pub(crate) mod keys;
pub(crate) mod memberships;

use std::fmt::Debug;

pub(crate) use crate::driver::same;
use crate::{
    Store,
    driver::{self, Trial},
    random::{Random, seed},
};

/// How many commands a property test runs, unless `OLMSTEAD_CONFORMANCE_STEPS` says otherwise.
const STEPS: usize = 1_000;

/// One command in so many is a restart.
const RESTART: usize = 80;

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

/// A store, there but while it restarts, and its model.
struct Pair<M>(Option<Store>, M);

impl<M: StoreModel> Trial for Pair<M> {
    type Command = Step<M::Command>;

    fn command(random: &mut Random) -> Self::Command {
        if random.once_in(RESTART) { Step::Restart } else { Step::Command(M::command(random)) }
    }

    async fn step(&mut self, step: &Self::Command) -> Result<(), String> {
        match step {
            Step::Restart => {
                let store = self.0.take().expect("the store");
                self.0 = Some(store.reopen().await);
                Ok(())
            }
            Step::Command(command) => self.1.step(self.0.as_ref().expect("the store"), command).await,
        }
    }
}

/// Runs random commands on a store and its model, with a restart now and then.
pub(crate) async fn check<M: StoreModel>(name: &str, store: Store) {
    let begin = async || {
        let store = store.another().await;
        let model = M::begin(&store).await;
        Pair(Some(store), model)
    };
    driver::check(name, seed(), driver::steps(STEPS), begin).await;
}
