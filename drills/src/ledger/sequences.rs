//! Things that one sends to another, numbered: messages to a device, events of a room.

use std::collections::BTreeMap;

use super::Row;

/// From whom to whom.
pub(crate) type Lane = (String, String);

#[derive(Debug, Default)]
struct Line {
    /// Whether each was acknowledged.
    sent: Vec<bool>,
    /// The numbers as they came.
    came: Vec<usize>,
}

/// All lanes of one kind.
#[derive(Debug, Default)]
pub(crate) struct Sequences(BTreeMap<Lane, Line>);

impl Sequences {
    /// The number of the next thing, which is about to be sent.
    pub(crate) fn begin(&mut self, lane: &Lane) -> usize {
        let line = self.0.entry(lane.clone()).or_default();
        line.sent.push(false);
        line.sent.len() - 1
    }

    pub(crate) fn acknowledged(&mut self, lane: &Lane, number: usize) {
        if let Some(sent) = self.0.get_mut(lane).and_then(|line| line.sent.get_mut(number)) {
            *sent = true;
        }
    }

    pub(crate) fn came(&mut self, lane: &Lane, number: usize) {
        self.0.entry(lane.clone()).or_default().came.push(number);
    }

    /// How many acknowledged things did not come yet.
    pub(crate) fn missing(&self) -> usize {
        self.judge("", false).lost
    }

    /// Whether all of a lane came, each once, in the order in which they were sent where that matters.
    pub(crate) fn judge(&self, what: &'static str, ordered: bool) -> Row {
        let mut row = Row { what, ..Row::default() };
        for line in self.0.values() {
            let mut times = vec![0_usize; line.sent.len()];
            let mut last = None;
            for &number in &line.came {
                let Some(count) = times.get_mut(number) else {
                    row.wrong += 1;
                    continue;
                };
                *count += 1;
                if *count > 1 {
                    row.doubled += 1;
                } else if ordered && last.is_some_and(|last| number < last) {
                    row.wrong += 1;
                } else {
                    last = Some(number);
                }
            }
            for (sent, count) in line.sent.iter().zip(times) {
                row.acknowledged += usize::from(*sent);
                row.unknown += usize::from(!*sent);
                row.found += usize::from(count > 0);
                row.lost += usize::from(*sent && count == 0);
            }
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three things, of which the second was not answered; then these came.
    fn judged(came: &[usize]) -> Row {
        let lane = ("a".to_owned(), "b".to_owned());
        let mut all = Sequences::default();
        for number in 0..3 {
            assert_eq!(all.begin(&lane), number);
            if number != 1 {
                all.acknowledged(&lane, number);
            }
        }
        for number in came {
            all.came(&lane, *number);
        }
        all.judge("", true)
    }

    #[test]
    fn all_once_in_order_is_good_with_and_without_the_unknown() {
        assert!(judged(&[0, 1, 2]).is_good());
        let row = judged(&[0, 2]);
        assert!(row.is_good());
        assert_eq!((row.acknowledged, row.unknown, row.found), (2, 1, 2));
    }

    #[test]
    fn a_lost_one_is_seen() {
        assert_eq!(judged(&[0, 1]).lost, 1);
        assert_eq!(judged(&[]).lost, 2);
    }

    #[test]
    fn a_doubled_one_is_seen_also_when_it_was_unknown() {
        assert_eq!(judged(&[0, 0, 2]).doubled, 1);
        assert_eq!(judged(&[0, 1, 2, 1]).doubled, 1);
    }

    #[test]
    fn a_reordered_one_is_seen() {
        assert_eq!(judged(&[2, 0]).wrong, 1);
        assert_eq!(judged(&[1, 0, 2]).wrong, 1);
    }

    #[test]
    fn one_that_was_never_sent_is_seen() {
        assert_eq!(judged(&[0, 2, 7]).wrong, 1);
    }
}
