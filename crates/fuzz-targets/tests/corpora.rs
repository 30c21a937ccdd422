//! The corpora of `fuzz/corpus`, replayed, and mutations of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    time::{Duration, Instant},
};

use olmstead_fuzz_targets::{TARGETS, Target};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

/// More than this for one small input is a finding.
const SLOW: Duration = Duration::from_secs(2);
/// The largest input that is made.
const LARGEST: usize = 64 * 1024;
/// What parsers have words for.
const DICTIONARY: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "-0",
    "1e999",
    "9007199254740992",
    "0.1",
    "{\"a\":1,\"a\":1}",
    "\0",
    "\u{1}",
    "%00",
    "%",
    "&",
    "=",
    "+",
    "..",
    "/",
    "\\",
    "\r\n",
    ";",
    "'",
    "é",
    "\u{202e}",
    "@alice:localhost",
    "ed25519:ALICE",
    "signed_curve25519:AAAA",
    "m.room.member",
    "*",
    "18446744073709551615",
    "s",
    "_",
    "-",
    "inline",
    "image/png",
    "acTL",
    "ANIM",
    "$",
    "!",
    "#",
];

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let mut files: Vec<PathBuf> = fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.into_iter().map(|file| fs::read(file).unwrap()).collect()
}

fn mutated(seeds: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let mut input = seeds[random.random_range(0..seeds.len())].clone();
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..=input.len());
        match random.random_range(0..9) {
            0 if at < input.len() => input[at] ^= 1 << random.random_range(0..8),
            1 if at < input.len() => input[at] = random.random(),
            2 => input.insert(at, random.random()),
            3 => {
                let end = (at + random.random_range(0..16)).min(input.len());
                input.drain(at..end);
            }
            4 => {
                let end = (at + random.random_range(0..64)).min(input.len());
                let part = input[at..end].repeat(*[1, 2, 200].get(random.random_range(0..3)).unwrap());
                input.splice(at..at, part);
            }
            5 => {
                let other = &seeds[random.random_range(0..seeds.len())];
                let from = random.random_range(0..=other.len());
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            6 => {
                let word = DICTIONARY[random.random_range(0..DICTIONARY.len())].as_bytes();
                input.splice(at..at, word.iter().copied());
            }
            7 => input.truncate(at),
            _ => {
                let word = DICTIONARY[random.random_range(0..DICTIONARY.len())].as_bytes();
                let end = (at + word.len()).min(input.len());
                input.splice(at..end, word.iter().copied());
            }
        }
        input.truncate(LARGEST);
    }
    input
}

/// Why an input is a finding, if it is.
fn tried(target: Target, input: &[u8]) -> Option<String> {
    let began = Instant::now();
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        return Some("it panics".to_owned());
    }
    (began.elapsed() > SLOW).then(|| format!("it takes {:?}", began.elapsed()))
}

/// Every input that was ever of interest.
#[test]
fn no_input_of_the_corpora_is_a_finding() {
    for (name, target) in TARGETS {
        let inputs = corpus(name);
        assert!(inputs.len() >= 8, "{name} has a corpus of {}", inputs.len());
        for input in inputs {
            if let Some(why) = tried(*target, &input) {
                panic!("{name}: {why}: {:?}", String::from_utf8_lossy(&input));
            }
        }
    }
}

/// Some mutations in each run of the tests, always the same.
#[test]
fn no_mutation_of_the_corpora_is_a_finding() {
    for (name, target) in TARGETS {
        let (seeds, mut random) = (corpus(name), StdRng::seed_from_u64(6));
        for _ in 0..500 {
            let input = mutated(&seeds, &mut random);
            if let Some(why) = tried(*target, &input) {
                panic!("{name}: {why}: {:?}", String::from_utf8_lossy(&input));
            }
        }
    }
}

/// `cargo xtask fuzz [TARGET] --minutes N`: mutations for `OLMSTEAD_FUZZ_MINUTES` a target, of `OLMSTEAD_FUZZ_TARGET` or of
/// all. What is found is written to the directory for temporary files.
#[test]
fn fuzz() {
    let Ok(minutes) = std::env::var("OLMSTEAD_FUZZ_MINUTES") else { return };
    // Without it there is nothing to do: the tests above are what runs each time.
    let minutes: f64 = minutes.parse().expect("a number");
    let only = std::env::var("OLMSTEAD_FUZZ_TARGET").ok();
    let known = only.as_ref().is_none_or(|only| TARGETS.iter().any(|(name, _)| name == only));
    assert!(
        known,
        "there is no target {only:?}; there are {:?}",
        TARGETS.iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
    let mut found = 0;
    for (name, target) in TARGETS.iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only == name)) {
        let (mut seeds, mut random, began) = (corpus(name), StdRng::from_os_rng(), Instant::now());
        let (mut tries, mut findings) = (0_u64, 0);
        while began.elapsed() < Duration::from_secs_f64(minutes * 60.0) && findings < 5 {
            let input = mutated(&seeds, &mut random);
            tries += 1;
            if let Some(why) = tried(*target, &input) {
                let path = std::env::temp_dir().join(format!("olmstead-fuzz-{name}-{tries}"));
                fs::write(&path, &input).expect("a file");
                println!("{name}: {why}: {}", path.display());
                findings += 1;
            } else if input.len() < 4_096 && random.random_range(0..500) == 0 {
                // Wander: what was made is mutated further.
                let at = random.random_range(0..=seeds.len());
                if seeds.len() < 300 { seeds.insert(at, input) } else { seeds[at % 300] = input }
            }
        }
        println!("{name}: {:.1} minutes, {tries} inputs, {findings} findings", began.elapsed().as_secs_f64() / 60.0);
        found += findings;
    }
    assert_eq!(found, 0, "findings");
}
