//! The table, as it stands in docs/reliability.md.

use std::time::Duration;

use crate::{
    MIB,
    honest::{KINDS, Seen},
    tally::Tally,
};

/// One attack.
pub(crate) struct Row {
    name: &'static str,
    rate: u64,
    outcomes: String,
    memory: u64,
    honest: Seen,
}

impl Row {
    /// `found` is said of the outcomes by the attack itself.
    pub(crate) fn new(
        name: &'static str,
        found: Option<&str>,
        tally: &Tally,
        took: Duration,
        memory: u64,
        mut honest: Seen,
    ) -> Self {
        honest.times.values_mut().for_each(|times| times.sort_unstable());
        let rate = tally.total() * 1_000 / u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut outcomes: Vec<String> =
            tally.outcomes().into_iter().map(|(outcome, count)| format!("{count} × {outcome}")).collect();
        outcomes.extend(found.filter(|found| !found.is_empty()).map(str::to_owned));
        Self { name, rate, outcomes: outcomes.join(", "), memory, honest }
    }

    /// Which bounds it broke.
    pub(crate) fn broken(&self, memory: Option<u64>, p99: Duration) -> Vec<String> {
        let mut broken = Vec::new();
        if memory.is_some_and(|memory| self.memory > memory) {
            broken.push(format!("{}: the server took {} MiB", self.name, self.memory / MIB));
        }
        for kind in KINDS {
            match percentile(&self.honest, kind, 99) {
                None => broken.push(format!("{}: an honest client could not {kind} once", self.name)),
                Some(time) if time > p99 => {
                    broken.push(format!("{}: for an honest client `{kind}` took {} ms", self.name, time.as_millis()));
                }
                Some(_) => {}
            }
        }
        if let Some(first) = self.honest.errors.first() {
            broken.push(format!("{}: {} errors of honest clients: {first}", self.name, self.honest.errors.len()));
        }
        broken
    }

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.name.to_owned(), self.rate.to_string(), self.outcomes.clone()];
        cells.push((self.memory / MIB).to_string());
        cells.extend(KINDS.map(|kind| {
            let at = |hundredth| percentile(&self.honest, kind, hundredth).map_or_else(|| "-".to_owned(), milliseconds);
            format!("{} / {}", at(50), at(99))
        }));
        cells
    }
}

fn milliseconds(time: Duration) -> String {
    let tenths = time.as_micros() / 100;
    if tenths < 100 { format!("{}.{}", tenths / 10, tenths % 10) } else { (tenths / 10).to_string() }
}

fn percentile(seen: &Seen, kind: &str, hundredth: usize) -> Option<Duration> {
    let times = seen.times.get(kind)?;
    times.get((times.len() * hundredth / 100).min(times.len().checked_sub(1)?)).copied()
}

/// Columns as wide as they need to be.
pub(crate) fn render(rows: &[Row]) -> String {
    let head =
        ["attack", "tried/s", "what became of it", "peak, MiB", "claim, ms", "send, ms", "arrive, ms", "connect, ms"];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(Row::cells));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &[String]| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!(" {cell:width$} "));
        format!("|{}|", cells.collect::<Vec<_>>().join("|"))
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let mut text = vec![line(&lines[0]), line(&rule)];
    text.extend(lines[1..].iter().map(|cells| line(cells)));
    text.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(milliseconds: &[u64]) -> Seen {
        let times: Vec<_> = milliseconds.iter().map(|ms| Duration::from_millis(*ms)).collect();
        Seen { times: KINDS.iter().map(|kind| (*kind, times.clone())).collect(), errors: Vec::new() }
    }

    #[test]
    fn a_row_says_what_it_broke() {
        let row = |memory, honest| Row::new("x", None, &Tally::default(), Duration::from_secs(1), memory, honest);
        let second = Duration::from_secs(1);
        assert!(row(10 * MIB, seen(&[1, 5, 900])).broken(Some(20 * MIB), second).is_empty());
        assert_eq!(row(30 * MIB, seen(&[1])).broken(Some(20 * MIB), second).len(), 1);
        assert_eq!(row(0, seen(&[1_001, 1, 1])).broken(None, second).len(), KINDS.len());
        assert_eq!(row(0, seen(&[])).broken(None, second).len(), KINDS.len());
        let failed = Seen { errors: vec!["no".to_owned()], ..seen(&[1]) };
        assert_eq!(row(0, failed).broken(None, second).len(), 1);
    }
}
