//! Positions: given, open until they are final, and the horizon below which all is.

use std::collections::{BTreeMap, BTreeSet};

use crate::sync::Mutex;

/// What was retired: how far the horizon is now, and whom it has passed.
#[derive(Debug)]
pub struct Retired<W> {
    /// The horizon.
    pub horizon: u64,
    /// Who waited for it to pass a position that it has passed now, oldest first.
    pub passed: Vec<W>,
}

/// What changed in a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed<K> {
    /// Exactly these.
    Keys(Vec<K>),
    /// The span is no longer remembered.
    Everything,
}

/// A stream of positions, with the keys of what changed at each lately, and who waits for the horizon to pass one.
///
/// A position is *open* from when it is issued until it is retired. The horizon is the smallest open position, or the next
/// one to be issued: nothing below it is open, and none below it will ever be issued.
#[derive(Debug)]
pub struct Positions<K, W> {
    state: Mutex<State<K, W>>,
    /// How many keys are remembered.
    memory: usize,
}

#[derive(Debug)]
struct State<K, W> {
    next: u64,
    reserved: u64,
    open: BTreeSet<u64>,
    recent: BTreeMap<u64, Vec<K>>,
    recent_keys: usize,
    /// Everything at this position and after, below the horizon, is in `recent`.
    floor: u64,
    waiting: BTreeMap<u64, W>,
    /// No horizon will pass what is open: nobody waits any more.
    abandoned: bool,
}

impl<K, W> State<K, W> {
    fn horizon(&self) -> u64 {
        self.open.first().copied().unwrap_or(self.next)
    }
}

impl<K: Clone, W> Positions<K, W> {
    /// A stream that begins at this position, below which all were reserved before, and that remembers so many keys.
    #[must_use]
    pub fn new(first: u64, memory: usize) -> Self {
        let state = State {
            next: first,
            reserved: first,
            open: BTreeSet::new(),
            recent: BTreeMap::new(),
            recent_keys: 0,
            floor: first,
            waiting: BTreeMap::new(),
            abandoned: false,
        };
        Self { state: Mutex::new(state), memory }
    }

    /// Issues a position. `reserve` is called, seldom, to put a new bound on disk, `block` positions on: all positions below
    /// it may be issued. `None` if it would have to be called and the caller may not wait.
    ///
    /// # Errors
    /// That of `reserve`; nothing was issued then.
    pub fn issue<E>(
        &self,
        block: u64,
        may_wait: bool,
        reserve: impl FnOnce(u64) -> Result<(), E>,
    ) -> Result<Option<u64>, E> {
        let mut state = self.state.lock();
        if state.next >= state.reserved {
            if !may_wait {
                return Ok(None);
            }
            let bound = state.next.saturating_add(block);
            reserve(bound)?;
            state.reserved = bound;
        }
        let position = state.next;
        state.next += 1;
        state.open.insert(position);
        Ok(Some(position))
    }

    /// Retires positions whose writes are durable, or will never be. Who comes with one is told of when the horizon has
    /// passed it, now or later; never once the stream was abandoned: then they are dropped.
    pub fn retire(&self, writes: impl IntoIterator<Item = (u64, Vec<K>, Option<W>)>) -> Retired<W> {
        let mut state = self.state.lock();
        for (position, keys, waiter) in writes {
            state.open.remove(&position);
            if !keys.is_empty() {
                state.recent_keys += keys.len();
                state.recent.insert(position, keys);
            }
            if let Some(waiter) = waiter
                && !state.abandoned
            {
                state.waiting.insert(position, waiter);
            }
        }
        while state.recent_keys > self.memory {
            let Some((position, keys)) = state.recent.pop_first() else { break };
            state.recent_keys -= keys.len();
            state.floor = position + 1;
        }
        let horizon = state.horizon();
        let later = state.waiting.split_off(&horizon);
        let passed = std::mem::replace(&mut state.waiting, later);
        Retired { horizon, passed: passed.into_values().collect() }
    }

    /// What is open stays open for good; who waits for the horizon to pass it is dropped.
    pub fn abandon(&self) {
        let mut state = self.state.lock();
        state.abandoned = true;
        state.waiting.clear();
    }

    /// Every position below is final.
    #[must_use]
    pub fn horizon(&self) -> u64 {
        self.state.lock().horizon()
    }

    /// How many positions were issued at the horizon and after.
    #[must_use]
    pub fn lag(&self) -> u64 {
        let state = self.state.lock();
        state.next - state.horizon()
    }

    /// What changed at `from` and after, strictly below `to`, which is a horizon.
    #[must_use]
    pub fn changed(&self, from: u64, to: u64) -> Changed<K> {
        let state = self.state.lock();
        if to <= from {
            Changed::Keys(Vec::new())
        } else if from < state.floor {
            Changed::Everything
        } else {
            Changed::Keys(state.recent.range(from..to).flat_map(|(_, keys)| keys.iter().cloned()).collect())
        }
    }
}
