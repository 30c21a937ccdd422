//! The figures of a run.

use std::{
    fs, thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use crate::{check::Violations, run::Measured};

/// One line of a report.
#[derive(Debug)]
struct Row {
    work: &'static str,
    about: &'static str,
    /// How large the world was, where that is varied.
    size: Option<usize>,
    measured: Measured,
}

/// One thing that was measured and is not work done many times.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What it is; goals are held against figures by this.
    pub name: &'static str,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
    /// How it was measured.
    pub how: String,
}

/// What was measured so far.
#[derive(Debug)]
pub struct Report {
    name: String,
    seed: Option<u64>,
    rows: Vec<Row>,
    figures: Vec<Figure>,
    violations: Vec<String>,
}

impl Report {
    /// An empty one.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), seed: None, rows: Vec::new(), figures: Vec::new(), violations: Vec::new() }
    }

    /// With the seed of everything random.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Adds figures.
    pub fn add_figures(&mut self, figures: impl IntoIterator<Item = Figure>) {
        self.figures.extend(figures);
    }

    /// Adds a line: the name of the work, and what is done as one operation.
    pub fn add(&mut self, [work, about]: [&'static str; 2], size: Option<usize>, measured: Measured) {
        self.rows.push(Row { work, about, size, measured });
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
        for Row { work, size, measured, .. } in &self.rows {
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
        for Figure { name, value, unit, how } in &self.figures {
            text.push_str(&format!("{name}: {value:.2} {unit} ({how})\n"));
        }
        if let Some(seed) = self.seed {
            text.push_str(&format!("seed {seed}\n"));
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
            .map(|Row { work, about, size, measured }| {
                json!({
                    "work": work,
                    "about": about,
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
        let figures: Vec<Value> = self
            .figures
            .iter()
            .map(|Figure { name, value, unit, how }| json!({"name": name, "value": value, "unit": unit, "how": how}))
            .collect();
        json!({
            "name": self.name, "at": now(), "machine": machine(), "seed": self.seed, "rows": rows, "figures": figures, "violations": self.violations,
        })
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// What is measured on.
fn machine() -> String {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map(|(_, model)| format!(", {}", model.trim())).unwrap_or_default();
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{processors} processors{model}, Linux {}", text.trim())
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
