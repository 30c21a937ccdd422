//! What was sent, what was acknowledged, and what was found: kept beside the server, so that its word is never taken for
//! what it should have kept.
//!
//! Each kind of thing has a book. A request that was answered 2xx is acknowledged and must be found; one that got no
//! answer may or may not have happened; what was never sent must not be found at all.

mod backups;
mod keys;
mod lists;
mod sequences;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use self::{backups::Backups, keys::Keys, lists::Lists, sequences::Sequences};

/// A line of the table.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) what: &'static str,
    /// Answered 2xx.
    pub(crate) acknowledged: usize,
    /// Without an answer, and not sent again.
    pub(crate) unknown: usize,
    pub(crate) found: usize,
    /// Acknowledged and not found.
    pub(crate) lost: usize,
    /// Found more often than once.
    pub(crate) doubled: usize,
    /// Out of order, changed, or never sent.
    pub(crate) wrong: usize,
}

impl Row {
    pub(crate) const fn is_good(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.wrong == 0
    }
}

/// All books.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) to_device: Sequences,
    pub(crate) events: Sequences,
    pub(crate) decrypted: Sequences,
    pub(crate) keys: Keys,
    pub(crate) lists: Lists,
    pub(crate) backups: Backups,
    /// Counts of one-time keys and published device keys that were held against what they should be: all, and the wrong.
    pub(crate) counts: (usize, usize),
    pub(crate) published: (usize, usize),
    /// What the server should never have done, in words.
    pub(crate) troubles: Vec<String>,
}

/// The books, for all who write in them.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Books>);

impl Ledger {
    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something that must not happen, such as a refusal.
    pub(crate) fn trouble(&self, what: String) {
        let mut books = self.books();
        if books.troubles.len() < 20 {
            eprintln!("trouble: {what}");
        }
        books.troubles.push(what);
    }
}

impl Books {
    /// What was acknowledged so far, all in all.
    pub(crate) fn acknowledged(&self) -> usize {
        self.rows().iter().map(|row| row.acknowledged).sum()
    }

    /// The judgement of each book.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let checked = |what, (all, wrong): (usize, usize)| Row {
            what,
            acknowledged: all,
            found: all - wrong,
            wrong,
            ..Row::default()
        };
        vec![
            self.to_device.judge("to-device messages", true),
            self.events.judge("events", true),
            self.decrypted.judge("decrypted messages", false),
            self.keys.judge(),
            checked("one-time key counts", self.counts),
            self.lists.judge(),
            checked("device keys, signatures", self.published),
            self.backups.judge(),
        ]
    }

    /// The table, and whether all is good.
    pub(crate) fn verdict(&self) -> (String, bool) {
        let rows = self.rows();
        let mut text = format!(
            "{:<24} {:>12} {:>8} {:>8} {:>6} {:>8} {:>6}\n",
            "", "acknowledged", "unknown", "found", "lost", "doubled", "wrong"
        );
        for row in &rows {
            text.push_str(&format!(
                "{:<24} {:>12} {:>8} {:>8} {:>6} {:>8} {:>6}\n",
                row.what, row.acknowledged, row.unknown, row.found, row.lost, row.doubled, row.wrong
            ));
        }
        if !self.troubles.is_empty() {
            text.push_str(&format!("{} troubles, the first: {}\n", self.troubles.len(), self.troubles[0]));
        }
        (text, self.troubles.is_empty() && rows.iter().all(Row::is_good))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_alone_is_a_bad_end() {
        let mut books = Books::default();
        assert!(books.verdict().1);
        books.troubles.push("401".to_owned());
        assert!(!books.verdict().1);
    }

    #[test]
    fn a_wrong_count_is_a_bad_end() {
        assert!(Books { counts: (3, 0), ..Books::default() }.verdict().1);
        assert!(!Books { counts: (3, 1), ..Books::default() }.verdict().1);
        assert!(!Books { published: (3, 1), ..Books::default() }.verdict().1);
    }
}
