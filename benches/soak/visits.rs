//! Devices that come, are used for a while, and go.

use std::{sync::atomic::Ordering, time::Duration};

use olmstead_benches::{
    client::{Client, segment},
    keys::Device,
    random::Random,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    people::{KEYS, Person},
    tally::Tally,
};

/// Seconds between two of a person's new devices, and those for which one stays, at most.
const AWAY: f64 = 40.0;
const STAY: f64 = 40.0;
/// How often a device that stays looks and refreshes its token.
const LOOKS: u32 = 4;

/// One new device of a person after another.
pub(crate) async fn visit(people: &[Person], number: usize, tally: &Tally, mut random: Random) {
    let person = &people[number];
    for round in 0_u64.. {
        tokio::time::sleep(Duration::from_secs_f64(random.part() * AWAY)).await;
        let name = format!("VISIT{round}");
        let login = json!({"type": "m.login.password", "password": "a fine password, 7", "device_id": name,
            "refresh_token": true, "identifier": {"type": "m.id.user", "user": person.phone.user_id}});
        let Some(session) = tally.ask(&person.phone, Method::POST, "/login", Some(&login)).await else { continue };
        tally.visits.fetch_add(1, Ordering::Relaxed);
        let device = with(&person.phone, &name, &session);
        person.now().visitors.push(name.clone());
        let device = stay(people, person, device, session, tally, &mut random).await;
        person.now().visitors.retain(|visitor| *visitor != name);
        tally.ask(&device, Method::POST, "/logout", Some(&json!({}))).await;
    }
}

fn with(phone: &Client, name: &str, session: &Value) -> Client {
    phone.with_token(name, session["access_token"].as_str().unwrap_or_default())
}

/// What a new device does; with its last token.
async fn stay(
    people: &[Person],
    person: &Person,
    mut device: Client,
    mut session: Value,
    tally: &Tally,
    random: &mut Random,
) -> Client {
    let mut keys = Device::new(&device);
    let signed = keys.signed();
    let body = json!({"device_keys": signed, "one_time_keys": keys.one_time_keys(KEYS),
        "fallback_keys": keys.fallback_key()});
    tally.ask(&device, Method::POST, "/keys/upload", Some(&body)).await;
    let body = json!({&device.user_id: {&device.device_id: person.identity.sign_device(signed)}});
    tally.ask(&person.phone, Method::POST, "/keys/signatures/upload", Some(&body)).await;
    let mut since = String::new();
    for look in 0..LOOKS {
        let path = format!("/sync?timeout=0&since={}", segment(&since));
        if let Some(answer) = tally.ask(&device, Method::GET, &path, None).await {
            since = answer["next_batch"].as_str().unwrap_or_default().to_owned();
        }
        let mate = &people[person.mates[random.below(person.mates.len())]];
        let body = json!({"device_keys": {&mate.phone.user_id: []}});
        tally.ask(&device, Method::POST, "/keys/query", Some(&body)).await;
        if look % 2 == 1 {
            let body = json!({"refresh_token": session["refresh_token"]});
            if let Some(new) = tally.ask(&device, Method::POST, "/refresh", Some(&body)).await {
                session = new;
                device = with(&person.phone, &device.device_id, &session);
            }
        }
        tokio::time::sleep(Duration::from_secs_f64(random.part() * STAY / f64::from(LOOKS))).await;
    }
    device
}
