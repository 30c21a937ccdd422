//! What a request has to cost: the HTTP floor, and what the engine takes for the same rows.

use crate::runs::Run;

/// The cheapest authenticated request.
const FLOOR: &str = "whoami";
/// How many times the floor an operation may cost beside what the engine takes.
pub(crate) const FACTOR: f64 = 4.0;
/// Users of the world whose costs are taken: the measured one that is nearest to the load's own.
const USERS: u64 = 1_000;

/// Work over HTTP: its name, how many requests it is, and what an engine does for it how often.
type Mapping = (&'static str, f64, &'static [(f64, &'static str)]);

/// Work over HTTP that the engines' workloads have the same rows for.
const MAPPINGS: [Mapping; 16] = [
    ("claim one key", 1.0, &[(1.0, "claim, many devices")]),
    ("claim 100 devices", 1.0, &[(1.0, "claim, 100 devices in one")]),
    ("empty one device", 1.0, &[(1.0, "claim, one device")]),
    ("upload device and 50 keys", 1.0, &[(1.0, "upload device and 50 keys")]),
    ("top up 50 keys", 1.0, &[(1.0, "top up 50 keys")]),
    ("cross-signing and signatures", 2.0, &[(1.0, "cross-signing and signatures")]),
    ("query 1 user", 1.0, &[(1.0, "query 1 user")]),
    ("query 100 users", 1.0, &[(1.0, "query 100 users")]),
    ("query a user of 50 devices", 1.0, &[(1.0, "query a user of 50 devices")]),
    (
        "to-device to 100 devices",
        101.0,
        &[(1.0, "to-device to 100 devices"), (1.0, "drain an inbox of 100"), (100.0, "empty sync, one room")],
    ),
    ("backup 1,000 sessions", 1.0, &[(1.0, "backup 1,000 sessions")]),
    ("backup one session", 1.0, &[(1.0, "backup one session")]),
    ("backup, read 10,000", 1.0, &[(1.0, "backup, read 10,000")]),
    ("empty sync, 20 rooms", 1.0, &[(1.0, "empty sync, one room")]),
    ("device change told to 200", 201.0, &[(1.0, "device change, large room"), (200.0, "sync after 10 changes")]),
    ("encrypted event, 10 members", 1.0, &[(1.0, "event, room of 10")]),
];

/// What a kind of work may cost, in CPU milliseconds an operation.
pub(crate) struct Allowed {
    pub(crate) work: &'static str,
    pub(crate) requests: f64,
    /// Of one request.
    pub(crate) floor: f64,
    pub(crate) engine: f64,
    pub(crate) actual: f64,
}

impl Allowed {
    pub(crate) fn limit(&self) -> f64 {
        FACTOR * self.requests * self.floor + self.engine
    }
}

/// What each kind of work of a server may cost, given what its engine's commands cost.
pub(crate) fn allowed(server: &Run, engine: &Run) -> Vec<Allowed> {
    let Some(floor) = server.row(FLOOR, None) else { return Vec::new() };
    let cost = |work: &str| {
        let sizes = engine.sizes(work);
        let (_, row) = sizes.into_iter().min_by_key(|(size, _)| size.abs_diff(USERS))?;
        Some(row.cpu)
    };
    let one = |(work, requests, parts): &Mapping| {
        let engine = parts.iter().map(|(times, part)| Some(times * cost(part)?)).sum::<Option<f64>>()?;
        let actual = server.row(work, None)?.cpu;
        Some(Allowed { work, requests: *requests, floor: floor.cpu, engine, actual })
    };
    MAPPINGS.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::Row;

    fn row(work: &str, size: Option<u64>, cpu: f64) -> Row {
        Row { work: work.to_owned(), size, cpu, ..Row::default() }
    }

    #[test]
    fn each_request_may_cost_the_floor_and_the_rows_once() {
        let server =
            Run { rows: vec![row(FLOOR, None, 0.05), row("device change told to 200", None, 50.0)], ..Run::default() };
        let engine = Run {
            rows: vec![
                row("device change, large room", Some(100), 7.0),
                row("device change, large room", Some(1_000), 2.0),
                row("sync after 10 changes", Some(1_000), 0.02),
            ],
            ..Run::default()
        };
        let all = allowed(&server, &engine);
        assert_eq!(all.len(), 1);
        assert!((all[0].limit() - (4.0 * 201.0 * 0.05 + 2.0 + 200.0 * 0.02)).abs() < 1e-9, "{}", all[0].limit());
    }
}
