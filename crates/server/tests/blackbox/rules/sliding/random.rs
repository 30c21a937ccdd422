//! A random course of rooms, messages, windows and lost answers, held against what was sent.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{SystemTime, UNIX_EPOCH},
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use super::room_of;
use crate::harness::{Client, Server, Sliding, setting, sliding_to_device};

/// Rooms of the two users.
const ROOMS: usize = 6;

/// What a client makes of the answers on one connection.
#[derive(Default)]
struct Seen {
    /// The newest messages of each room, as one stretch without a gap.
    timelines: BTreeMap<String, Vec<u64>>,
    topics: BTreeMap<String, u64>,
    messages: Vec<u64>,
}

impl Seen {
    fn take(&mut self, sync: &Value) {
        for (room, told) in sync["rooms"].as_object().unwrap() {
            let timeline = self.timelines.entry(room.clone()).or_default();
            let texts = told["timeline"].as_array().into_iter().flatten();
            let texts = texts.filter(|event| event["type"] == "m.room.message");
            let numbers: Vec<u64> = texts.filter_map(|event| event["content"]["number"].as_u64()).collect();
            if told["initial"] == true || told["limited"] == true {
                // What went before does not join on, or it is all in here again.
                timeline.clear();
            } else if told["unstable_expanded_timeline"] == true {
                timeline.retain(|number| !numbers.contains(number));
            }
            let repeated = numbers.iter().find(|number| timeline.contains(number));
            assert_eq!(repeated, None, "a message twice in {room}: {told}");
            timeline.extend(numbers);
            timeline.sort_unstable();
            let state = told["required_state"].as_array().into_iter().flatten();
            for event in state.filter(|event| event["type"] == "m.room.topic") {
                self.topics.insert(room.clone(), event["content"]["number"].as_u64().unwrap());
            }
        }
        let messages = sliding_to_device(sync);
        self.messages.extend(messages.iter().filter_map(|event| event["content"]["number"].as_u64()));
    }
}

/// What was sent.
#[derive(Default)]
struct Sent {
    timelines: BTreeMap<String, Vec<u64>>,
    topics: BTreeMap<String, u64>,
    messages: Vec<u64>,
    next: u64,
}

impl Sent {
    async fn something(&mut self, random: &mut StdRng, by: &Client, to: &Client, rooms: &[String]) {
        self.next += 1;
        let number = self.next;
        let room = &rooms[random.random_range(0..rooms.len())];
        match random.random_range(0..10) {
            0..=5 => {
                by.send(room, "m.room.message", json!({"msgtype": "m.text", "body": "x", "number": number})).await;
                self.timelines.entry(room.clone()).or_default().push(number);
            }
            6 => {
                by.send_state(room, "m.room.topic", "", json!({"topic": "x", "number": number})).await;
                self.topics.insert(room.clone(), number);
            }
            _ => {
                by.send_to_device("io.example", json!({to.user_id(): {to.device_id(): {"number": number}}})).await;
                self.messages.push(number);
            }
        }
    }
}

/// A request like those of clients that scroll, open rooms and close them.
fn request(random: &mut StdRng, rooms: &[String]) -> Value {
    let wish = |random: &mut StdRng| {
        let state = if random.random_bool(0.5) { json!([["m.room.topic", ""]]) } else { json!([]) };
        json!({"timeline_limit": random.random_range(1..6), "required_state": state})
    };
    let mut list = wish(random);
    let first = random.random_range(0..rooms.len());
    list["ranges"] = json!([[first, first + random.random_range(0..rooms.len())]]);
    let mut subscriptions = serde_json::Map::new();
    for room in rooms {
        if random.random_bool(0.2) {
            subscriptions.insert(room.clone(), wish(random));
        }
    }
    let to_device = json!({"enabled": true, "limit": random.random_range(1..4)});
    json!({"lists": {"a": list}, "room_subscriptions": subscriptions, "extensions": {"to_device": to_device}})
}

/// Asks for all there is until there is no more.
async fn catch_up(sync: &mut Sliding, seen: &mut Seen) {
    sync.body = json!({"lists": {"a": {"ranges": [[0, 99]], "timeline_limit": 6,
        "required_state": [["m.room.topic", ""]]}}, "extensions": {"to_device": {"enabled": true}}});
    loop {
        let came = sync.now().await;
        seen.take(&came);
        if came["rooms"] == json!({}) && sliding_to_device(&came).is_empty() {
            return;
        }
    }
}

/// SSS-3, SSS-7: whatever window a client looks through, and whichever answers get lost, it comes to have all: the
/// newest of each timeline without a gap or a double, the state it wanted, and each to-device message once.
#[tokio::test]
async fn a_client_comes_to_have_all() {
    let seed = setting("BLACKBOX_SEED", SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs());
    let steps = setting("BLACKBOX_STEPS", 150);
    println!("BLACKBOX_SEED={seed} BLACKBOX_STEPS={steps}");
    let mut random = StdRng::seed_from_u64(seed);
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut rooms = Vec::new();
    for _ in 0..ROOMS {
        rooms.push(room_of(&alice, &bob).await);
    }
    let mut sent = Sent::default();
    let mut seen = Seen::default();
    let mut sync = bob.sliding(json!({}));
    for _ in 0..steps {
        for _ in 0..random.random_range(0..4) {
            sent.something(&mut random, &alice, &bob, &rooms).await;
        }
        sync.body = request(&mut random, &rooms);
        match random.random_range(0..20) {
            0 => {
                // The client starts anew. Its inbox is where it was.
                let since = sync.since.take();
                sync = bob.sliding(sync.body);
                sync.since = since;
                seen.timelines.clear();
                seen.topics.clear();
            }
            1..=4 => {
                sync.peek().await;
            }
            _ => {
                let came = sync.now().await;
                seen.take(&came);
            }
        }
    }
    catch_up(&mut sync, &mut seen).await;
    assert_eq!(seen.messages, sent.messages, "to-device messages");
    assert_eq!(seen.topics, sent.topics, "state");
    for (room, sent) in &sent.timelines {
        let seen: BTreeSet<u64> = seen.timelines.get(room).into_iter().flatten().copied().collect();
        let newest: BTreeSet<u64> = sent.iter().rev().take(seen.len()).copied().collect();
        assert_eq!(seen, newest, "the timeline of {room}");
        assert!(seen.last() == sent.last(), "{room} has {seen:?} of {sent:?}");
    }
}
