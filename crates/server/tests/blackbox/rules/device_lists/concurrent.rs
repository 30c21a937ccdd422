//! A client keeps the keys of all whom it shares encrypted rooms with, as clients do: it asks for those of users who changed,
//! and forgets users who left. Whatever happens at the same time, it ends with what is true.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::future::join_all;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use super::{Lists, upload_keys};
use crate::harness::{Client, Server, Syncing, at, setting};

/// The keys of a user as they are now.
async fn keys_of(by: &Client, user: &str) -> Value {
    let answer = by.post("/keys/query", json!({"device_keys": {user: []}})).await.ok();
    answer["device_keys"][user].clone()
}

/// With whom an encrypted room is shared now.
async fn sharing(reader: &Client) -> BTreeSet<String> {
    let mut sharing = BTreeSet::new();
    for room in reader.get("/joined_rooms").await.ok()["joined_rooms"].as_array().unwrap() {
        let room = room.as_str().unwrap();
        if reader.get(at!("/rooms/{}/state/m.room.encryption", room)).await.status != 200 {
            continue;
        }
        for membership in ["join", "invite"] {
            let members = reader.get(at!("/rooms/{}/members", room)).query("membership", membership).await.ok();
            let ids = members["chunk"].as_array().unwrap().iter().map(|event| event["state_key"].as_str().unwrap());
            sharing.extend(ids.filter(|id| *id != reader.user_id()).map(str::to_owned));
        }
    }
    sharing
}

/// Comes and goes, and gets new keys; many of these are refused.
async fn wander(user: &Client, rooms: &[String], seed: u64, steps: usize) {
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..steps {
        let room = &rooms[random.random_range(0..rooms.len())];
        match random.random_range(0..8) {
            0..=2 => drop(user.post(at!("/rooms/{}/join", room), json!({})).await),
            3 | 4 => drop(user.post(at!("/rooms/{}/leave", room), json!({})).await),
            5 => drop(user.post(at!("/rooms/{}/forget", room), json!({})).await),
            _ => drop(upload_keys(user).await),
        }
    }
}

/// Invites, removes, and turns encryption on.
async fn manage(host: &Client, users: &[Client], rooms: &[String], seed: u64, steps: usize) {
    let mut random = StdRng::seed_from_u64(seed);
    for step in 0..steps {
        let room = &rooms[random.random_range(0..rooms.len())];
        let body = json!({"user_id": users[random.random_range(0..users.len())].user_id()});
        let action = ["invite", "invite", "invite", "kick", "ban", "unban", "unban"][random.random_range(0..7)];
        host.post(format!("{}/{action}", at!("/rooms/{}", room)), body).await;
        if step == steps / 3 {
            super::encrypt(host, &rooms[0]).await;
        }
    }
}

/// What a client knows of others.
#[derive(Default)]
struct Known(BTreeMap<String, Value>);

impl Known {
    async fn hear(&mut self, reader: &Client, answer: Value) {
        let lists = Lists::of(answer);
        for user in &lists.changed {
            self.0.insert(user.clone(), keys_of(reader, user).await);
        }
        for user in &lists.left {
            self.0.remove(user);
        }
    }
}

/// DL-9, DL-10: changes at the same time, at the same server, with answers that get lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_keeps_ends_true() {
    let seed = setting("BLACKBOX_SEED", rand::random::<u32>());
    println!("BLACKBOX_SEED={seed}");
    let server = Server::shared().await;
    let host = server.user("host").await;
    for round in 0..2 {
        run(&host, &server.users(["reader", "bob", "carol", "dave"]).await, u64::from(seed) + round).await;
    }
}

async fn run(host: &Client, users: &[Client], seed: u64) {
    const STEPS: usize = 40;
    let mut rooms = Vec::new();
    for _ in 0..3 {
        rooms.push(host.create_room(json!({"preset": "public_chat"})).await);
    }
    super::encrypt(host, &rooms[1]).await;
    // The device that listens is another than the one that moves.
    let reader = users[0].another_device().await;
    let mut sync: Syncing = reader.syncing();
    sync.now().await;
    let mut known = Known::default();
    let mut random = StdRng::seed_from_u64(seed);
    let moving = users.iter().zip(1_u64..).map(|(user, number)| wander(user, &rooms, seed * 10 + number, STEPS));
    let (done, mut is_done) = tokio::sync::watch::channel(false);
    let everybody = async {
        tokio::join!(join_all(moving), manage(host, users, &rooms, seed * 10, STEPS));
        done.send_replace(true);
    };
    let listening = async {
        while !*is_done.borrow_and_update() {
            let answer = if random.random_bool(0.3) {
                sync.peek(Duration::ZERO).await
            } else {
                sync.step(Duration::from_millis(50)).await
            };
            known.hear(&reader, answer).await;
        }
        for _ in 0..2 {
            known.hear(&reader, sync.now().await).await;
        }
    };
    tokio::join!(everybody, listening);
    known.0.remove(reader.user_id());
    let expected = sharing(&reader).await;
    let tracked: BTreeSet<String> = known.0.keys().cloned().collect();
    assert_eq!(tracked, expected, "seed {seed}: whose keys are kept, and with whom a room is shared");
    for (user, keys) in &known.0 {
        assert_eq!(*keys, keys_of(&reader, user).await, "seed {seed}: {user} got other keys, and that was not told");
    }
}
