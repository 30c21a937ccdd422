//! The figures of a run.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{check::Violations, run::Measured};

/// One line of a report.
#[derive(Debug)]
struct Row {
    work: &'static str,
    /// How large the world was, where that is varied.
    size: Option<usize>,
    measured: Measured,
}

/// What was measured so far.
#[derive(Debug)]
pub struct Report {
    name: String,
    rows: Vec<Row>,
    violations: Vec<String>,
}

impl Report {
    /// An empty one.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), rows: Vec::new(), violations: Vec::new() }
    }

    /// Adds a line.
    pub fn add(&mut self, work: &'static str, size: Option<usize>, measured: Measured) {
        self.rows.push(Row { work, size, measured });
    }

    /// Takes in what was answered wrongly.
    pub fn finish(&mut self, violations: &Violations) {
        self.violations = violations.all();
    }

    /// Whether nothing was answered that must not be.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.violations.is_empty()
    }

    /// For people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = format!(
            "{:<32}{:>8}{:>8}{:>10}{:>9}{:>9}{:>9}{:>11}{:>11}{:>9}\n",
            self.name, "size", "ops", "ops/s", "p50 ms", "p95 ms", "p99 ms", "CPU ms/op", "of that DB", "MiB"
        );
        for Row { work, size, measured } in &self.rows {
            let size = size.map(|size| size.to_string()).unwrap_or_default();
            text.push_str(&format!(
                "{work:<32}{size:>8}{:>8}{:>10.1}{:>9.2}{:>9.2}{:>9.2}{:>11.3}{:>11.3}{:>9.0}\n",
                measured.operations,
                measured.rate(),
                milliseconds(measured.at(50)),
                milliseconds(measured.at(95)),
                milliseconds(measured.at(99)),
                measured.cpu(),
                measured.database_cpu(),
                measured.memory,
            ));
        }
        for violation in &self.violations {
            text.push_str(&format!("VIOLATION: {violation}\n"));
        }
        text
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|Row { work, size, measured }| {
                json!({
                    "work": work,
                    "size": size,
                    "operations": measured.operations,
                    "per_second": measured.rate(),
                    "p50_ms": milliseconds(measured.at(50)),
                    "p95_ms": milliseconds(measured.at(95)),
                    "p99_ms": milliseconds(measured.at(99)),
                    "cpu_ms": measured.cpu(),
                    "database_cpu_ms": measured.database_cpu(),
                    "memory_mib": measured.memory,
                })
            })
            .collect();
        json!({"name": self.name, "rows": rows, "violations": self.violations})
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

// Counts of operations are small.
#[allow(clippy::cast_precision_loss)]
impl Measured {
    fn rate(&self) -> f64 {
        self.operations as f64 / self.wall.as_secs_f64()
    }

    /// The time below which so many of a hundred are.
    fn at(&self, hundredth: usize) -> Duration {
        let place = (self.times.len() * hundredth / 100).min(self.times.len().saturating_sub(1));
        self.times.get(place).copied().unwrap_or_default()
    }

    /// CPU milliseconds an operation, of server and database.
    fn cpu(&self) -> f64 {
        (self.server + self.database) * 1_000.0 / self.operations as f64
    }

    fn database_cpu(&self) -> f64 {
        self.database * 1_000.0 / self.operations as f64
    }
}
