//! What was asked and answered, over all people.

use std::{
    collections::HashSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use olmstead_benches::{check::Violations, client::Client};
use reqwest::Method;
use serde_json::Value;

/// As many wrong answers are told; more would say nothing new.
const TOLD: usize = 40;

/// Counts what is done.
#[derive(Debug)]
pub(crate) struct Tally {
    violations: Violations,
    /// Milliseconds of requests that do not wait, since they were last taken.
    times: Mutex<Vec<f64>>,
    requests: AtomicU64,
    /// Events, by design kept for ever.
    pub(crate) events: AtomicU64,
    /// Devices that came.
    pub(crate) visits: AtomicU64,
    /// Messages to devices that came.
    pub(crate) messages: AtomicU64,
    claimed: Mutex<HashSet<String>>,
}

impl Tally {
    pub(crate) fn new(violations: Violations) -> Self {
        Self {
            violations,
            times: Mutex::default(),
            requests: AtomicU64::new(0),
            events: AtomicU64::new(0),
            visits: AtomicU64::new(0),
            messages: AtomicU64::new(0),
            claimed: Mutex::default(),
        }
    }

    /// Asks; `None` if the answer was no success, which is noted.
    pub(crate) async fn ask(&self, by: &Client, method: Method, path: &str, body: Option<&Value>) -> Option<Value> {
        let began = Instant::now();
        let answer = by.try_request(&method, path, body).await;
        self.requests.fetch_add(1, Ordering::Relaxed);
        // Long polls take as long as they wait.
        if !path.contains("timeout=") || path.contains("timeout=0") {
            let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            times.push(began.elapsed().as_secs_f64() * 1_000.0);
        }
        match answer {
            Ok((200, answer)) => Some(answer),
            Ok((status, answer)) => {
                self.wrong(format!("{method} {path}: {status} {answer}"));
                None
            }
            Err(error) => {
                self.wrong(format!("{method} {path}: {error:?}"));
                None
            }
        }
    }

    /// Notes what must not be.
    pub(crate) fn wrong(&self, sentence: String) {
        if self.violations.all().len() < TOLD {
            self.violations.add(sentence);
        }
    }

    /// Notes a one-time key that was handed out.
    pub(crate) fn claimed(&self, key: &str) {
        let is_new = self.claimed.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned());
        if !is_new {
            self.wrong(format!("the one-time key {key} was handed out twice"));
        }
    }

    /// How many requests there were.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The times since the last call, shortest first.
    pub(crate) fn take_times(&self) -> Vec<f64> {
        let mut times = std::mem::take(&mut *self.times.lock().unwrap_or_else(PoisonError::into_inner));
        times.sort_by(f64::total_cmp);
        times
    }
}
