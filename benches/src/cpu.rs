//! CPU time and memory of processes and their children, from `/proc`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, thread,
    time::Duration,
};

/// The kernel counts in hundredths of a second for programs (`USER_HZ`).
const TICK: f64 = 0.01;
/// How far sums of ticks may be off, in seconds: each of two readings is rounded.
const ROUNDING: f64 = 2.0 * TICK;
/// A thread's time is brought up to date when it stops running.
const SETTLE: Duration = Duration::from_millis(1);

/// The trees below these processes.
#[derive(Debug, Clone, Default)]
pub struct Processes(Vec<u32>);

/// The CPU time of processes up to a moment.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Nanoseconds by process and thread: exact, but nothing of what has ended.
    threads: BTreeMap<(u32, u32), u64>,
    /// Of all, and of children that ended and were waited for; coarse.
    ticks: u64,
}

struct Stat {
    parent: u32,
    /// Of itself and of children that ended and were waited for.
    ticks: u64,
}

impl Reading {
    /// CPU seconds from an earlier reading to this one.
    #[must_use]
    // Exact: there are fewer than 2^52 ticks and nanoseconds.
    #[allow(clippy::cast_precision_loss)]
    pub fn since(&self, earlier: &Self) -> f64 {
        let of_one = |(thread, now): (&(u32, u32), &u64)| match earlier.threads.get(thread) {
            Some(then) if then <= now => now - then,
            // A new one, maybe of a number that was another's.
            _ => *now,
        };
        let exact = self.threads.iter().map(of_one).sum::<u64>() as f64 / 1e9;
        let coarse = self.ticks.saturating_sub(earlier.ticks) as f64 * TICK;
        // Threads and processes that ended in between are in the ticks alone.
        exact.max(coarse - ROUNDING)
    }
}

impl Processes {
    /// The trees below these.
    #[must_use]
    pub fn new(roots: &[u32]) -> Self {
        Self(roots.to_vec())
    }

    /// Their CPU time until now.
    #[must_use]
    pub fn read(&self) -> Reading {
        if self.0.is_empty() {
            return Reading::default();
        }
        thread::sleep(SETTLE);
        let tree = self.tree();
        let ticks = tree.values().map(|stat| stat.ticks).sum();
        Reading { threads: tree.into_keys().flat_map(threads).collect(), ticks }
    }

    /// Memory in bytes that is theirs alone, or their share of what they share.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.tree().into_keys().filter_map(proportional).sum()
    }

    fn tree(&self) -> BTreeMap<u32, Stat> {
        if self.0.is_empty() {
            return BTreeMap::new();
        }
        let all: BTreeMap<u32, Stat> =
            numbers("/proc").into_iter().filter_map(|number| Some((number, stat(number)?))).collect();
        let is_below = |mut number: u32| {
            while let Some(stat) = all.get(&number) {
                if self.0.contains(&number) {
                    return true;
                }
                number = stat.parent;
            }
            false
        };
        let below: BTreeSet<u32> = all.keys().copied().filter(|number| is_below(*number)).collect();
        all.into_iter().filter(|(number, _)| below.contains(number)).collect()
    }
}

/// The names in a directory that are numbers.
fn numbers(directory: &str) -> Vec<u32> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The nanoseconds of each thread of a process.
fn threads(process: u32) -> Vec<((u32, u32), u64)> {
    let of = |thread: u32| {
        let text = fs::read_to_string(format!("/proc/{process}/task/{thread}/schedstat")).ok()?;
        Some(((process, thread), text.split_whitespace().next()?.parse().ok()?))
    };
    numbers(&format!("/proc/{process}/task")).into_iter().filter_map(of).collect()
}

fn stat(number: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number)?.parse::<u64>().ok();
    let ticks = field(11)? + field(12)? + field(13)? + field(14)?;
    Some(Stat { parent: u32::try_from(field(1)?).ok()?, ticks })
}

fn proportional(number: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{number}/smaps_rollup")).ok()?;
    let line = text.lines().find(|line| line.starts_with("Pss:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn short_work_is_measured() {
        let own = Processes::new(&[std::process::id()]);
        let before = own.read();
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(3) {}
        let took = own.read().since(&before);
        // Other tests work at the same time, and other programs take time from this.
        assert!(took > 0.000_2, "{took}");
    }

    #[test]
    fn what_has_ended_is_in_the_ticks() {
        let of = |threads: &[(u32, u64)], ticks| Reading {
            threads: threads.iter().map(|(thread, time)| ((1, *thread), *time)).collect(),
            ticks,
        };
        let before = of(&[(1, 1_000_000), (2, 5_000_000)], 10);
        assert_eq!(of(&[(1, 3_000_000), (2, 5_000_000)], 11).since(&before), 0.002);
        assert_eq!(of(&[(1, 3_000_000), (3, 1_000_000)], 11).since(&before), 0.003);
        assert_eq!(of(&[(1, 3_000_000)], 110).since(&before), 0.98);
    }

    #[test]
    fn nobody_takes_nothing() {
        let nobody = Processes::default();
        assert_eq!((nobody.read().since(&Reading::default()), nobody.memory()), (0.0, 0));
    }
}
