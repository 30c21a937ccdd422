//! Claiming one-time keys.

use std::collections::BTreeMap;

use olmstead_benches::run::{Measured, prepare};
use serde_json::{Map, Value, json};

use super::CLIENTS;
use crate::{client::Client, crew::Crew, keys::Device};

const ALGORITHM: &str = "signed_curve25519";

/// Devices of new users, each with so many one-time keys and a fallback key.
async fn devices(crew: &mut Crew, count: usize, keys: usize) -> Vec<Client> {
    let users = crew.new_users(count).await;
    prepare(users.iter(), |client| async move {
        let mut device = Device::new(client);
        let mut body = json!({"device_keys": device.signed(), "fallback_keys": device.fallback_key()});
        let mut left = keys;
        while left > 0 {
            let now = left.min(100);
            body["one_time_keys"] = device.one_time_keys(now);
            client.post("/keys/upload", &body).await;
            body = json!({});
            left -= now;
        }
    })
    .await;
    users
}

async fn claim(by: &Client, of: &[&Client]) -> Value {
    let mut wanted = Map::new();
    for client in of {
        wanted.insert(client.user_id.clone(), json!({&client.device_id: ALGORITHM}));
    }
    by.post("/keys/claim", &json!({"one_time_keys": wanted})).await["one_time_keys"].take()
}

/// Each key once, no fallback key while there are others, and as many as there were.
fn verify(crew: &Crew, what: &str, answers: &[Value], expected: usize) {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut fallback = 0;
    let devices = answers.iter().filter_map(Value::as_object).flat_map(Map::values);
    let keys = devices.filter_map(Value::as_object).flat_map(Map::values);
    for (name, key) in keys.filter_map(Value::as_object).flatten() {
        if key["fallback"] == true {
            fallback += 1;
        } else {
            *seen.entry(name).or_default() += 1;
        }
    }
    let violations = crew.violations();
    let twice = seen.values().filter(|count| **count > 1).count();
    if twice > 0 {
        violations.add(format!("{what}: {twice} one-time keys were given out more than once"));
    }
    if fallback > 0 {
        violations.add(format!("{what}: a fallback key was given out {fallback} times while there were others"));
    }
    if seen.len() != expected {
        violations.add(format!("{what}: {} one-time keys were given out of {expected}", seen.len()));
    }
}

pub(super) async fn one_key(crew: &mut Crew) -> Measured {
    const AT_ONCE: usize = 32;
    let (count, keys) = (40, crew.amount(100, 75));
    let claimers = crew.users(AT_ONCE).await;
    let devices = devices(crew, count, keys).await;
    let all = count * keys;
    let one = async |n: usize| claim(&claimers[n % AT_ONCE], &[&devices[n % count]]).await;
    let (measured, answers) = crew.meter.measure(AT_ONCE, 0..all, one).await;
    verify(crew, "claim one key", &answers, all);
    measured
}

pub(super) async fn hundred_devices(crew: &mut Crew) -> Measured {
    let times = crew.amount(100, 50);
    let claimers = crew.users(CLIENTS).await;
    let devices = devices(crew, 100, times).await;
    let of: Vec<&Client> = devices.iter().collect();
    let one = async |n: usize| claim(&claimers[n % CLIENTS], &of).await;
    let (measured, answers) = crew.meter.measure(CLIENTS, 0..times, one).await;
    verify(crew, "claim 100 devices", &answers, times * devices.len());
    measured
}

pub(super) async fn one_device(crew: &mut Crew) -> Measured {
    const AT_ONCE: usize = 64;
    // Some servers keep no more than 500 keys of a device.
    const KEYS: usize = 400;
    let claimers = crew.users(AT_ONCE).await;
    let mut all = Measured::default();
    for device in devices(crew, crew.amount(5, 3), KEYS).await {
        let one = async |n: usize| claim(&claimers[n % AT_ONCE], &[&device]).await;
        let (measured, answers) = crew.meter.measure(AT_ONCE, 0..KEYS, one).await;
        verify(crew, "empty one device", &answers, KEYS);
        let last = claim(&claimers[0], &[&device]).await;
        let key = last[&device.user_id][&device.device_id].as_object().and_then(|keys| keys.values().next());
        if key.is_none_or(|key| key["fallback"] != true) {
            crew.violations().add("empty one device: no fallback key at the end".to_owned());
        }
        all.join(measured);
    }
    all.sorted()
}
