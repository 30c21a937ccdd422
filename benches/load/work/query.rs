//! Querying keys.

use olmstead_benches::run::{Measured, prepare};
use serde_json::{Map, Value, json};

use super::CLIENTS;
use crate::{
    client::Client,
    crew::Crew,
    keys::{Device, Identity},
};

fn body<'a>(users: impl IntoIterator<Item = &'a Client>) -> Value {
    let users: Map<String, Value> = users.into_iter().map(|user| (user.user_id.clone(), json!([]))).collect();
    json!({"device_keys": users})
}

async fn query(crew: &Crew, by: &[Client], bodies: &[Value], count: usize, expected: usize) -> Measured {
    let one = |n: usize| by[n % by.len()].post("/keys/query", &bodies[n % bodies.len()]);
    let (measured, answers) = crew.meter.measure(CLIENTS, 0..count, one).await;
    for answer in answers {
        let users = answer["device_keys"].as_object();
        let devices: usize = users.into_iter().flat_map(Map::values).filter_map(Value::as_object).map(Map::len).sum();
        if devices != expected {
            crew.violations().add(format!("query: {devices} devices of {expected}"));
        }
    }
    measured
}

/// Users with cross-signing keys, as those of today's clients.
async fn cross_signed(crew: &mut Crew, count: usize) -> Vec<Client> {
    let users = crew.new_users(count).await;
    prepare(users.iter(), |client| async move {
        let keys = Device::new(client).signed();
        client.post("/keys/upload", &json!({"device_keys": keys})).await;
        let identity = Identity::new(&client.user_id);
        client.post("/keys/device_signing/upload", &identity.upload()).await;
        let signatures = json!({&client.user_id: {&client.device_id: identity.sign_device(keys)}});
        client.post("/keys/signatures/upload", &signatures).await;
    })
    .await;
    users
}

pub(super) async fn one_user(crew: &mut Crew) -> Measured {
    let users = cross_signed(crew, 50).await;
    let bodies: Vec<Value> = users.iter().map(|user| body([user])).collect();
    let by = crew.users(CLIENTS).await;
    query(crew, &by, &bodies, crew.amount(4_000, 1_000), 1).await
}

pub(super) async fn hundred_users(crew: &mut Crew) -> Measured {
    let users = cross_signed(crew, 100).await;
    let by = crew.users(CLIENTS).await;
    query(crew, &by, &[body(&users)], crew.amount(400, 100), 100).await
}

pub(super) async fn many_devices(crew: &mut Crew) -> Measured {
    let user = cross_signed(crew, 1).await;
    let devices = (1..50).map(|n| (&user[0], format!("D{n}")));
    prepare(devices, |(user, id)| async move {
        let client = user.login(&id).await;
        client.post("/keys/upload", &json!({"device_keys": Device::new(&client).signed()})).await;
    })
    .await;
    let by = crew.users(CLIENTS).await;
    query(crew, &by, &[body(&user)], crew.amount(1_000, 200), 50).await
}
