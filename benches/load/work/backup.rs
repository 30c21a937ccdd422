//! Key backup.

use olmstead_benches::run::{Measured, prepare};
use serde_json::{Map, Value, json};

use super::CLIENTS;
use crate::{
    client::{Client, segment},
    crew::Crew,
};

const SESSIONS_PER_ROOM: usize = 50;

/// A user with an empty backup, and its version.
async fn backups(crew: &mut Crew, count: usize) -> Vec<(Client, String)> {
    let users = crew.new_users(count).await;
    let body = json!({"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": {"public_key": "abc"}});
    prepare(users, |client| {
        let body = body.clone();
        async move {
            let answer = client.post("/room_keys/version", &body).await;
            let version = answer["version"].as_str().unwrap_or_else(|| panic!("no version: {answer}")).to_owned();
            (client, version)
        }
    })
    .await
}

fn session(number: usize) -> Value {
    json!({
        "first_message_index": number % 7, "forwarded_count": 0, "is_verified": true,
        "session_data": {"ephemeral": "e".repeat(43), "ciphertext": "c".repeat(700), "mac": "m".repeat(11)},
    })
}

/// So many sessions from the number `first` on.
fn bulk_body(first: usize, count: usize) -> Value {
    let mut rooms: Map<String, Value> = Map::new();
    for number in first..first + count {
        let room = rooms.entry(room(number)).or_insert_with(|| json!({"sessions": {}}));
        room["sessions"][name(number)] = session(number);
    }
    json!({"rooms": rooms})
}

fn room(number: usize) -> String {
    format!("!room{}:example.org", number / SESSIONS_PER_ROOM)
}

fn name(number: usize) -> String {
    format!("session{number:0>36}")
}

fn counted(crew: &Crew, answer: &Value, expected: usize) {
    if answer["count"].as_u64() != u64::try_from(expected).ok() {
        crew.violations().add(format!("backup: count is {}, not {expected}", answer["count"]));
    }
}

pub(super) async fn bulk(crew: &mut Crew) -> Measured {
    let (count, size) = (crew.amount(32, 16), 1_000);
    let backups = backups(crew, count).await;
    let body = bulk_body(0, size);
    let one = |(client, version): &(Client, String)| {
        let path = format!("/room_keys/keys?version={version}");
        let (client, body) = (client.clone(), &body);
        async move { client.put(&path, body).await }
    };
    let (measured, answers) = crew.meter.measure(CLIENTS, backups.iter(), one).await;
    answers.iter().for_each(|answer| counted(crew, answer, size));
    measured
}

pub(super) async fn single(crew: &mut Crew) -> Measured {
    let (users, each) = (CLIENTS, crew.amount(200, 60));
    let backups = backups(crew, users).await;
    let one = |n: usize| {
        let (client, version) = &backups[n % users];
        let path = format!("/room_keys/keys/{}/{}?version={version}", segment(&room(n)), segment(&name(n)));
        async move { client.put(&path, &session(n)).await }
    };
    let (measured, _) = crew.meter.measure(CLIENTS, 0..users * each, one).await;
    let (client, version) = &backups[0];
    counted(crew, &client.get(&format!("/room_keys/version/{version}")).await, each);
    measured
}

pub(super) async fn read(crew: &mut Crew) -> Measured {
    let size = 10_000;
    let backups = backups(crew, 1).await;
    let (client, version) = &backups[0];
    let path = format!("/room_keys/keys?version={version}");
    for first in (0..size).step_by(500) {
        client.put(&path, &bulk_body(first, 500)).await;
    }
    let (measured, answers) = crew.meter.measure(CLIENTS, 0..crew.amount(24, 10), |_| client.get(&path)).await;
    for answer in answers {
        let rooms = answer["rooms"].as_object().into_iter().flat_map(Map::values);
        let found: usize = rooms.filter_map(|room| room["sessions"].as_object()).map(Map::len).sum();
        if found != size {
            crew.violations().add(format!("backup: {found} of {size} sessions are read"));
        }
    }
    measured
}
