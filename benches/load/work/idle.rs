//! Many long polls that wait, and all of them woken.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use olmstead_benches::{
    report::Figure,
    run::{Measured, prepare},
};
use serde_json::{Map, json};

use crate::{client::Client, crew::Crew};

/// At most so many devices; further polls are second and third polls of these.
const DEVICES: usize = 1_000;
/// For allocators to give back what the preparation used, which they do while there is something to do.
const SETTLING: Duration = Duration::from_secs(12);
/// So many polls begin, and then there is a pause.
const AT_ONCE: usize = 25;
const PAUSE: Duration = Duration::from_millis(20);
/// Idleness is watched so long.
const WATCH: Duration = Duration::from_secs(5);
/// A server is quiet when it took less than this in half a second.
const QUIET: f64 = 0.02;
/// How long a poll waits when nothing happens, in seconds.
const POLL: u64 = 180;

/// CPU milliseconds a second while nothing is asked.
async fn idle(crew: &Crew) -> f64 {
    let (before, began) = (crew.meter.read(), Instant::now());
    tokio::time::sleep(WATCH).await;
    let (server, database) = crew.meter.since(&before);
    (server + database) * 1_000.0 / began.elapsed().as_secs_f64()
}

/// Waits until the server does nothing, for half a minute at most.
async fn quiet(crew: &Crew) {
    for _ in 0..60 {
        let before = crew.meter.read();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (server, database) = crew.meter.since(&before);
        if server + database < QUIET {
            return;
        }
    }
}

async fn settle(clients: &[Client]) {
    let began = Instant::now();
    while began.elapsed() < SETTLING {
        prepare(clients[..clients.len().min(32)].iter(), |client| client.get("/account/whoami")).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// One to-device message to every device, in one request, wakes all polls. The `PUT` counts, and every answer.
// Counts are small.
#[allow(clippy::cast_precision_loss)]
pub(super) async fn polls(crew: &mut Crew) -> Measured {
    let polls = crew.polls;
    let sender = crew.new_users(1).await.remove(0);
    // In no room: nobody is told of others' presence, so nothing happens.
    let devices = crew.new_users(polls.min(DEVICES)).await;
    let places = prepare(devices.iter(), |device| device.place(None)).await;
    settle(&devices).await;
    quiet(crew).await;
    let (memory, alone) = (crew.meter.memory(), idle(crew).await);
    // By now they may have been gone for long enough to be told of as offline; to come back is told to their own polls.
    let places = prepare(devices.iter().zip(&places), |(device, place)| device.place(Some(place))).await;
    let places = prepare(devices.iter().zip(&places), |(device, place)| device.place(Some(place))).await;
    let waiting: FuturesUnordered<_> = FuturesUnordered::new();
    for n in 0..polls {
        let (device, place) = (devices[n % devices.len()].clone(), places[n % devices.len()].clone());
        waiting.push(tokio::spawn(async move { (device.long_poll(&place, POLL).await, Instant::now()) }));
        // Clients do not all come in one moment.
        if n % AT_ONCE == AT_ONCE - 1 {
            tokio::time::sleep(PAUSE).await;
        }
    }
    settle(&devices).await;
    quiet(crew).await;
    let each = (crew.meter.memory() - memory) * 1_024.0 / polls as f64;
    let together = idle(crew).await;
    let ended = waiting.iter().filter(|poll| poll.is_finished()).count();
    if ended > 0 {
        crew.violations().add(format!("long polls: {ended} of {polls} were answered though nothing happened"));
    }
    let kind = format!("{polls} of {} devices", devices.len());
    crew.figure(Figure { name: "memory of a waiting long poll", value: each, unit: "KiB", how: kind.clone() });
    let how = format!("{kind}; beside {alone:.2} without any, over {} s", WATCH.as_secs());
    crew.figure(Figure {
        name: "CPU of all waiting long polls",
        value: (together - alone).max(0.0),
        unit: "ms/s",
        how,
    });

    let everyone: Map<String, _> =
        devices.iter().map(|device| (device.user_id.clone(), json!({"*": {"body": "x".repeat(600)}}))).collect();
    let (before, began) = (crew.meter.read(), Instant::now());
    sender.put(&format!("/sendToDevice/m.room.encrypted/all-{}", crew.name()), &json!({"messages": everyone})).await;
    let answers: Vec<_> = waiting.collect().await;
    let wall = began.elapsed();
    let (server, database) = crew.meter.since(&before);
    let (mut times, mut wrong) = (Vec::with_capacity(polls), 0);
    for answer in answers {
        let (sync, at) = answer.unwrap_or_else(|error| panic!("a long poll: {error}"));
        wrong += usize::from(sync["to_device"]["events"].as_array().is_none_or(|messages| messages.len() != 1));
        times.push(at.saturating_duration_since(began));
    }
    if wrong > 0 {
        crew.violations().add(format!("long polls: {wrong} of {polls} were not answered with the one message"));
    }
    crew.size(polls);
    Measured { operations: polls, times, wall, server, database, memory: crew.meter.memory() }.sorted()
}
