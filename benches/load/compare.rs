//! Runs side by side.

use std::{fs, path::PathBuf};

use serde_json::Value;

/// The ratio of CPU time to Synapse's that each workload has to reach: on RocksDB, on PostgreSQL.
const GOALS: [(&str, f64, f64); 19] = [
    ("claim one key", 40.0, 6.0),
    ("claim 100 devices", 13.0, 5.0),
    ("empty one device", 30.0, 5.0),
    ("upload device and 50 keys", 45.0, 10.0),
    ("top up 50 keys", 30.0, 7.0),
    ("cross-signing and signatures", 60.0, 12.0),
    ("query 1 user", 60.0, 8.0),
    ("query 100 users", 25.0, 8.0),
    ("query a user of 50 devices", 25.0, 5.0),
    ("to-device to 100 devices", 50.0, 12.0),
    ("backup 1,000 sessions", 9.0, 3.5),
    ("backup one session", 27.0, 5.0),
    ("backup, read 10,000", 13.0, 5.0),
    ("empty sync, 20 rooms", 25.0, 5.0),
    ("device change told to 200", 30.0, 9.0),
    ("keys/changes", 32.0, 4.0),
    ("encrypted event, 10 members", 24.0, 6.0),
    ("encrypted event, 1,000 members", 12.0, 4.0),
    ("full sync, 100 rooms", 25.0, 6.0),
];

/// Prints the CPU time of each workload in each run, and how many times as much the last one took.
///
/// # Errors
/// If a file cannot be read.
pub(crate) fn run(paths: &[PathBuf]) -> Result<(), String> {
    let runs: Vec<Value> = paths.iter().map(read).collect::<Result<_, _>>()?;
    let Some(last) = runs.last() else { return Err("name the files of runs".to_owned()) };
    let others = &runs[..runs.len() - 1];
    let mut text = format!("{:<32}", "CPU ms an operation");
    for run in &runs {
        text.push_str(&format!("{:>12}", name(run)));
    }
    for run in others {
        text.push_str(&format!("{:>26}", format!("{} / {}", name(last), name(run))));
    }
    text.push('\n');
    for row in last["rows"].as_array().into_iter().flatten() {
        let work = row["work"].as_str().unwrap_or_default();
        text.push_str(&format!("{work:<32}"));
        for run in &runs {
            text.push_str(&cpu(run, work).map_or_else(|| format!("{:>12}", "-"), |cpu| format!("{cpu:>12.3}")));
        }
        for run in others {
            text.push_str(&format!("{:>26}", ratio(run, last, work)));
        }
        text.push('\n');
    }
    for run in &runs {
        for violation in run["violations"].as_array().into_iter().flatten() {
            text.push_str(&format!("VIOLATION by {}: {}\n", name(run), violation.as_str().unwrap_or_default()));
        }
    }
    print!("{text}");
    Ok(())
}

fn read(path: &PathBuf) -> Result<Value, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn name(run: &Value) -> &str {
    run["name"].as_str().unwrap_or_default()
}

fn cpu(run: &Value, work: &str) -> Option<f64> {
    let mut rows = run["rows"].as_array()?.iter();
    rows.find(|row| row["work"] == work)?["cpu_ms"].as_f64()
}

/// The ratio, and whether it is what it has to be.
fn ratio(run: &Value, last: &Value, work: &str) -> String {
    let (Some(ours), Some(theirs)) = (cpu(run, work), cpu(last, work)) else { return "-".to_owned() };
    let ratio = theirs / ours;
    let goal = GOALS.iter().find(|(of, ..)| *of == work).and_then(|(_, rocksdb, postgres)| match name(run) {
        "rocksdb" => Some(*rocksdb),
        "postgres" => Some(*postgres),
        _ => None,
    });
    match goal.filter(|_| name(last) == "synapse") {
        None => format!("{ratio:.1}"),
        Some(goal) if ratio >= goal => format!("{ratio:.1} (met {goal})"),
        Some(goal) => format!("{ratio:.1} (MISSED {goal})"),
    }
}
