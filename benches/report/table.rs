//! Tables for the terminal.

use crate::{
    goals::goal,
    runs::{Run, keys},
};

/// CPU time and median of every run, and the ratio to the last one.
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
        for violation in &run.violations {
            text.push_str(&format!("VIOLATION by {}: {violation}\n", run.name));
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
    match goal(&run.name, &last.name, work) {
        None => format!("{ratio:.1}"),
        Some(goal) if ratio >= goal => format!("{ratio:.1} (met {goal})"),
        Some(goal) => format!("{ratio:.1} (MISSED {goal})"),
    }
}

/// What changed since earlier runs of the same names.
pub(crate) fn since(runs: &[Run], before: &[Run]) -> String {
    let mut text = String::new();
    for run in runs {
        let Some(old) = before.iter().find(|old| old.name == run.name) else { continue };
        text.push_str(&format!(
            "\n{:<40}{:>12}{:>12}{:>10}\n",
            format!("{}: CPU ms", run.name),
            "before",
            "now",
            "ratio"
        ));
        for row in &run.rows {
            let Some(then) = old.row(&row.work, row.size).filter(|_| row.cpu > 0.0) else { continue };
            let size = row.size.map(|size| format!(" ({size})")).unwrap_or_default();
            let name = format!("{}{size}", row.work);
            text.push_str(&format!("{name:<40}{:>12.3}{:>12.3}{:>10.2}\n", then.cpu, row.cpu, then.cpu / row.cpu));
        }
    }
    text
}
