//! What the project set out to reach.

/// The ratio of CPU time to Synapse's that each workload has to reach: on RocksDB, on PostgreSQL.
const GOALS: [(&str, f64, f64); 19] = [
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

/// The goal of an engine beside another server, if there is one.
pub(crate) fn goal(engine: &str, beside: &str, work: &str) -> Option<f64> {
    let (_, rocksdb, postgres) = GOALS.iter().find(|(of, ..)| *of == work)?;
    match (engine, beside) {
        ("rocksdb", "synapse") => Some(*rocksdb),
        ("postgres", "synapse") => Some(*postgres),
        _ => None,
    }
}
