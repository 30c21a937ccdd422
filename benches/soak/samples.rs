//! What the server takes, noted every few seconds.

use std::{
    fs,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use olmstead_benches::cpu::{Processes, Reading};

use crate::{
    census::{Size, Store},
    tally::Tally,
};

/// One moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    /// Since the load began.
    pub(crate) minutes: f64,
    /// Of the server.
    pub(crate) memory_mib: f64,
    /// Since the sample before; one processor is 100.
    pub(crate) cpu_percent: f64,
    /// Of the database's processes.
    pub(crate) database_cpu_percent: f64,
    /// Descriptors of the server.
    pub(crate) open_files: f64,
    /// Tables of the store, on disk.
    pub(crate) tables_mib: f64,
    /// The rest of the store on disk: RocksDB's logs.
    pub(crate) logs_mib: f64,
    /// Of requests that do not wait.
    pub(crate) p50_ms: f64,
    /// Of requests that do not wait.
    pub(crate) p99_ms: f64,
    /// Since the sample before.
    pub(crate) requests_per_second: f64,
    /// Since the load began.
    pub(crate) requests: u64,
    /// Since the load began.
    pub(crate) events: u64,
    /// Devices that came, since the load began.
    pub(crate) visits: u64,
    /// Messages to devices, since the load began.
    pub(crate) messages: u64,
}

/// The columns of the file, and where they come from.
type Column = (&'static str, fn(&Sample) -> f64);

// Counts are below 2^52.
#[allow(clippy::cast_precision_loss)]
const COLUMNS: [Column; 14] = [
    ("minutes", |sample| sample.minutes),
    ("memory_mib", |sample| sample.memory_mib),
    ("cpu_percent", |sample| sample.cpu_percent),
    ("database_cpu_percent", |sample| sample.database_cpu_percent),
    ("open_files", |sample| sample.open_files),
    ("tables_mib", |sample| sample.tables_mib),
    ("logs_mib", |sample| sample.logs_mib),
    ("p50_ms", |sample| sample.p50_ms),
    ("p99_ms", |sample| sample.p99_ms),
    ("requests_per_second", |sample| sample.requests_per_second),
    ("requests", |sample| sample.requests as f64),
    ("events", |sample| sample.events as f64),
    ("visits", |sample| sample.visits as f64),
    ("messages", |sample| sample.messages as f64),
];

/// All samples, a line each.
pub(crate) fn csv(samples: &[Sample]) -> String {
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let mut text = names.join(",");
    for sample in samples {
        let cells: Vec<String> =
            COLUMNS.iter().map(|(_, of)| format!("{}", (of(sample) * 1_000.0).round() / 1_000.0)).collect();
        text.push_str(&format!("\n{}", cells.join(",")));
    }
    text.push('\n');
    text
}

/// Takes samples.
pub(crate) struct Sampler {
    server: Processes,
    database: Processes,
    process: u32,
    last: Option<(Instant, [Reading; 2], u64)>,
}

impl Sampler {
    pub(crate) fn new(server: Processes, database: Processes, process: u32) -> Self {
        Self { server, database, process, last: None }
    }

    /// What there is now.
    ///
    /// # Errors
    /// If the store cannot be measured.
    // Sizes and counts are below 2^52.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) async fn sample(
        &mut self,
        since: Duration,
        store: &Store,
        tally: &Arc<Tally>,
    ) -> Result<Sample, String> {
        let now = (Instant::now(), [self.server.read(), self.database.read()], tally.requests());
        let (cpu, requests) = match &self.last {
            None => ([0.0; 2], 0.0),
            Some((at, [server, database], requests)) => {
                let seconds = (now.0 - *at).as_secs_f64();
                let cpu = [now.1[0].since(server), now.1[1].since(database)].map(|cpu| cpu / seconds * 100.0);
                (cpu, (now.2 - requests) as f64 / seconds)
            }
        };
        let times = tally.take_times();
        let at = |hundredth: usize| times.get(times.len() * hundredth / 100).copied().unwrap_or_default();
        let Size { tables, logs } = store.size().await?;
        self.last = Some(now);
        Ok(Sample {
            minutes: since.as_secs_f64() / 60.0,
            memory_mib: mib(self.server.memory()),
            cpu_percent: cpu[0],
            database_cpu_percent: cpu[1],
            open_files: open_files(self.process) as f64,
            tables_mib: mib(tables),
            logs_mib: mib(logs),
            p50_ms: at(50),
            p99_ms: at(99),
            requests_per_second: requests,
            requests: tally.requests(),
            events: tally.events.load(Ordering::Relaxed),
            visits: tally.visits.load(Ordering::Relaxed),
            messages: tally.messages.load(Ordering::Relaxed),
        })
    }

    /// Whether the server is there no more.
    pub(crate) fn is_gone(&self) -> bool {
        open_files(self.process) == 0
    }
}

// Far below 2^52 bytes.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

/// Zero for a process that is not there.
fn open_files(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).map_or(0, |files| files.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_cell_for_each_column() {
        let text = csv(&[Sample { minutes: 1.5, visits: 7, ..Sample::default() }]);
        let cells: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(cells, [COLUMNS.len(); 2]);
        assert!(text.ends_with("1.5,0,0,0,0,0,0,0,0,0,0,0,7,0\n"), "{text}");
    }

    #[test]
    fn who_is_there_has_files_open() {
        assert!(open_files(std::process::id()) > 0);
        assert_eq!(open_files(u32::MAX), 0);
    }
}
