//! Tables for the terminal.

use crate::{
    goals::{self, Group},
    runs::{Run, keys},
};

/// CPU time and median of every run, and the ratio of the last one to each.
pub(crate) fn side_by_side(runs: &[Run]) -> String {
    let Some((last, others)) = runs.split_last() else { return String::new() };
    let mut text = format!("{:<32}{:>8}", "CPU ms an operation (p50 ms)", "size");
    runs.iter().for_each(|run| text.push_str(&format!("{:>20}", run.name)));
    others.iter().for_each(|run| text.push_str(&format!("{:>26}", format!("{} / {}", last.name, run.name))));
    text.push('\n');
    for (work, size) in keys(runs) {
        let shown = size.map(|size| size.to_string()).unwrap_or_default();
        text.push_str(&format!("{work:<32}{shown:>8}"));
        for run in runs {
            let cell = run.row(work, size).map(|row| format!("{:.3} ({:.2})", row.cpu, row.p50));
            text.push_str(&format!("{:>20}", cell.unwrap_or_else(|| "-".to_owned())));
        }
        others.iter().for_each(|run| text.push_str(&format!("{:>26}", ratio(run, last, work, size))));
        text.push('\n');
    }
    for run in runs {
        for figure in &run.figures {
            text.push_str(&format!(
                "{:<20}{}: {:.2} {} ({})\n",
                run.name, figure.name, figure.value, figure.unit, figure.how
            ));
        }
        if let Some(seed) = run.seed {
            text.push_str(&format!("{:<20}seed {seed}\n", run.name));
        }
    }
    for run in runs {
        for violation in &run.violations {
            text.push_str(&format!("VIOLATION by {}: {violation}\n", run.name));
        }
    }
    text
}

/// The goals, one group after another.
pub(crate) fn goals(groups: &[Group]) -> String {
    let mut text = String::new();
    for Group { title, about, checks } in groups {
        let met = checks.iter().filter(|check| check.is_met()).count();
        text.push_str(&format!("\n{title}: {met} of {} goals met. {about}\n", checks.len()));
        let width = checks.iter().map(|check| check.what.chars().count()).max().unwrap_or_default();
        for check in checks {
            text.push_str(&format!(
                "  {:<10}{:<width$}  {:>12}  {:<34}  {}\n",
                check.who,
                check.what,
                check.measured,
                check.goal,
                check.verdict()
            ));
        }
    }
    text
}

/// The ratio, and whether it is what it has to be.
pub(crate) fn ratio(run: &Run, last: &Run, work: &str, size: Option<u64>) -> String {
    let (Some(ours), Some(theirs)) = (run.row(work, size), last.row(work, size)) else { return "-".to_owned() };
    if ours.cpu <= 0.0 {
        return "-".to_owned();
    }
    let ratio = theirs.cpu / ours.cpu;
    match goals::ratio(&run.name, &last.name, work) {
        None => format!("{ratio:.1}"),
        Some(goal) if ratio >= goal => format!("{ratio:.1} (met {goal})"),
        Some(goal) => format!("{ratio:.1} (MISSED {goal})"),
    }
}

/// One kind of work then and now.
pub(crate) struct Change {
    pub(crate) run: String,
    pub(crate) work: String,
    pub(crate) size: Option<u64>,
    /// CPU milliseconds an operation.
    pub(crate) before: f64,
    pub(crate) now: f64,
}

/// What changed since earlier runs of the same names.
pub(crate) fn changes(runs: &[Run], before: &[Run]) -> Vec<Change> {
    let of = |run: &Run| {
        let old = before.iter().find(|old| old.name == run.name);
        let change = |old: &Run, now: &crate::runs::Row| {
            let then = old.row(&now.work, now.size).filter(|_| now.cpu > 0.0)?;
            let (run, work) = (run.name.clone(), now.work.clone());
            Some(Change { run, work, size: now.size, before: then.cpu, now: now.cpu })
        };
        old.into_iter().flat_map(|old| run.rows.iter().filter_map(move |row| change(old, row))).collect::<Vec<_>>()
    };
    runs.iter().flat_map(of).collect()
}

/// The changes for the terminal.
pub(crate) fn since(changes: &[Change]) -> String {
    let mut text = String::new();
    if !changes.is_empty() {
        text.push_str(&format!(
            "\n{:<12}{:<32}{:>8}{:>12}{:>12}{:>15}\n",
            "CPU ms", "", "size", "before", "now", "before / now"
        ));
    }
    for Change { run, work, size, before, now } in changes {
        let size = size.map(|size| size.to_string()).unwrap_or_default();
        text.push_str(&format!("{run:<12}{work:<32}{size:>8}{before:>12.3}{now:>12.3}{:>15.2}\n", before / now));
    }
    text
}
