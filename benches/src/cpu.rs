//! CPU time and memory of processes and their children, from `/proc`.

use std::{collections::BTreeMap, fs};

/// The kernel counts in hundredths of a second for programs (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// The trees below these processes.
#[derive(Debug, Clone, Default)]
pub struct Processes(Vec<u32>);

struct Stat {
    parent: u32,
    /// Of itself and of children that ended and were waited for.
    ticks: u64,
}

impl Processes {
    /// The trees below these.
    #[must_use]
    pub fn new(roots: &[u32]) -> Self {
        Self(roots.to_vec())
    }

    /// CPU seconds since the processes began.
    #[must_use]
    pub fn cpu(&self) -> f64 {
        let ticks: u64 = self.tree().into_values().map(|stat| stat.ticks).sum();
        // Exact: there are fewer than 2^52 ticks.
        #[allow(clippy::cast_precision_loss)]
        let ticks = ticks as f64;
        ticks / TICKS_PER_SECOND
    }

    /// Memory in MiB that is theirs alone, or their share of what they share.
    #[must_use]
    pub fn memory(&self) -> f64 {
        let kib: u64 = self.tree().into_keys().filter_map(proportional).sum();
        #[allow(clippy::cast_precision_loss)]
        let kib = kib as f64;
        kib / 1024.0
    }

    fn tree(&self) -> BTreeMap<u32, Stat> {
        let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
        let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let all: BTreeMap<u32, Stat> = numbers.filter_map(|number| Some((number, stat(number)?))).collect();
        let is_below = |mut number: u32| {
            while let Some(stat) = all.get(&number) {
                if self.0.contains(&number) {
                    return true;
                }
                number = stat.parent;
            }
            false
        };
        let below: Vec<u32> = all.keys().copied().filter(|number| is_below(*number)).collect();
        all.into_iter().filter(|(number, _)| below.contains(number)).collect()
    }
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
    line.split_whitespace().nth(1)?.parse().ok()
}
