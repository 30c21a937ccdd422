//! Users come, go, are invited, removed, get new keys, and rooms become encrypted, at random; what each is told is held
//! against a model.

use std::collections::BTreeSet;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;

use super::{Told::*, Watch, act, encrypt, forget, upload_keys};
use crate::harness::{Client, Server, setting};

const ROOMS: usize = 2;
/// The first one, who is in all rooms and manages them.
const HOST: usize = 0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Out,
    Invited,
    Joined,
    Banned,
}

#[derive(Debug, Clone)]
struct World {
    standing: Vec<[Standing; ROOMS]>,
    encrypted: [bool; ROOMS],
}

impl World {
    /// Whether the reader tracks the other's devices.
    fn shares(&self, reader: usize, other: usize) -> bool {
        (0..ROOMS).any(|room| {
            self.encrypted[room]
                && self.standing[reader][room] == Standing::Joined
                && matches!(self.standing[other][room], Standing::Joined | Standing::Invited)
        })
    }
}

/// What happened since a reader's last answer.
struct Since {
    start: World,
    /// With whom no room was shared at some time.
    apart: BTreeSet<usize>,
    keyed: BTreeSet<usize>,
}

impl Since {
    fn new(world: &World) -> Self {
        Self { start: world.clone(), apart: BTreeSet::new(), keyed: BTreeSet::new() }
    }
}

/// One random step, on the server and in the model; what it was.
async fn step(random: &mut StdRng, users: &[Client], rooms: &[String], world: &mut World) -> (String, Option<usize>) {
    let (user, room) = (random.random_range(1..users.len()), random.random_range(0..ROOMS));
    let (who, id, host) = (&users[user], &rooms[room], &users[HOST]);
    let standing = &mut world.standing[user][room];
    let what = match random.random_range(0..12) {
        0 if !world.encrypted[room] => {
            encrypt(host, id).await;
            world.encrypted[room] = true;
            "encrypted"
        }
        1 | 2 => {
            upload_keys(who).await;
            return (format!("{user} got keys"), Some(user));
        }
        3..=5 if *standing == Standing::Out => {
            host.invite(id, who).await;
            *standing = Standing::Invited;
            "invited"
        }
        3..=7 if *standing == Standing::Invited => {
            who.join(id).await;
            *standing = Standing::Joined;
            "joined"
        }
        8 | 9 if matches!(standing, Standing::Invited | Standing::Joined) => {
            who.leave(id).await;
            *standing = Standing::Out;
            "left"
        }
        10 if matches!(standing, Standing::Invited | Standing::Joined) => {
            act(host, "kick", id, who).await;
            *standing = Standing::Out;
            "kicked"
        }
        10 | 11 if *standing == Standing::Banned => {
            act(host, "unban", id, who).await;
            *standing = Standing::Out;
            "unbanned"
        }
        11 => {
            act(host, "ban", id, who).await;
            *standing = Standing::Banned;
            "banned"
        }
        _ if matches!(standing, Standing::Out | Standing::Banned) => {
            forget(who, id).await;
            "forgot"
        }
        _ if *standing == Standing::Invited => "hesitated",
        _ => {
            who.send(id, "m.room.message", json!({"msgtype": "m.text", "body": "hello"})).await;
            "spoke"
        }
    };
    (format!("{user} {what} in {room}"), None)
}

/// DL-1, DL-2, DL-3, DL-5, DL-6, DL-9, DL-10, DL-14: over any span each user hears of all they must, and of nobody wrongly.
#[tokio::test]
async fn what_is_told_agrees_with_a_model() {
    let seed = setting("BLACKBOX_SEED", rand::random::<u32>());
    let steps = setting("BLACKBOX_STEPS", 300);
    println!("BLACKBOX_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed.into());
    let users = Server::shared().await.users(["host", "alice", "bob", "carol"]).await;
    let mut rooms = Vec::new();
    for _ in 0..ROOMS {
        rooms.push(users[HOST].create_room(json!({"preset": "private_chat"})).await);
    }
    let mut world = World { standing: vec![[Standing::Out; ROOMS]; users.len()], encrypted: [false; ROOMS] };
    world.standing[HOST] = [Standing::Joined; ROOMS];
    let mut readers = Vec::new();
    for user in &users {
        readers.push((Watch::start(user).await, Since::new(&world)));
    }
    let mut story = Vec::new();
    for _ in 0..steps {
        let before = world.clone();
        let (what, keyed) = step(&mut random, &users, &rooms, &mut world).await;
        story.push(what);
        for (reader, (_, since)) in readers.iter_mut().enumerate() {
            since.apart.extend((0..users.len()).filter(|other| !before.shares(reader, *other)));
            since.keyed.extend(keyed);
        }
        let reader = random.random_range(0..users.len());
        if random.random_bool(0.5) {
            continue;
        }
        let (watch, since) = &mut readers[reader];
        let told = if random.random_bool(0.3) { watch.peek().await } else { watch.next().await };
        story.push(format!("{reader} synced"));
        for (other, user) in users.iter().enumerate() {
            let (was, shares) = (since.start.shares(reader, other), world.shares(reader, other));
            let is_news = since.apart.contains(&other) || since.keyed.contains(&other);
            let about = told.about(user);
            let is_right = match (other == reader, was, shares) {
                (true, ..) => about == if since.keyed.contains(&other) { Changed } else { Nothing },
                (false, _, true) => about == Changed || (!is_news && about == Nothing),
                (false, true, false) => about == Left,
                (false, false, false) => about != Changed,
            };
            assert!(is_right, "seed {seed}: {reader} is told {about:?} of {other}: {told}\n{}", story.join(", "));
        }
        if watch.token() == told.answer["next_batch"].as_str().unwrap() {
            *since = Since::new(&world);
        }
    }
}
