//! People: each with a phone that stays, which syncs all the time and keeps its one-time keys topped up.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use olmstead_benches::{
    client::{Client, segment},
    keys::{Device, Identity},
    random::Random,
    run::prepare,
};
use reqwest::{Client as Http, Method};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{Options, acts, tally::Tally, visits};

/// Members of a room.
const MEMBERS: usize = 6;
/// One-time keys that a device keeps on the server.
pub(crate) const KEYS: usize = 50;
/// How long a sync waits.
const WAIT_MS: u64 = 20_000;
/// One answer to a sync in so many is dropped: the next asks with the same token.
const DROPPED: usize = 20;

/// One of those who use the server.
pub(crate) struct Person {
    pub(crate) number: usize,
    pub(crate) phone: Client,
    pub(crate) identity: Identity,
    /// Ids.
    pub(crate) rooms: Vec<String>,
    /// Numbers of those who share a room.
    pub(crate) mates: Vec<usize>,
    keys: Mutex<Device>,
    pub(crate) now: Mutex<Now>,
}

/// What changes of a person.
#[derive(Default)]
pub(crate) struct Now {
    /// Devices that are there beside the phone.
    pub(crate) visitors: Vec<String>,
    /// The version of the backup.
    pub(crate) backup: String,
    /// The person's own newest event in a room.
    pub(crate) events: BTreeMap<String, String>,
    /// How many messages went to the phone of each.
    pub(crate) sent: BTreeMap<usize, u64>,
    /// The number of the newest message from each.
    received: BTreeMap<u64, u64>,
}

impl Person {
    pub(crate) fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keys(&self) -> MutexGuard<'_, Device> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All devices that others may know of.
    pub(crate) fn devices(&self) -> Vec<String> {
        let mut all = self.now().visitors.clone();
        all.push(self.phone.device_id.clone());
        all
    }
}

/// Everybody, in a room with each of some others.
pub(crate) struct Town {
    pub(crate) people: Arc<Vec<Person>>,
    pub(crate) rooms: usize,
    tally: Arc<Tally>,
}

impl Town {
    /// Registers everybody and makes the rooms.
    ///
    /// # Errors
    /// If the server refuses something.
    pub(crate) async fn found(options: &Options, tally: &Arc<Tally>) -> Result<Self, String> {
        let http = Http::builder().no_proxy().build().map_err(|error| format!("no HTTP client: {error}"))?;
        let (base, count) = (options.url.trim_end_matches('/'), options.people.max(MEMBERS));
        let names = (0..count).map(|number| format!("soak-{number}"));
        let phones = prepare(names, |name| {
            let http = http.clone();
            async move { Client::register(&http, base, &name).await }
        })
        .await;
        let members: Vec<Vec<usize>> =
            (0..count.div_ceil(2)).map(|room| (0..MEMBERS).map(|n| (room * 2 + n) % count).collect()).collect();
        let mut rooms = Vec::new();
        for members in &members {
            rooms.push(room(members.iter().map(|n| &phones[*n]).collect()).await);
        }
        let of = |number: usize| {
            let within = || members.iter().enumerate().filter(move |(_, members)| members.contains(&number));
            let own: Vec<String> = within().map(|(room, _)| rooms[room].clone()).collect();
            let mut mates: Vec<usize> = within().flat_map(|(_, members)| members.iter().copied()).collect();
            mates.sort_unstable();
            mates.dedup();
            mates.retain(|mate| *mate != number);
            (own, mates)
        };
        let people = prepare(phones.into_iter().enumerate(), |(number, phone)| async move {
            let (mut keys, identity) = (Device::new(&phone), Identity::new(&phone.user_id));
            phone.post("/keys/device_signing/upload", &identity.upload()).await;
            let body = json!({"device_keys": identity.sign_device(keys.signed()),
                "one_time_keys": keys.one_time_keys(KEYS), "fallback_keys": keys.fallback_key()});
            phone.post("/keys/upload", &body).await;
            let backup = phone.post("/room_keys/version", &acts::backup()).await;
            let backup = backup["version"].as_str().unwrap_or_default().to_owned();
            (number, phone, keys, identity, backup)
        })
        .await;
        let people = people.into_iter().map(|(number, phone, keys, identity, backup)| {
            let (rooms, mates) = of(number);
            let now = Mutex::new(Now { backup, ..Now::default() });
            Person { number, phone, identity, rooms, mates, keys: Mutex::new(keys), now }
        });
        Ok(Self { people: Arc::new(people.collect()), rooms: rooms.len(), tally: Arc::clone(tally) })
    }

    /// Lets everybody live until what this returns is dropped.
    pub(crate) fn live(&self, options: &Options) -> JoinSet<()> {
        let mut lives = JoinSet::new();
        // Each does something so many seconds after the last time, on average.
        let people = u32::try_from(self.people.len()).unwrap_or(u32::MAX);
        let pause = Duration::from_secs(1).mul_f64(f64::from(people) / options.rate.max(0.001));
        let mut random = Random::new(options.seed);
        for number in 0..self.people.len() {
            let shared = || (Arc::clone(&self.people), Arc::clone(&self.tally));
            let [first, second, third] = std::array::from_fn(|_| Random::new(random.number()));
            let (people, tally) = shared();
            lives.spawn(async move { sync(&people[number], &tally, first).await });
            let (people, tally) = shared();
            lives.spawn(async move { acts::act(&people, number, &tally, second, pause).await });
            let (people, tally) = shared();
            lives.spawn(async move { visits::visit(&people, number, &tally, third).await });
        }
        lives
    }
}

/// A public encrypted room.
async fn room(members: Vec<&Client>) -> String {
    let encryption = json!({"type": "m.room.encryption", "state_key": "",
        "content": {"algorithm": "m.megolm.v1.aes-sha2"}});
    let answer = members[0].post("/createRoom", &json!({"preset": "public_chat", "initial_state": [encryption]})).await;
    let id = answer["room_id"].as_str().unwrap_or_else(|| panic!("no room: {answer}")).to_owned();
    for member in &members[1..] {
        member.post(&format!("/rooms/{}/join", segment(&id)), &json!({})).await;
    }
    id
}

/// The phone syncs.
async fn sync(person: &Person, tally: &Tally, mut random: Random) {
    let mut since: Option<String> = None;
    loop {
        let path = match &since {
            None => "/sync?timeout=0".to_owned(),
            Some(since) => format!("/sync?timeout={WAIT_MS}&since={}", segment(since)),
        };
        let Some(answer) = tally.ask(&person.phone, Method::GET, &path, None).await else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        if random.below(DROPPED) == 0 {
            continue;
        }
        receive(person, tally, &answer);
        since = answer["next_batch"].as_str().map(str::to_owned);
        let left = answer["device_one_time_keys_count"]["signed_curve25519"].as_u64().unwrap_or_default();
        let missing = KEYS.saturating_sub(usize::try_from(left).unwrap_or(KEYS));
        if missing >= KEYS / 2 {
            let body = json!({"one_time_keys": person.keys().one_time_keys(missing)});
            tally.ask(&person.phone, Method::POST, "/keys/upload", Some(&body)).await;
        }
    }
}

/// Each sender's messages have come in order, without one missing.
fn receive(person: &Person, tally: &Tally, answer: &Value) {
    let mut now = person.now();
    for event in answer["to_device"]["events"].as_array().into_iter().flatten() {
        let (Some(from), Some(number)) = (event["content"]["from"].as_u64(), event["content"]["number"].as_u64())
        else {
            continue;
        };
        let last = now.received.insert(from, number).unwrap_or_default();
        if number != last + 1 {
            tally.wrong(format!("{}: message {number} of {from} came after {last}", person.phone.user_id));
        }
    }
}
