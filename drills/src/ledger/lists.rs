//! Changes of device lists: who shares a room is told of each, by the first sync that begins after it was acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use super::Row;

#[derive(Debug)]
struct Change {
    user: String,
    /// When its request was first sent, by the ledger's own count.
    began: u64,
    ended: u64,
}

#[derive(Debug, Default)]
struct Observer {
    /// When each user was last told as changed.
    told: BTreeMap<String, u64>,
    /// How many of the acknowledged changes were judged.
    judged: usize,
    missed: usize,
    met: usize,
}

/// All changes and who was told of them.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    clock: u64,
    /// In the order in which they were acknowledged.
    acknowledged: Vec<Change>,
    observers: BTreeMap<String, Observer>,
}

impl Lists {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// A change is about to be asked for, or a sync: when.
    pub(crate) fn begin(&mut self) -> u64 {
        self.tick()
    }

    /// A user's change that began then was acknowledged.
    pub(crate) fn acknowledged(&mut self, user: &str, began: u64) {
        let ended = self.tick();
        self.acknowledged.push(Change { user: user.to_owned(), began, ended });
    }

    /// Somebody who shares a room with all got the answer to a sync that began then and goes on from the one before;
    /// these users are told as changed.
    pub(crate) fn synced(&mut self, observer: &str, began: u64, changed: BTreeSet<String>) {
        let now = self.tick();
        let entry = self.observers.entry(observer.to_owned()).or_default();
        entry.told.extend(changed.into_iter().map(|user| (user, now)));
        for change in self.acknowledged.iter().skip(entry.judged).take_while(|change| change.ended < began) {
            entry.judged += 1;
            if change.user == observer {
                continue;
            }
            // All answers since the change began, up to this one, cover it.
            let is_told = entry.told.get(&change.user).is_some_and(|told| *told >= change.began);
            entry.met += usize::from(is_told);
            entry.missed += usize::from(!is_told);
        }
    }

    /// Whether all observers were judged by all changes.
    pub(crate) fn is_settled(&self) -> bool {
        self.observers.values().all(|observer| observer.judged == self.acknowledged.len())
    }

    /// Counts each change for each observer.
    pub(crate) fn judge(&self) -> Row {
        let sum = |of: fn(&Observer) -> usize| self.observers.values().map(of).sum();
        let (met, missed): (usize, usize) = (sum(|o| o.met), sum(|o| o.missed));
        Row { what: "device-list changes", acknowledged: met + missed, found: met, lost: missed, ..Row::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_change_told_in_the_next_sync_is_good() {
        let mut lists = Lists::default();
        let change = lists.begin();
        lists.acknowledged("a", change);
        let sync = lists.begin();
        lists.synced("b", sync, users(&["a"]));
        assert_eq!((lists.judge().found, lists.judge().lost), (1, 0));
        assert!(lists.is_settled());
    }

    #[test]
    fn a_change_told_before_it_was_acknowledged_is_good() {
        let mut lists = Lists::default();
        let (change, sync) = (lists.begin(), lists.begin());
        lists.synced("b", sync, users(&["a"]));
        lists.acknowledged("a", change);
        let sync = lists.begin();
        lists.synced("b", sync, users(&[]));
        assert!(lists.judge().is_good());
        assert_eq!(lists.judge().found, 1);
    }

    #[test]
    fn a_missed_change_is_seen_though_a_later_one_is_told() {
        let mut lists = Lists::default();
        for told in [&[][..], &["a"]] {
            let change = lists.begin();
            lists.acknowledged("a", change);
            let sync = lists.begin();
            lists.synced("b", sync, users(told));
        }
        assert_eq!((lists.judge().found, lists.judge().lost), (1, 1));
    }

    #[test]
    fn a_sync_that_began_earlier_need_not_tell() {
        let mut lists = Lists::default();
        let (sync, change) = (lists.begin(), lists.begin());
        lists.acknowledged("a", change);
        lists.synced("b", sync, users(&[]));
        assert!(lists.judge().is_good());
        assert!(!lists.is_settled());
    }
}
