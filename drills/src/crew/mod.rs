//! Who loads the server: people of whom each does many things at once, until they are told to stop.

mod crypto;
mod finish;
mod lanes;
mod lists;
mod syncing;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::{runtime::Handle, task::JoinSet};

use crate::{
    api::{Device, segment},
    ledger::Ledger,
    signed::{DeviceKeys, Identity},
};

/// One who loads the server, and what is known to be true of them.
pub(super) struct Person {
    pub(super) device: Device,
    pub(super) keys: Mutex<DeviceKeys>,
    /// The version of the backup.
    pub(super) backup: String,
    /// The devices with keys that there must be, by id, as they were acknowledged.
    pub(super) published: Mutex<BTreeMap<String, Value>>,
    pub(super) identity: Mutex<Identity>,
    /// Where the next sync goes on.
    pub(super) since: Mutex<String>,
}

/// All of them.
pub(crate) struct Crew {
    pub(super) ledger: Arc<Ledger>,
    pub(super) people: Vec<Person>,
    pub(super) room: String,
    pub(super) talkers: Vec<Arc<crypto::Talker>>,
    pub(super) talk: String,
    stop: AtomicBool,
    number: AtomicUsize,
}

/// A lock that outlives a panic of another.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crew {
    /// Makes users, keys, backups and rooms. Nothing may be killed meanwhile.
    pub(crate) async fn prepare(base: &str, ledger: Arc<Ledger>, people: usize) -> Result<Arc<Self>, String> {
        let mut all = Vec::new();
        for n in 0..people {
            all.push(Person::new(base, &format!("raw{n}")).await?);
        }
        let devices: Vec<&Device> = all.iter().map(|person| &person.device).collect();
        let room = room(&devices).await?;
        for person in &all {
            let answer = person.device.get("/sync?timeout=0").await?;
            *lock(&person.since) = answer["next_batch"].as_str().unwrap_or_default().to_owned();
        }
        let mut talkers = Vec::new();
        for n in 0..3 {
            talkers.push(Arc::new(crypto::Talker::new(Device::register(base, &format!("crypto{n}")).await?).await?));
        }
        let devices: Vec<&Device> = talkers.iter().map(|talker| talker.device()).collect();
        let talk = self::room(&devices).await?;
        let (stop, number) = (AtomicBool::new(false), AtomicUsize::new(0));
        let crew = Self { ledger, people: all, room, talkers, talk, stop, number };
        crew.get_acquainted().await?;
        Ok(Arc::new(crew))
    }

    /// Everybody begins.
    pub(crate) fn begin(self: &Arc<Self>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for n in 0..self.people.len() {
            for what in ["sending", "speaking", "uploading", "claiming", "backing up", "changing devices", "syncing"] {
                self.on_its_thread(&mut tasks, what, n);
            }
        }
        for n in 0..self.talkers.len() {
            self.on_its_thread(&mut tasks, "talking", n);
        }
        tasks
    }

    /// A thread for each: the compiler does not see that what the crypto clients await may move between threads.
    fn on_its_thread(self: &Arc<Self>, tasks: &mut JoinSet<()>, what: &'static str, n: usize) {
        let this = Arc::clone(self);
        tasks.spawn_blocking(move || Handle::current().block_on(this.lane(what, n)));
    }

    async fn lane(&self, what: &'static str, n: usize) {
        while !self.is_over() {
            let done = match what {
                "sending" => self.send(n).await,
                "speaking" => self.speak(n).await,
                "uploading" => self.upload(n).await,
                "claiming" => self.claim(n).await,
                "backing up" => self.back_up(n).await,
                "changing devices" => self.change_devices(n).await,
                "syncing" => self.sync(n).await.map(drop),
                _ => self.talk(n).await,
            };
            if let Err(why) = done {
                self.ledger.trouble(format!("{n} ends {what}: {why}"));
                return;
            }
        }
    }

    /// Nobody begins anything new.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// A name that nobody used: of a transaction, of a device.
    pub(super) fn fresh(&self) -> String {
        format!("N{}", self.number.fetch_add(1, Ordering::SeqCst))
    }

    /// Somebody else.
    pub(super) fn other(&self, n: usize) -> &Person {
        let step = rand::random_range(1..self.people.len().max(2));
        &self.people[(n + step) % self.people.len()]
    }
}

impl Person {
    async fn new(base: &str, name: &str) -> Result<Self, String> {
        let device = Device::register(base, name).await?;
        let keys = DeviceKeys::new(&device);
        let identity = Identity::new(&device.user_id);
        let signed = identity.sign_device(keys.signed());
        device.post("/keys/upload", &json!({"device_keys": keys.signed()})).await?;
        lists::upload_identity(&device, &identity).await?;
        let signatures = json!({&device.user_id: {&device.device_id: &signed}});
        device.post("/keys/signatures/upload", &signatures).await?;
        let body = json!({"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": {"public_key": "abc"}});
        let answer = device.post("/room_keys/version", &body).await?;
        let backup = answer["version"].as_str().ok_or_else(|| format!("no version: {answer}"))?.to_owned();
        let published = Mutex::new(BTreeMap::from([(device.device_id.clone(), signed)]));
        let (keys, identity, since) = (Mutex::new(keys), Mutex::new(identity), Mutex::default());
        Ok(Self { device, keys, backup, published, identity, since })
    }
}

/// An encrypted room with these members.
async fn room(members: &[&Device]) -> Result<String, String> {
    let Some((first, others)) = members.split_first() else { return Err("nobody is there".to_owned()) };
    let invited: Vec<_> = others.iter().map(|device| &device.user_id).collect();
    let encryption = json!({"type": "m.room.encryption", "state_key": "",
        "content": {"algorithm": "m.megolm.v1.aes-sha2"}});
    let body = json!({"preset": "private_chat", "invite": invited, "initial_state": [encryption]});
    let answer = first.post("/createRoom", &body).await?;
    let room = answer["room_id"].as_str().ok_or_else(|| format!("no room: {answer}"))?.to_owned();
    for other in others {
        other.post(&format!("/rooms/{}/join", segment(&room)), &json!({})).await?;
    }
    Ok(room)
}
