//! What people do beside syncing.

use std::{sync::atomic::Ordering, time::Duration};

use olmstead_benches::{client::segment, random::Random};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{people::Person, tally::Tally};

/// Sessions of a person's backup.
const SESSIONS: usize = 12;
/// Kinds of account data that a person sets.
const KINDS: usize = 5;

/// The description of a new backup.
pub(crate) fn backup() -> Value {
    json!({"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": {"public_key": "abc"}})
}

/// One thing after another, with pauses of this length on average.
pub(crate) async fn act(people: &[Person], number: usize, tally: &Tally, mut random: Random, pause: Duration) {
    let actor = Actor { people, person: &people[number], tally };
    for count in 0_u64.. {
        tokio::time::sleep(pause.mul_f64(2.0 * random.part())).await;
        actor.once(count, &mut random).await;
    }
}

struct Actor<'a> {
    people: &'a [Person],
    person: &'a Person,
    tally: &'a Tally,
}

impl Actor<'_> {
    async fn once(&self, count: u64, random: &mut Random) {
        match random.below(100) {
            0..25 => self.send(count, random).await,
            25..40 => self.claim(random).await,
            40..50 => self.speak(count, random).await,
            50..60 => self.read(random).await,
            60..65 => self.typing(random).await,
            65..70 => self.account_data(count, random).await,
            70..80 => self.back_up(count, random).await,
            80..81 => self.new_backup().await,
            81..89 => self.query().await,
            89..91 => self.first_sync().await,
            91..95 => self.sliding_sync(random).await,
            95..96 => self.leave_and_join(random).await,
            _ => self.look_back(random).await,
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Option<Value> {
        self.tally.ask(&self.person.phone, Method::POST, path, Some(body)).await
    }

    async fn put(&self, path: &str, body: &Value) -> Option<Value> {
        self.tally.ask(&self.person.phone, Method::PUT, path, Some(body)).await
    }

    async fn get(&self, path: &str) -> Option<Value> {
        self.tally.ask(&self.person.phone, Method::GET, path, None).await
    }

    fn mate(&self, random: &mut Random) -> &Person {
        &self.people[self.person.mates[random.below(self.person.mates.len())]]
    }

    fn room(&self, random: &mut Random) -> &str {
        &self.person.rooms[random.below(self.person.rooms.len())]
    }

    /// A message to all devices of somebody.
    async fn send(&self, count: u64, random: &mut Random) {
        let mate = self.mate(random);
        let number = {
            let mut now = self.person.now();
            let sent = now.sent.entry(mate.number).or_default();
            *sent += 1;
            *sent
        };
        let content = json!({"from": self.person.number, "number": number, "body": "x".repeat(600)});
        let body = json!({"messages": {&mate.phone.user_id: {"*": content}}});
        self.put(&format!("/sendToDevice/m.room.encrypted/m{count}"), &body).await;
        self.tally.messages.fetch_add(1, Ordering::Relaxed);
    }

    /// A one-time key of a device.
    async fn claim(&self, random: &mut Random) {
        let mate = self.mate(random);
        let mut devices = mate.devices();
        let device = devices.swap_remove(random.below(devices.len()));
        let body = json!({"one_time_keys": {&mate.phone.user_id: {&device: "signed_curve25519"}}});
        let Some(answer) = self.post("/keys/claim", &body).await else { return };
        // A device may have gone in between.
        let keys = answer["one_time_keys"][&mate.phone.user_id][&device].as_object();
        for (name, key) in keys.into_iter().flatten() {
            if key["fallback"] != true {
                self.tally.claimed(name);
            }
        }
    }

    async fn speak(&self, count: u64, random: &mut Random) {
        let room = self.room(random);
        let content = json!({
            "algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "A".repeat(400),
            "device_id": self.person.phone.device_id, "sender_key": "k".repeat(43), "session_id": "s".repeat(43),
        });
        let path = format!("/rooms/{}/send/m.room.encrypted/e{count}", segment(room));
        if let Some(answer) = self.put(&path, &content).await {
            self.tally.events.fetch_add(1, Ordering::Relaxed);
            let event = answer["event_id"].as_str().unwrap_or_default().to_owned();
            self.person.now().events.insert(room.to_owned(), event);
        }
    }

    /// A receipt for somebody's newest event.
    async fn read(&self, random: &mut Random) {
        let room = self.room(random);
        let newest = self.people.iter().find_map(|person| person.now().events.get(room).cloned());
        if let Some(event) = newest {
            self.post(&format!("/rooms/{}/receipt/m.read/{}", segment(room), segment(&event)), &json!({})).await;
        }
    }

    async fn typing(&self, random: &mut Random) {
        let (room, user) = (segment(self.room(random)), segment(&self.person.phone.user_id));
        self.put(&format!("/rooms/{room}/typing/{user}"), &json!({"typing": true, "timeout": 4_000})).await;
    }

    async fn account_data(&self, count: u64, random: &mut Random) {
        let (user, kind) = (segment(&self.person.phone.user_id), random.below(KINDS));
        let content = json!({"count": count, "text": "t".repeat(200)});
        self.put(&format!("/user/{user}/account_data/org.example.k{kind}"), &content).await;
    }

    async fn back_up(&self, count: u64, random: &mut Random) {
        let version = self.person.now().backup.clone();
        let (room, session) = (segment(self.room(random)), random.below(SESSIONS));
        let key = json!({
            "first_message_index": 1_000_000_u64.saturating_sub(count), "forwarded_count": 0, "is_verified": true,
            "session_data": {"ephemeral": "e".repeat(43), "ciphertext": "c".repeat(700), "mac": "m".repeat(11)},
        });
        self.put(&format!("/room_keys/keys/{room}/session{session}?version={version}"), &key).await;
    }

    /// A new backup takes the place of the old one.
    async fn new_backup(&self) {
        let Some(answer) = self.post("/room_keys/version", &backup()).await else { return };
        let new = answer["version"].as_str().unwrap_or_default().to_owned();
        let old = std::mem::replace(&mut self.person.now().backup, new);
        self.tally.ask(&self.person.phone, Method::DELETE, &format!("/room_keys/version/{old}"), None).await;
    }

    async fn query(&self) {
        let users: serde_json::Map<String, Value> =
            self.person.mates.iter().map(|mate| (self.people[*mate].phone.user_id.clone(), json!([]))).collect();
        self.post("/keys/query", &json!({"device_keys": users})).await;
    }

    async fn first_sync(&self) {
        self.get("/sync?timeout=0").await;
    }

    /// A connection that is begun and used twice.
    async fn sliding_sync(&self, random: &mut Random) {
        let path = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";
        let body = json!({
            "conn_id": format!("c{}", random.below(3)),
            "lists": {"all": {"ranges": [[0, 9]], "timeline_limit": 1, "required_state": [["m.room.encryption", ""]]}},
        });
        let Some(answer) = self.post(path, &body).await else { return };
        let pos = segment(answer["pos"].as_str().unwrap_or_default());
        self.post(&format!("{path}?timeout=0&pos={pos}"), &body).await;
    }

    async fn leave_and_join(&self, random: &mut Random) {
        let room = segment(self.room(random));
        for what in ["leave", "join"] {
            self.post(&format!("/rooms/{room}/{what}"), &json!({})).await;
        }
        self.tally.events.fetch_add(2, Ordering::Relaxed);
    }

    async fn look_back(&self, random: &mut Random) {
        self.get(&format!("/rooms/{}/messages?dir=b&limit=20", segment(self.room(random)))).await;
    }
}
