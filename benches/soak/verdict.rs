//! Whether something grows: the slope of a line through the second half of a run.

use crate::{
    census::Census,
    samples::{Sample, mib},
};

/// What is a row for each thing that was done once, on purpose, in RocksDB and in PostgreSQL: told, and not judged. All
/// other tables have to be level.
const KEPT: [&str; 20] = [
    // The history of rooms.
    "Event",
    "MembershipLog",
    "MembershipVersion",
    "Redaction",
    "Relation",
    "StateLog",
    "StateVersion",
    "Timeline",
    "event",
    "membership_version",
    "redaction",
    "relation",
    "state_version",
    // Whose device list changed when, for clients that come back after long.
    "DeviceListLog",
    "device_list_log",
    // What a device sent, as long as the device lives.
    "Transaction",
    "transaction_memory",
    // Whom changes woke, for the last 200,000 positions.
    "change_log",
    // With the ids of keys that were claimed, up to 10,000 of a device.
    "Pool",
    "one_time_key",
];

/// Growth of so much is no growth, whatever the share: allocators and files have sizes of their own.
const MEMORY_MIB: f64 = 8.0;
/// Files are opened and closed by the dozen when tables are compacted.
const FILES: f64 = 20.0;
/// Tables wait to be compacted, and rows to be vacuumed.
const STORE_MIB: f64 = 16.0;
/// Rows come and go between two counts.
const ROWS: f64 = 150.0;

/// What was found of one thing.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    /// The middle of the second half.
    pub(crate) level: f64,
    /// By how much it grew over the second half.
    pub(crate) growth: f64,
    /// Up to which growth it is level.
    pub(crate) allowed: f64,
}

impl Judged {
    pub(crate) fn is_level(&self) -> bool {
        self.growth <= self.allowed
    }
}

/// A line through the points: its value in their middle, and by how much it rises from the first to the last.
pub(crate) fn fit(points: &[(f64, f64)]) -> (f64, f64) {
    let (Some((first, _)), Some((last, _))) = (points.first(), points.last()) else { return (0.0, 0.0) };
    // There are few points.
    #[allow(clippy::cast_precision_loss)]
    let count = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), (px, py)| (x + px / count, y + py / count));
    let (mut spread, mut together) = (0.0, 0.0);
    for (px, py) in points {
        spread += (px - x) * (px - x);
        together += (px - x) * (py - y);
    }
    if spread == 0.0 { (y, 0.0) } else { (y, together / spread * (last - first)) }
}

/// The second half of a run.
fn late<T>(all: &[T]) -> &[T] {
    &all[all.len() / 2..]
}

/// Judges all that was noted; `tolerance` is the share of a level that may be growth.
pub(crate) fn judge(samples: &[Sample], censuses: &[Census], tolerance: f64) -> Vec<Judged> {
    let course = |of: fn(&Sample) -> f64| -> Vec<(f64, f64)> {
        late(samples).iter().map(|sample| (sample.minutes, of(sample))).collect()
    };
    let one = |what: &str, unit, points: &[(f64, f64)], least: f64| {
        let (level, growth) = fit(points);
        Judged { what: what.to_owned(), unit, level, growth, allowed: least.max(level * tolerance) }
    };
    let mut all = vec![
        one("memory", "MiB", &course(|sample| sample.memory_mib), MEMORY_MIB),
        one("open files", "", &course(|sample| sample.open_files), FILES),
    ];
    // What is kept on purpose may take its place.
    let history: Vec<(f64, f64)> = late(censuses)
        .iter()
        .map(|census| {
            let kept = census.tables.iter().filter(|(table, _)| KEPT.contains(&table.as_str()));
            (census.minutes, mib(kept.map(|(_, (_, bytes))| bytes).sum()))
        })
        .collect();
    let mut store = one("tables of the store on disk", "MiB", &course(|sample| sample.tables_mib), STORE_MIB);
    store.allowed += fit(&history).1.max(0.0);
    all.push(store);
    let last = censuses.last().map(|census| &census.tables);
    for table in last.into_iter().flatten().map(|(table, _)| table) {
        if KEPT.contains(&table.as_str()) {
            continue;
        }
        all.push(one(&format!("rows of {table}"), "", &rows(late(censuses), table), ROWS));
    }
    all
}

/// How many rows a table had.
// Counts are below 2^52.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn rows(censuses: &[Census], table: &str) -> Vec<(f64, f64)> {
    let of = |census: &Census| census.tables.get(table).map_or(0, |(rows, _)| *rows) as f64;
    censuses.iter().map(|census| (census.minutes, of(census))).collect()
}

/// What is kept on purpose: by how many rows and bytes it grew over the second half.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    pub(crate) table: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// Of all such tables.
pub(crate) fn kept(censuses: &[Census]) -> Vec<Kept> {
    let (Some(first), Some(last)) = (late(censuses).first(), censuses.last()) else { return Vec::new() };
    let of = |(table, (rows, bytes)): (&String, &(u64, u64))| {
        let (then, was) = first.tables.get(table).copied().unwrap_or_default();
        Kept { table: table.clone(), rows: rows.saturating_sub(then), bytes: bytes.saturating_sub(was) }
    };
    last.tables.iter().filter(|(table, _)| KEPT.contains(&table.as_str())).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found() {
        let (level, growth) = fit(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]);
        assert!((level - 3.0).abs() < 1e-9 && (growth - 4.0).abs() < 1e-9);
        assert_eq!((fit(&[]), fit(&[(3.0, 7.0)])), ((0.0, 0.0), (7.0, 0.0)));
    }

    fn samples(memory: fn(f64) -> f64) -> Vec<Sample> {
        (0..100)
            .map(f64::from)
            .map(|minutes| Sample { minutes, memory_mib: memory(minutes), ..Sample::default() })
            .collect()
    }

    fn censuses(rows: fn(u64) -> u64, table: &str) -> Vec<Census> {
        let of = |n: u64| {
            let minutes = f64::from(u32::try_from(n).unwrap_or_default());
            Census { minutes, tables: [(table.to_owned(), (rows(n), 100 * rows(n)))].into(), ..Census::default() }
        };
        (0..100).map(of).collect()
    }

    fn growing(samples: &[Sample], censuses: &[Census]) -> Vec<String> {
        let judged = judge(samples, censuses, 0.1);
        judged.into_iter().filter(|judged| !judged.is_level()).map(|judged| judged.what).collect()
    }

    #[test]
    fn what_grows_is_told() {
        let level = samples(|_| 100.0);
        assert!(growing(&level, &censuses(|_| 1_000, "Device")).is_empty());
        // A warm-up is no growth, nor is a saw.
        assert!(growing(&samples(|x| if x < 40.0 { x } else { 100.0 + x % 7.0 }), &[]).is_empty());
        assert_eq!(growing(&samples(|x| 100.0 + x / 2.0), &[]), ["memory"]);
        assert_eq!(growing(&level, &censuses(|n| 100 + 10 * n, "Device")), ["rows of Device"]);
        assert!(growing(&level, &censuses(|n| 100 + 10 * n, "Event")).is_empty(), "history is kept");
    }

    #[test]
    fn history_is_counted() {
        let kept = kept(&censuses(|n| 100 + 10 * n, "Event"));
        assert_eq!(kept, [Kept { table: "Event".to_owned(), rows: 490, bytes: 49_000 }]);
    }
}
