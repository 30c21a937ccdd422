//! What each does again and again: send, speak, upload and claim keys, back keys up.

use std::{sync::Arc, time::Duration};

use rand::{Rng as _, seq::IndexedRandom as _};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{Crew, lock};
use crate::api::{Answer, Device, segment};

/// The type of the drill's own messages and events.
pub(super) const OWN: &str = "io.olmstead.drill";
/// So many sessions each keeps in a backup.
const SESSIONS: usize = 60;
/// Keys are uploaded while there are fewer.
const POOL: usize = 30;

async fn pause(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(rand::random_range(0..=2 * milliseconds))).await;
}

impl Crew {
    /// A request with a transaction id: sent again with the same id until it is answered, or now and then given up.
    async fn transaction(&self, device: &Device, path: &str, body: &Value) -> Result<bool, String> {
        if rand::random_ratio(1, 8) {
            return match device.once(Method::PUT, path, Some(body)).await {
                Answer::Done(_) => Ok(true),
                Answer::Refused(status, answer) => Err(format!("{path}: {status} {answer}")),
                Answer::Unknown => Ok(false),
            };
        }
        device.put(path, body).await.map(|_| true)
    }

    /// A to-device message to one or all of the others.
    pub(super) async fn send(&self, n: usize) -> Result<(), String> {
        let from = &self.people[n].device;
        let all = rand::random_ratio(1, 4);
        let one = &self.other(n).device.user_id;
        let mut sent = Vec::new();
        let mut messages = Map::new();
        for to in self.people.iter().map(|person| &person.device).filter(|to| to.user_id != from.user_id) {
            if all || to.user_id == *one {
                let lane = (from.user_id.clone(), to.user_id.clone());
                let number = self.ledger.books().to_device.begin(&lane);
                messages.insert(to.user_id.clone(), json!({&to.device_id: {"number": number}}));
                sent.push((lane, number));
            }
        }
        let path = format!("/sendToDevice/{OWN}/{}", self.fresh());
        if self.transaction(from, &path, &json!({"messages": messages})).await? {
            let mut books = self.ledger.books();
            for (lane, number) in &sent {
                books.to_device.acknowledged(lane, *number);
            }
        }
        pause(10).await;
        Ok(())
    }

    /// An event, which all others must get.
    pub(super) async fn speak(&self, n: usize) -> Result<(), String> {
        let from = &self.people[n].device;
        let lanes: Vec<(String, String)> =
            self.people.iter().map(|to| (from.user_id.clone(), to.device.user_id.clone())).collect();
        // The number is the same in all lanes of the sender.
        let mut number = 0;
        for lane in &lanes {
            number = self.ledger.books().events.begin(lane);
        }
        let path = format!("/rooms/{}/send/{OWN}/{}", segment(&self.room), self.fresh());
        if self.transaction(from, &path, &json!({"number": number})).await? {
            let mut books = self.ledger.books();
            for lane in &lanes {
                books.events.acknowledged(lane, number);
            }
        }
        pause(40).await;
        Ok(())
    }

    /// One-time keys, if there may be few.
    pub(super) async fn upload(&self, n: usize) -> Result<(), String> {
        let person = &self.people[n];
        let name = person.device.name();
        if self.ledger.books().keys.left(&name).1 < POOL {
            let keys = lock(&person.keys).one_time_keys(10);
            self.ledger.books().keys.begin(&name, &keys);
            // Sent again, though some of the keys may have been claimed by then: they must not come back.
            person.device.post("/keys/upload", &json!({"one_time_keys": keys})).await?;
            self.ledger.books().keys.acknowledged(&name, &keys);
        }
        pause(50).await;
        Ok(())
    }

    /// A key of somebody; whether there was one.
    pub(super) async fn claim_of(&self, by: &Device, of: &Device) -> Result<bool, String> {
        let body = json!({"one_time_keys": {&of.user_id: {&of.device_id: "signed_curve25519"}}});
        let name = of.name();
        let (ledger, device) = (Arc::clone(&self.ledger), name.clone());
        let blind = move || ledger.books().keys.blind(&device);
        let answer = by.known(Method::POST, "/keys/claim", Some(&body), blind).await?;
        let keys = &answer["one_time_keys"][&of.user_id][&of.device_id];
        self.ledger.books().keys.handed(&name, keys);
        Ok(keys.as_object().is_some_and(|keys| !keys.is_empty()))
    }

    pub(super) async fn claim(&self, n: usize) -> Result<(), String> {
        self.claim_of(&self.people[n].device, &self.other(n).device).await?;
        pause(30).await;
        Ok(())
    }

    /// A few keys for the backup, better or worse than those that are there.
    pub(super) async fn back_up(&self, n: usize) -> Result<(), String> {
        let person = &self.people[n];
        let mut rooms: Map<String, Value> = Map::new();
        let mut keys = Vec::new();
        for _ in 0..rand::random_range(1..6) {
            let number = rand::random_range(0..SESSIONS);
            let (room, session) = (format!("!r{}:localhost", number % 3), format!("session{number}"));
            if keys.iter().any(|((_, other), _): &((String, String), Value)| *other == session) {
                continue;
            }
            let key = random_key();
            rooms.entry(room.clone()).or_insert_with(|| json!({"sessions": {}}))["sessions"][&session] = key.clone();
            keys.push(((room, session), key));
        }
        let path = format!("/room_keys/keys?version={}", segment(&person.backup));
        let answer = person.device.put(&path, &json!({"rooms": rooms})).await?;
        self.note_backup(n, &keys, &answer);
        pause(60).await;
        Ok(())
    }

    fn note_backup(&self, n: usize, keys: &[((String, String), Value)], answer: &Value) {
        let mut books = self.ledger.books();
        let count = books.backups.acknowledged(&self.people[n].device.user_id, keys);
        if answer["count"].as_u64() != u64::try_from(count).ok() {
            books.backups.wrong();
        }
    }
}

fn random_key() -> Value {
    let mut random = rand::rng();
    let text = ["a", "b", "c", "d"].choose(&mut random).copied().unwrap_or_default();
    json!({
        "first_message_index": random.random_range(0..6), "forwarded_count": random.random_range(0..3),
        "is_verified": random.random_ratio(1, 3),
        "session_data": {"ephemeral": text.repeat(43), "ciphertext": text.repeat(200), "mac": text.repeat(11),
            "number": random.random_range(0..1_000_000)},
    })
}
