//! What the project set out to reach, held against runs.

use crate::{
    chart::count,
    floor::{self, FACTOR},
    runs::{Run, works},
};

/// The ratio of CPU time to Synapse's that each workload has to reach: on RocksDB, on PostgreSQL.
const RATIOS: [(&str, f64, f64); 19] = [
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

/// Figures that must not be exceeded.
const FIGURES: [(&str, f64); 4] = [
    ("memory of a fresh server", 60.0),
    ("cold start", 1.0),
    ("memory of a waiting long poll", 6.0),
    // Nothing that a clock could tell from what else a server does when idle.
    ("CPU of all waiting long polls", 2.0),
];

/// Medians in milliseconds that must not be exceeded: the engine, the work.
const MEDIANS: [(&str, &str, f64); 2] = [("rocksdb", "wake-up", 1.5), ("postgres", "wake-up, from node to node", 15.0)];

/// Work that must cost the same however large the world is.
const STEADY: [&str; 10] = [
    "claim, one device",
    "claim, many devices",
    "claim, 100 devices in one",
    "top up 50 keys",
    "count keys",
    "device change, room of 10",
    "device change, large room",
    "device change, all rooms",
    "empty sync, one room",
    "empty sync, all rooms",
];
/// How many times as much it may cost in a world a hundred times as large.
const GROWTH: f64 = 1.5;

/// Claims of one device's keys, and of many devices' keys.
const CONTENDED: [[&str; 2]; 2] = [["claim, one device", "claim, many devices"], ["empty one device", "claim one key"]];
/// How many times as long the first may take.
const CONTENTION: f64 = 3.0;

/// One goal and what was measured.
pub(crate) struct Check {
    /// The server or engine.
    pub(crate) who: String,
    pub(crate) what: String,
    pub(crate) measured: String,
    pub(crate) goal: String,
    /// How many times worse than the goal, at most 1 if it is met.
    pub(crate) off: f64,
}

impl Check {
    /// In words.
    pub(crate) fn verdict(&self) -> String {
        if self.is_met() { "met".to_owned() } else { format!("MISSED by a factor of {:.2}", self.off) }
    }

    pub(crate) fn is_met(&self) -> bool {
        self.off <= 1.0
    }
}

/// Goals of one kind.
pub(crate) struct Group {
    pub(crate) title: &'static str,
    pub(crate) about: String,
    pub(crate) checks: Vec<Check>,
}

/// The goal of an engine beside another server, if there is one.
pub(crate) fn ratio(engine: &str, beside: &str, work: &str) -> Option<f64> {
    let (_, rocksdb, postgres) = RATIOS.iter().find(|(of, ..)| *of == work)?;
    match (engine, beside) {
        ("rocksdb", "synapse") => Some(*rocksdb),
        ("postgres", "synapse") => Some(*postgres),
        _ => None,
    }
}

/// All goals that these runs say something about. `engines` are runs of the engines alone, for those of servers.
pub(crate) fn all(runs: &[Run], engines: &[Run], peers: &[String]) -> Vec<Group> {
    let ours: Vec<&Run> = runs.iter().filter(|run| !peers.contains(&run.name)).collect();
    let each = |checks: &dyn Fn(&Run) -> Vec<Check>| ours.iter().flat_map(|run| checks(run)).collect();
    let groups = vec![
        Group {
            title: "CPU time beside a peer",
            about: "How many times as much CPU time the peer takes for the same work, its database included."
                .to_owned(),
            checks: ratios(runs),
        },
        Group {
            title: "Waiting and starting",
            about: "Wake-ups are medians, the PUT included.".to_owned(),
            checks: each(&|run| [medians(run), figures(run)].into_iter().flatten().collect()),
        },
        Group {
            title: "CPU time above the floor",
            about: format!(
                "CPU milliseconds an operation. Allowed are {FACTOR} times whoami for each request, plus what the \
                 engine alone takes for the same rows, as it was measured in the last run of `cargo xtask bench`."
            ),
            checks: each(&|run| above_floor(run, engines)),
        },
        Group {
            title: "Growth",
            about: "How many times as much CPU time an operation takes in the largest world as in one a hundredth of \
                    its size."
                .to_owned(),
            checks: each(&growth),
        },
        Group {
            title: "Contention",
            about: "How many times as long a claim takes, measured as throughput, when all claim from one device \
                    instead of many."
                .to_owned(),
            checks: each(&|run| contention(run)),
        },
    ];
    groups.into_iter().filter(|group| !group.checks.is_empty()).collect()
}

fn at_most(who: &str, what: String, value: f64, goal: f64, unit: &str) -> Check {
    Check {
        who: who.to_owned(),
        what,
        measured: format!("{} {unit}", digits(value)).trim_end().to_owned(),
        goal: format!("≤ {} {unit}", digits(goal)).trim_end().to_owned(),
        off: value / goal,
    }
}

/// Three digits that say something.
fn digits(value: f64) -> String {
    let places = if value.abs() >= 100.0 { 0 } else { 3_usize.saturating_sub(whole_digits(value)) };
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn whole_digits(value: f64) -> usize {
    match value.abs() {
        below if below < 1.0 => 0,
        below if below < 10.0 => 1,
        _ => 2,
    }
}

fn ratios(runs: &[Run]) -> Vec<Check> {
    let Some((peer, ours)) = runs.split_last() else { return Vec::new() };
    let of = |run: &Run, work: &str| {
        let (mine, theirs) = (run.row(work, None)?, peer.row(work, None)?);
        let goal = ratio(&run.name, &peer.name, work).filter(|_| mine.cpu > 0.0 && theirs.cpu > 0.0)?;
        let ratio = theirs.cpu / mine.cpu;
        Some(Check {
            who: run.name.clone(),
            what: work.to_owned(),
            measured: format!("{ratio:.1}"),
            goal: format!("≥ {goal}"),
            off: goal / ratio,
        })
    };
    let works = works(runs);
    ours.iter().flat_map(|run| works.iter().filter_map(move |work| of(run, work))).collect()
}

fn medians(run: &Run) -> Vec<Check> {
    let of = |(engine, work, goal): &(&str, &str, f64)| {
        let row = run.row(work, None).filter(|_| run.name == *engine)?;
        Some(at_most(&run.name, (*work).to_owned(), row.p50, *goal, "ms"))
    };
    MEDIANS.iter().filter_map(of).collect()
}

fn figures(run: &Run) -> Vec<Check> {
    let of = |(name, goal): &(&str, f64)| {
        let figure = run.figures.iter().find(|figure| figure.name == *name)?;
        Some(at_most(&run.name, (*name).to_owned(), figure.value, *goal, &figure.unit))
    };
    FIGURES.iter().filter_map(of).collect()
}

fn above_floor(run: &Run, engines: &[Run]) -> Vec<Check> {
    let Some(engine) = engines.iter().find(|engine| engine.name == run.name) else { return Vec::new() };
    let check = |allowed: &floor::Allowed| {
        let (requests, floor, engine) = (allowed.requests, allowed.floor, allowed.engine);
        let goal = allowed.limit();
        Check {
            who: run.name.clone(),
            what: allowed.work.to_owned(),
            measured: digits(allowed.actual),
            goal: format!("≤ {} = {FACTOR} × {requests} × {} + {}", digits(goal), digits(floor), digits(engine)),
            off: allowed.actual / goal,
        }
    };
    floor::allowed(run, engine).iter().map(check).collect()
}

fn growth(run: &Run) -> Vec<Check> {
    let of = |work: &&str| {
        let [first, last] = run.hundredfold(work)?;
        let what = format!("{work}, {} to {} users", count(first.size?), count(last.size?));
        Some(at_most(&run.name, what, last.cpu / first.cpu, GROWTH, "times"))
    };
    STEADY.iter().filter_map(of).collect()
}

fn contention(run: &Run) -> Vec<Check> {
    let rate = |work: &str| {
        let sized = run.sizes(work).into_values().next_back();
        Some(sized.or_else(|| run.row(work, None))?.per_second)
    };
    let of = |[one, many]: &[&str; 2]| {
        let times = rate(many)? / rate(one)?;
        Some(at_most(&run.name, format!("“{one}” beside “{many}”"), times, CONTENTION, "times"))
    };
    CONTENDED.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::Row;

    fn row(work: &str, size: Option<u64>, cpu: f64) -> Row {
        Row { work: work.to_owned(), size, cpu, per_second: 1_000.0 / cpu, ..Row::default() }
    }

    fn run(name: &str, rows: Vec<Row>) -> Run {
        Run { name: name.to_owned(), rows, ..Run::default() }
    }

    #[test]
    fn ratios_are_held_against_the_peer_alone() {
        let rows = |cpu| vec![row("claim one key", None, cpu)];
        let runs = [run("rocksdb", rows(0.1)), run("postgres", rows(1.0)), run("synapse", rows(5.0))];
        let groups = all(&runs, &[], &["synapse".to_owned()]);
        let checks: Vec<(String, String)> =
            groups[0].checks.iter().map(|check| (check.measured.clone(), check.verdict())).collect();
        let expected = [("50.0", "met"), ("5.0", "MISSED by a factor of 1.20")];
        assert_eq!(checks, expected.map(|(measured, verdict)| (measured.to_owned(), verdict.to_owned())));
        assert!(all(&runs[..2], &[], &[]).is_empty(), "between ours there is no goal");
    }

    #[test]
    fn growth_is_over_a_hundredfold() {
        let rows = vec![
            row("count keys", Some(10), 9.0),
            row("count keys", Some(100), 1.0),
            row("count keys", Some(10_000), 2.0),
        ];
        let groups = all(&[run("rocksdb", rows)], &[], &[]);
        assert_eq!(groups[0].checks[0].measured, "2 times");
        assert!(!groups[0].checks[0].is_met());
    }

    #[test]
    fn contended_claims_are_held_against_spread_ones() {
        let rows = vec![row("empty one device", None, 1.0), row("claim one key", None, 0.5)];
        let groups = all(&[run("rocksdb", rows)], &[], &[]);
        assert!(groups[0].checks[0].is_met(), "two times is not more than three");
    }

    #[test]
    fn numbers_have_digits_that_say_something() {
        let shown = [0.051_23, 1.0, 5.678, 43.21, 1_234.5].map(digits);
        assert_eq!(shown, ["0.051", "1", "5.68", "43.2", "1234"]);
    }
}
