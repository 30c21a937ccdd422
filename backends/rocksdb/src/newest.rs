//! How far the logs reach: the newest position in each, so that nothing is looked for where nothing can be.
//!
//! Many tables are logs: their keys are some parts, then a position. Most reads of a sync ask a log for what came after
//! a place where nothing came. So it is remembered in memory, for each log that a store has, which position was last
//! written, in a table of fixed size that logs share: a slot says "not after this" for all that fall on it, which is
//! never wrong. It is noted where rows are written, before they can be read, whatever command writes them.

use std::{
    hash::{DefaultHasher, Hasher as _},
    sync::atomic::{AtomicU64, Ordering},
};

use olmstead_domain::position::Position;

/// Eight bytes each.
const SLOTS: usize = 1 << 16;

/// See the module.
pub(crate) struct Newest(Box<[AtomicU64]>);

impl Newest {
    /// All that was written before, by an earlier process, is below `start`.
    pub(crate) fn new(start: Position) -> Self {
        let before = start.0.saturating_sub(1);
        Self((0..SLOTS).map(|_| AtomicU64::new(before)).collect())
    }

    /// A row of a log is about to be written.
    pub(crate) fn note(&self, log: &[u8], position: Position) {
        if let Some(slot) = self.slot(log) {
            slot.fetch_max(position.0, Ordering::AcqRel);
        }
    }

    /// Whether a log may have rows at `from` or after.
    pub(crate) fn may_reach(&self, log: &[u8], from: Position) -> bool {
        self.slot(log).is_none_or(|slot| slot.load(Ordering::Acquire) >= from.0)
    }

    fn slot(&self, log: &[u8]) -> Option<&AtomicU64> {
        let mut hasher = DefaultHasher::new();
        hasher.write(log);
        // The remainder is below the number of slots.
        let index = usize::try_from(hasher.finish() % SLOTS as u64).unwrap_or_default();
        self.0.get(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_reaches_at_least_as_far_as_it_was_written() {
        let newest = Newest::new(Position(100));
        assert!(newest.may_reach(b"a", Position(99)), "an earlier process may have written it");
        assert!(!newest.may_reach(b"a", Position(100)));
        newest.note(b"a", Position(120));
        newest.note(b"a", Position(110));
        assert!(newest.may_reach(b"a", Position(120)));
        assert!(!newest.may_reach(b"a", Position(121)));
    }

    #[test]
    fn logs_that_share_a_slot_hide_nothing() {
        let newest = Newest::new(Position(1));
        for number in 0_u64..3 * SLOTS as u64 {
            newest.note(&number.to_be_bytes(), Position(1 + number));
        }
        assert!((0_u64..3 * SLOTS as u64).all(|number| newest.may_reach(&number.to_be_bytes(), Position(1 + number))));
    }
}
