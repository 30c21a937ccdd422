//! What was measured, as it is in the files.

use std::{fs, path::PathBuf};

use serde_json::Value;

/// One server or engine.
pub(crate) struct Run {
    pub(crate) name: String,
    pub(crate) rows: Vec<Row>,
    pub(crate) violations: Vec<String>,
}

/// One kind of work in a world of one size.
pub(crate) struct Row {
    pub(crate) work: String,
    pub(crate) size: Option<u64>,
    /// CPU milliseconds an operation, the database's included.
    pub(crate) cpu: f64,
    /// Milliseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) per_second: f64,
}

impl Run {
    pub(crate) fn read_all(paths: &[PathBuf]) -> Result<Vec<Self>, String> {
        paths.iter().map(Self::read).collect()
    }

    fn read(path: &PathBuf) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        let value: Value = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        let number = |row: &Value, name: &str| row[name].as_f64().unwrap_or_default();
        let row = |row: &Value| Row {
            work: row["work"].as_str().unwrap_or_default().to_owned(),
            size: row["size"].as_u64(),
            cpu: number(row, "cpu_ms"),
            p50: number(row, "p50_ms"),
            p99: number(row, "p99_ms"),
            per_second: number(row, "per_second"),
        };
        let texts = value["violations"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Ok(Self {
            name: value["name"].as_str().unwrap_or_default().to_owned(),
            rows: value["rows"].as_array().into_iter().flatten().map(row).collect(),
            violations: texts.map(str::to_owned).collect(),
        })
    }

    pub(crate) fn row(&self, work: &str, size: Option<u64>) -> Option<&Row> {
        self.rows.iter().find(|row| row.work == work && row.size == size)
    }

    /// How many times as much the work costs in the largest world as in the smallest.
    pub(crate) fn growth(&self, work: &str) -> Option<f64> {
        let mut sizes = self.rows.iter().filter(|row| row.work == work && row.size.is_some());
        let first = sizes.next()?;
        let last = sizes.next_back()?;
        (first.cpu > 0.0).then(|| last.cpu / first.cpu)
    }
}

/// Kinds of work and sizes in the order they were done, each once.
pub(crate) fn keys(runs: &[Run]) -> Vec<(&str, Option<u64>)> {
    let mut keys: Vec<(&str, Option<u64>)> = Vec::new();
    for row in runs.iter().flat_map(|run| &run.rows) {
        if !keys.contains(&(row.work.as_str(), row.size)) {
            keys.push((&row.work, row.size));
        }
    }
    // All sizes of one kind together.
    let works = works(runs);
    keys.sort_by_key(|(work, size)| (works.iter().position(|other| other == work), *size));
    keys
}

/// Kinds of work, in the order they were done.
pub(crate) fn works(runs: &[Run]) -> Vec<&str> {
    let mut works: Vec<&str> = Vec::new();
    for row in runs.iter().flat_map(|run| &run.rows) {
        if !works.contains(&row.work.as_str()) {
            works.push(&row.work);
        }
    }
    works
}
