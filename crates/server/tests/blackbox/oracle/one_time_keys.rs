//! One-time and fallback keys: uploads, uploads again, claims alone and at once, deleted devices, new identities.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use olmstead_conformance::{
    driver::{Trial, same},
    oracle::one_time_keys::{Claimed, Content, Device, Upload},
    random::Random,
};
use serde_json::{Map, Value, json};

use crate::harness::{Client, Server};

const USERS: usize = 2;
const DEVICES: [&str; 2] = ["PHONE", "LAPTOP"];
const ALGORITHMS: [&str; 2] = ["signed_curve25519", "curve25519"];

/// A user and the number of a device.
type Slot = (usize, usize);

/// An algorithm and a number of a key, and whether it is the usual key of that number.
type Key = (usize, u64, bool);

/// OTK-1, OTK-3, OTK-5, OTK-6, OTK-7, OTK-8, OTK-9, OTK-10, OTK-13, OTK-14, FBK-1, FBK-3, FBK-4, FBK-5, FBK-6, FBK-8, FBK-9,
/// DK-12, SYNC-2, SYNC-3: over 10,000 random steps every claim gets the key it must, and every count is right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_handed_out_as_predicted() {
    super::check("one-time keys", World::new).await;
}

#[derive(Debug, Clone)]
enum Command {
    Upload(Slot, Vec<Key>, Option<Key>),
    /// Sends one of the last uploads again.
    Again(Slot, usize),
    Claim(Vec<(Slot, usize)>),
    /// So many claims of one device at the same time.
    Together(Slot, usize, usize),
    Counts(Slot),
    Sync(Slot),
    Anew(Slot),
    Identity(Slot),
}

/// One-time keys by name, and a fallback key.
type Sent = (BTreeMap<String, Content>, Option<(String, Content)>);

struct Phone {
    client: Client,
    keys: Device,
    uploads: Vec<Sent>,
    /// Which identity the device has. Names of keys belong to it: nobody says whether another may use them again.
    identity: u64,
    /// Whether identity keys were uploaded.
    is_identified: bool,
    since: Option<String>,
}

struct World {
    claimer: Client,
    users: Vec<Client>,
    devices: BTreeMap<Slot, Phone>,
    made: u64,
}

impl World {
    async fn new(server: Server) -> Self {
        let claimer = server.user("claimer").await;
        let users: [Client; USERS] = server.users(["alice", "bob"]).await;
        let mut world = Self { claimer, users: users.into(), devices: BTreeMap::new(), made: 0 };
        for slot in (0..USERS).flat_map(|user| (0..DEVICES.len()).map(move |device| (user, device))) {
            world.log_in(slot).await;
        }
        world
    }

    async fn log_in(&mut self, slot: Slot) {
        let client = self.users[slot.0].login(DEVICES[slot.1]).await;
        self.made += 1;
        let phone = Phone {
            client,
            keys: Device::default(),
            uploads: Vec::new(),
            identity: self.made,
            is_identified: false,
            since: None,
        };
        self.devices.insert(slot, phone);
    }

    fn phone(&mut self, slot: Slot) -> &mut Phone {
        self.devices.get_mut(&slot).expect("every device is there")
    }

    /// A claim of several devices; what each got.
    async fn claim(&self, wants: &[(Slot, usize)]) -> Vec<Claimed> {
        let mut body = Map::new();
        for (slot, algorithm) in wants {
            let user = body.entry(self.users[slot.0].user_id()).or_insert_with(|| json!({}));
            user[DEVICES[slot.1]] = json!(ALGORITHMS[*algorithm]);
        }
        let answer = self.claimer.post("/keys/claim", json!({"one_time_keys": body})).await.ok();
        let got = |(slot, _): &(Slot, usize)| {
            let keys = answer["one_time_keys"][self.users[slot.0].user_id()][DEVICES[slot.1]].as_object()?;
            let (name, key) = keys.iter().next()?;
            assert_eq!(keys.len(), 1, "OTK-9: one key a device: {keys:?}");
            // A plain key is a text.
            let text = key["key"].as_str().or(key.as_str()).expect("a key");
            Some((name.clone(), text.parse().expect("one of our keys"), key["fallback"] == true))
        };
        wants.iter().map(got).collect()
    }
}

impl Phone {
    async fn upload(
        &mut self,
        keys: BTreeMap<String, Content>,
        fallback: Option<(String, Content)>,
    ) -> Result<(), String> {
        let value = |name: &String, content: Content, fallback: bool| match name.starts_with("signed") {
            _ if fallback => json!({"key": content.to_string(), "fallback": true, "signatures": {}}),
            true => json!({"key": content.to_string(), "signatures": {}}),
            false => json!(content.to_string()),
        };
        let one_time: Map<String, Value> =
            keys.iter().map(|(name, content)| (name.clone(), value(name, *content, false))).collect();
        let mut body = json!({"one_time_keys": one_time});
        if let Some((name, content)) = &fallback {
            body["fallback_keys"] = json!({name: value(name, *content, true)});
        }
        let answer = self.client.post("/keys/upload", body).await;
        let borrowed = fallback.as_ref().map(|(name, content)| (name.as_str(), *content));
        match self.keys.upload(&keys, borrowed) {
            Upload::Stored => {
                self.counted(&answer.ok()["one_time_key_counts"])?;
                self.uploads.push((keys, fallback));
                self.uploads.drain(..self.uploads.len().saturating_sub(8));
                Ok(())
            }
            Upload::Exists(names) => {
                let text = answer.text();
                let named = |name: &String| text.contains(&format!("One time key {name} already exists"));
                let refused = answer.status == 400 && names.iter().any(named);
                if refused { Ok(()) } else { Err(format!("{names:?} exist, but {answer}")) }
            }
        }
    }

    /// Holds counts against the oracle; `signed_curve25519` is always among them.
    fn counted(&self, counts: &Value) -> Result<(), String> {
        let mut counts: BTreeMap<String, u64> = serde_json::from_value(counts.clone()).map_err(|e| e.to_string())?;
        if !counts.contains_key(ALGORITHMS[0]) {
            return Err(format!("{} is not counted: {counts:?}", ALGORITHMS[0]));
        }
        counts.retain(|_, count| *count > 0);
        same("counts", counts, self.keys.counts())
    }

    async fn sync(&mut self) -> Result<(), String> {
        let response = self.client.sync(self.since.as_deref()).await;
        self.since = response["next_batch"].as_str().map(str::to_owned);
        self.counted(&response["device_one_time_keys_count"])?;
        let unused: BTreeSet<String> = serde_json::from_value(response["device_unused_fallback_key_types"].clone())
            .map_err(|error| format!("device_unused_fallback_key_types: {error}"))?;
        same("unused fallback keys", unused, self.keys.unused_fallback_keys())
    }

    fn name(&self, (algorithm, number, _): Key) -> String {
        format!("{}:I{}K{number}", ALGORITHMS[algorithm], self.identity)
    }
}

fn content((_, number, usual): Key) -> Content {
    number * 2 + u64::from(usual)
}

fn key(random: &mut Random) -> Key {
    (usize::from(random.once_in(4)), random.number() % 400, !random.once_in(25))
}

impl Trial for World {
    type Command = Command;

    fn command(random: &mut Random) -> Command {
        let slot = (random.below(USERS), random.below(DEVICES.len()));
        match random.below(200) {
            0..50 => {
                let keys = (0..random.below(7)).map(|_| key(random)).collect();
                Command::Upload(slot, keys, random.once_in(5).then(|| key(random)))
            }
            50..65 => Command::Again(slot, random.below(8)),
            65..115 => {
                let others = (0..random.below(3)).map(|_| (random.below(USERS), random.below(DEVICES.len())));
                let mut wants: BTreeMap<Slot, usize> = others.map(|slot| (slot, 0)).collect();
                wants.insert(slot, usize::from(random.once_in(4)));
                Command::Claim(wants.into_iter().collect())
            }
            115..140 => Command::Together(slot, usize::from(random.once_in(4)), 2 + random.below(9)),
            140..160 => Command::Counts(slot),
            160..196 => Command::Sync(slot),
            196 | 197 => Command::Anew(slot),
            _ => Command::Identity(slot),
        }
    }

    async fn step(&mut self, command: &Command) -> Result<(), String> {
        match command {
            Command::Upload(slot, keys, fallback) => {
                let phone = self.phone(*slot);
                let keys = keys.iter().map(|key| (phone.name(*key), content(*key))).collect();
                // Fallback keys have numbers of their own.
                let fallback = fallback.map(|(algorithm, number, usual)| {
                    let key = (algorithm, 1_000 + number % 5, usual);
                    (phone.name(key), content(key))
                });
                phone.upload(keys, fallback).await
            }
            Command::Again(slot, back) => {
                let phone = self.phone(*slot);
                if phone.uploads.is_empty() {
                    return Ok(());
                }
                let (keys, fallback) = phone.uploads[back % phone.uploads.len()].clone();
                phone.upload(keys, fallback).await
            }
            Command::Claim(wants) => {
                let got = self.claim(wants).await;
                for ((slot, algorithm), key) in wants.iter().zip(got) {
                    self.phone(*slot).keys.claim(ALGORITHMS[*algorithm], vec![key])?;
                }
                Ok(())
            }
            Command::Together(slot, algorithm, count) => {
                let want = [(*slot, *algorithm)];
                let got = join_all((0..*count).map(|_| self.claim(&want))).await;
                self.phone(*slot).keys.claim(ALGORITHMS[*algorithm], got.into_iter().flatten().collect())
            }
            Command::Counts(slot) => {
                let phone = self.phone(*slot);
                let answer = phone.client.post("/keys/upload", json!({})).await.ok();
                phone.counted(&answer["one_time_key_counts"])
            }
            Command::Sync(slot) => self.phone(*slot).sync().await,
            Command::Anew(slot) => {
                self.phone(*slot).client.logout().await;
                self.log_in(*slot).await;
                self.phone(*slot).sync().await
            }
            Command::Identity(slot) => {
                self.made += 1;
                let made = self.made;
                let phone = self.phone(*slot);
                let (user, device) = (phone.client.user_id(), phone.client.device_id());
                let keys = json!({"user_id": user, "device_id": device, "algorithms": [], "signatures": {},
                    "keys": {format!("ed25519:{device}"): made.to_string()}});
                let answer = phone.client.post("/keys/upload", json!({"device_keys": keys})).await.ok();
                // Keys that came before any identity are those of the first one.
                if std::mem::replace(&mut phone.is_identified, true) {
                    phone.keys.reset();
                    phone.uploads.clear();
                    phone.identity = made;
                }
                phone.counted(&answer["one_time_key_counts"])
            }
        }
    }
}
