//! Rows and tests brought together.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::{AREAS, Area, Id, Level};
use super::tags::Test;

/// Which tests show which rows.
pub(super) struct Coverage {
    rows: BTreeMap<Id, Level>,
    reasons: BTreeMap<Id, String>,
    tests: Vec<Test>,
}

/// What is known of a row.
pub(super) enum State<'a> {
    Shown(Vec<&'a Test>),
    LeftOut(&'a str),
    Missing,
}

impl Coverage {
    pub(super) fn new(rows: BTreeMap<Id, Level>, reasons: BTreeMap<Id, String>, tests: Vec<Test>) -> Self {
        Self { rows, reasons, tests }
    }

    /// The rows of an area, in order.
    pub(super) fn area<'a>(&'a self, area: &'a Area) -> impl Iterator<Item = (&'a Id, Level, State<'a>)> {
        let rows = self.rows.iter().filter(|(id, _)| id.area == area.name);
        rows.map(|(id, level)| (id, *level, self.state(id)))
    }

    fn state(&self, id: &Id) -> State<'_> {
        let tests: Vec<&Test> = self.tests.iter().filter(|test| test.rows.contains(id)).collect();
        match self.reasons.get(id) {
            _ if !tests.is_empty() => State::Shown(tests),
            Some(reason) => State::LeftOut(reason),
            None => State::Missing,
        }
    }

    /// The counts area by area, and the rows that no test shows.
    pub(super) fn table(&self) -> String {
        let mut text = format!("{:<6}{:>6}{:>7}{:>10}{:>9}\n", "area", "rows", "shown", "left out", "missing");
        let mut add = |name: &str, counts: [usize; 4]| {
            let [rows, shown, left_out, missing] = counts;
            text.push_str(&format!("{name:<6}{rows:>6}{shown:>7}{left_out:>10}{missing:>9}\n"));
        };
        let mut total = [0; 4];
        for area in AREAS.iter().filter(|area| area.is_due) {
            let counts = self.counts(area);
            add(area.name, counts);
            total = std::array::from_fn(|n| total[n] + counts[n]);
        }
        add("total", total);
        for area in AREAS.iter().filter(|area| area.is_due) {
            for (id, level, state) in self.area(area) {
                match state {
                    State::Shown(_) => {}
                    State::LeftOut(reason) => {
                        text.push_str(&format!("{id} ({}) is left out: {reason}\n", level.letter()));
                    }
                    State::Missing => text.push_str(&format!("{id} ({}) is not shown\n", level.letter())),
                }
            }
        }
        text
    }

    /// How many rows an area has, and how many are shown, left out and missing.
    pub(super) fn counts(&self, area: &Area) -> [usize; 4] {
        let mut counts = [0; 4];
        for (_, _, state) in self.area(area) {
            counts[0] += 1;
            match state {
                State::Shown(_) => counts[1] += 1,
                State::LeftOut(_) => counts[2] += 1,
                State::Missing => counts[3] += 1,
            }
        }
        counts
    }

    /// What is wrong, in sentences.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for test in &self.tests {
            for id in test.rows.iter().filter(|id| !self.rows.contains_key(id)) {
                problems.push(format!("{}: {} shows {id}, which is no row", test.file, test.name));
            }
        }
        let tagged: BTreeSet<&Id> = self.tests.iter().flat_map(|test| &test.rows).collect();
        for id in self.reasons.keys() {
            if !self.rows.contains_key(id) {
                problems.push(format!("{id} has a reason, but is no row"));
            } else if tagged.contains(id) {
                problems.push(format!("{id} is shown; its reason for being left out can go"));
            }
        }
        for area in AREAS.iter().filter(|area| area.is_due) {
            for (id, level, state) in self.area(area) {
                if matches!(state, State::Missing) && level != Level::Unstable {
                    problems.push(format!("no test shows {id} ({}), and no reason is given", level.letter()));
                }
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::super::{rows, tags};
    use super::*;
    use crate::Failure;

    fn coverage(reasons: &str, source: &str) -> Result<Coverage, Failure> {
        let rows = rows::parse("DK-1 M\nDK-2 S\nDK-3 U\nFED-1 M")?;
        Ok(Coverage::new(rows, rows::reasons(reasons)?, tags::tests("a.rs", source)))
    }

    const FIRST: &str = "/// DK-1: said.\n#[test]\nfn first() {\n";

    #[test]
    fn a_row_needs_a_test_or_a_reason() -> Result<(), Failure> {
        assert_eq!(coverage("DK-2: later", FIRST)?.problems(), Vec::<String>::new());
        assert_eq!(coverage("", FIRST)?.problems(), ["no test shows DK-2 (S), and no reason is given"]);
        assert_eq!(coverage("DK-1, DK-2: later", "")?.problems(), Vec::<String>::new());
        Ok(())
    }

    #[test]
    fn wrong_tags_and_reasons_are_told() -> Result<(), Failure> {
        let source = "/// DK-9, DK-2: said.\n#[test]\nfn wrong() {\n";
        let problems = coverage("DK-1: later\nDK-2: later\nDK-8: later", source)?.problems();
        assert_eq!(problems.len(), 3, "{problems:?}");
        Ok(())
    }

    #[test]
    fn areas_are_counted() -> Result<(), Failure> {
        let coverage = coverage("DK-2: later", FIRST)?;
        let counts = AREAS.iter().find(|area| area.name == "DK").map(|area| coverage.counts(area));
        assert_eq!(counts, Some([3, 1, 1, 1]));
        Ok(())
    }
}
