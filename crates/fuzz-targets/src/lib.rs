//! What is fuzzed: every parser of outside input and every codec of storage keys.
//!
//! A target takes any bytes, and asserts what must be true of whatever its parser makes of them: it does not panic, what
//! it accepts reads back as the same, what it writes keeps its order. `fuzz/` runs the targets with cargo-fuzz; the tests
//! of this crate replay the corpora of `fuzz/corpus` and, for as long as one likes, mutations of them.

mod domain;
mod outside;

/// A target: any bytes are fine, and whatever is not panics.
pub type Target = fn(&[u8]);

/// All targets by the names of their corpora.
pub const TARGETS: &[(&str, Target)] = &[
    ("backup", domain::backup),
    ("cross_signing", domain::cross_signing),
    ("device_keys", domain::device_keys),
    ("filter", domain::filter),
    ("http_json", outside::http_json),
    ("http_query", outside::http_query),
    ("identifiers", domain::identifiers),
    ("json", domain::json),
    ("media_headers", outside::media_headers),
    ("one_time_keys", domain::one_time_keys),
    ("pdu", domain::pdu),
    ("postgres_text", outside::postgres_text),
    ("push_rules", domain::push_rules),
    ("rocksdb_keys", outside::rocksdb_keys),
    ("signatures", domain::signatures),
    ("thumbnail", outside::thumbnail),
    ("to_device", domain::to_device),
    ("tokens", domain::tokens),
];

/// Runs the target of this name; an unknown name does nothing.
pub fn run(name: &str, data: &[u8]) {
    if let Some((_, target)) = TARGETS.iter().find(|(known, _)| *known == name) {
        target(data);
    }
}
