//! What became of the requests of an attack.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Counts by outcome: a status, or a word where there was none.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<BTreeMap<String, u64>>);

impl Tally {
    pub(crate) fn add(&self, outcome: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(outcome.into()).or_default() += 1;
    }

    pub(crate) fn of(&self, outcome: &str) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(outcome).copied().unwrap_or(0)
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    /// The outcomes, the most frequent first.
    pub(crate) fn outcomes(&self) -> Vec<(String, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = counts.iter().map(|(outcome, count)| (outcome.clone(), *count)).collect();
        all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        all
    }
}
