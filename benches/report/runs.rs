//! What was measured, as it is in the files.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::Value;

/// One server or engine.
#[derive(Default)]
pub(crate) struct Run {
    pub(crate) name: String,
    /// When it ended, in seconds since 1970.
    pub(crate) at: Option<u64>,
    /// What it was measured on.
    pub(crate) machine: String,
    pub(crate) seed: Option<u64>,
    pub(crate) rows: Vec<Row>,
    pub(crate) figures: Vec<Figure>,
    pub(crate) violations: Vec<String>,
}

/// One kind of work in a world of one size.
#[derive(Default)]
pub(crate) struct Row {
    pub(crate) work: String,
    /// What is done, as one operation.
    pub(crate) about: String,
    pub(crate) size: Option<u64>,
    pub(crate) operations: u64,
    /// CPU milliseconds an operation, the database's included.
    pub(crate) cpu: f64,
    /// CPU milliseconds of the database alone.
    pub(crate) database: f64,
    /// Milliseconds that half of the operations took at most.
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) per_second: f64,
    /// Of the server when it was done, MiB.
    pub(crate) memory: f64,
}

/// One thing that is not work done many times.
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
    /// How it was measured.
    pub(crate) how: String,
}

impl Run {
    /// The runs in the files; files of one name are one run.
    pub(crate) fn read_all(paths: &[PathBuf]) -> Result<Vec<Self>, String> {
        let mut runs: Vec<Self> = Vec::new();
        for path in paths {
            let run = Self::read(path)?;
            match runs.iter_mut().find(|other| other.name == run.name) {
                Some(other) => {
                    other.rows.extend(run.rows);
                    other.figures.extend(run.figures);
                    other.violations.extend(run.violations);
                }
                None => runs.push(run),
            }
        }
        Ok(runs)
    }

    fn read(path: &PathBuf) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        let value: Value = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        let list = |name: &str| value[name].as_array().into_iter().flatten();
        Ok(Self {
            name: text_of(&value, "name"),
            at: value["at"].as_u64(),
            machine: text_of(&value, "machine"),
            seed: value["seed"].as_u64(),
            rows: list("rows").map(Row::read).collect(),
            figures: list("figures").map(Figure::read).collect(),
            violations: list("violations").filter_map(Value::as_str).map(str::to_owned).collect(),
        })
    }

    pub(crate) fn row(&self, work: &str, size: Option<u64>) -> Option<&Row> {
        self.rows.iter().find(|row| row.work == work && row.size == size)
    }

    /// The work in worlds of each size.
    pub(crate) fn sizes(&self, work: &str) -> BTreeMap<u64, &Row> {
        let rows = self.rows.iter().filter(|row| row.work == work);
        rows.filter_map(|row| Some((row.size?, row))).collect()
    }

    /// The work in the largest world and in one of a hundredth of it, where both were measured.
    pub(crate) fn hundredfold(&self, work: &str) -> Option<[&Row; 2]> {
        let sizes = self.sizes(work);
        let (largest, last) = sizes.last_key_value()?;
        let first = sizes.get(&(largest / 100)).filter(|_| largest % 100 == 0)?;
        Some([first, last])
    }
}

impl Row {
    fn read(row: &Value) -> Self {
        let number = |name: &str| row[name].as_f64().unwrap_or_default();
        Self {
            work: text_of(row, "work"),
            about: text_of(row, "about"),
            size: row["size"].as_u64(),
            operations: row["operations"].as_u64().unwrap_or_default(),
            cpu: number("cpu_ms"),
            database: number("database_cpu_ms"),
            p50: number("p50_ms"),
            p95: number("p95_ms"),
            p99: number("p99_ms"),
            per_second: number("per_second"),
            memory: number("memory_mib"),
        }
    }
}

impl Figure {
    fn read(figure: &Value) -> Self {
        Self {
            name: text_of(figure, "name"),
            value: figure["value"].as_f64().unwrap_or_default(),
            unit: text_of(figure, "unit"),
            how: text_of(figure, "how"),
        }
    }
}

fn text_of(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
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
