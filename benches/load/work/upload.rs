//! Uploading keys and signatures.

use std::{cell::RefCell, collections::BTreeMap};

use olmstead_benches::run::{Measured, prepare};
use serde_json::{Value, json};

use super::CLIENTS;
use crate::{
    client::Client,
    crew::Crew,
    keys::{Device, Identity},
};

/// New devices, ten of a user.
async fn logged_in(crew: &mut Crew, count: usize) -> Vec<Client> {
    let users = crew.new_users(count.div_ceil(10)).await;
    let each = (0..count).map(|n| (&users[n / 10], format!("D{n}")));
    prepare(each, |(user, id)| async move { user.login(&id).await }).await
}

fn counted(answer: &Value, expected: usize, crew: &Crew, what: &str) {
    let count = answer["one_time_key_counts"]["signed_curve25519"].as_u64();
    if count != u64::try_from(expected).ok() {
        crew.violations().add(format!("{what}: {count:?} keys are counted, not {expected}"));
    }
}

pub(super) async fn device(crew: &mut Crew) -> Measured {
    let devices = logged_in(crew, crew.amount(200, 100)).await;
    let bodies: Vec<Value> = devices
        .iter()
        .map(|client| {
            let mut device = Device::new(client);
            json!({"device_keys": device.signed(), "one_time_keys": device.one_time_keys(50),
                "fallback_keys": device.fallback_key()})
        })
        .collect();
    let each = devices.iter().zip(&bodies);
    let (measured, answers) =
        crew.meter.measure(CLIENTS, each, |(client, body)| client.post("/keys/upload", body)).await;
    answers.iter().for_each(|answer| counted(answer, 50, crew, "upload"));
    measured
}

pub(super) async fn top_up(crew: &mut Crew) -> Measured {
    let devices = logged_in(crew, crew.amount(200, 100)).await;
    let keys: RefCell<BTreeMap<&str, Device>> = RefCell::default();
    prepare(devices.iter(), |client| {
        let mut device = Device::new(client);
        let body = json!({"device_keys": device.signed(), "one_time_keys": device.one_time_keys(50)});
        keys.borrow_mut().insert(&client.device_id, device);
        async move { client.post("/keys/upload", &body).await }
    })
    .await;
    let bodies: Vec<Value> = devices
        .iter()
        .filter_map(|client| {
            let keys = keys.borrow_mut().get_mut(client.device_id.as_str())?.one_time_keys(50);
            Some(json!({"one_time_keys": keys}))
        })
        .collect();
    let each = devices.iter().zip(&bodies);
    let (measured, answers) =
        crew.meter.measure(CLIENTS, each, |(client, body)| client.post("/keys/upload", body)).await;
    answers.iter().for_each(|answer| counted(answer, 100, crew, "top-up"));
    measured
}

/// Two requests: the three keys, and the signature on the device.
pub(super) async fn cross_signing(crew: &mut Crew) -> Measured {
    let users = crew.new_users(crew.amount(100, 50)).await;
    let prepared = prepare(users.iter(), |client| async move {
        let keys = Device::new(client).signed();
        client.post("/keys/upload", &json!({"device_keys": keys})).await;
        let identity = Identity::new(&client.user_id);
        let signed = identity.sign_device(keys);
        (identity.upload(), json!({&client.user_id: {&client.device_id: signed}}))
    })
    .await;
    let each = users.iter().zip(&prepared);
    let (measured, answers) = crew
        .meter
        .measure(CLIENTS, each, |(client, (keys, signatures))| async move {
            client.post("/keys/device_signing/upload", keys).await;
            client.post("/keys/signatures/upload", signatures).await
        })
        .await;
    let refused = answers.iter().filter(|answer| answer["failures"].as_object().is_some_and(|map| !map.is_empty()));
    let refused = refused.count();
    if refused > 0 {
        crew.violations().add(format!("signatures: {refused} good ones were refused"));
    }
    measured
}
