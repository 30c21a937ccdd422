//! The model of one-time keys, fallback keys and identity keys.

use std::collections::{BTreeMap, BTreeSet};

use olmstead_domain::json::RawJson;
use olmstead_storage::{
    devices::{DeviceRef, DeviceSelection},
    keys::{KeysUpload, UploadOutcome},
};
use ruma::OwnedUserId;

use super::{StoreModel, same};
use crate::{
    Store,
    random::Random,
    support::keys::{fallback_key, identity_keys, nothing, one_time_key, want_of},
};

const USERS: [&str; 2] = ["alice", "bob"];
const IDS: [&str; 2] = ["A", "B"];
const ALGORITHMS: [&str; 2] = ["curve25519", "signed_curve25519"];
const POOL_LIMIT: usize = 6;

/// A user and a device id.
type Slot = (usize, usize);

/// A key to upload: algorithm, id, which key it is, which signature it carries.
type Key = (usize, u64, u64, u64);

#[derive(Debug, Clone)]
pub(crate) enum Command {
    Login(Slot),
    Delete(Slot),
    Identity(Slot, u64),
    Upload(Slot, Vec<Key>, Option<Key>),
    Claim(Vec<(Slot, usize)>),
    Counts(Slot),
    Query(usize),
}

#[derive(Debug)]
struct Fallback {
    name: String,
    content: u64,
    value: RawJson,
    used: bool,
}

#[derive(Debug)]
struct Device {
    id: DeviceRef,
    identity: Option<u64>,
    /// How often one identity took the place of another.
    identities: u64,
    /// Unclaimed keys by algorithm, in the order to hand out: name, which key, value.
    pools: BTreeMap<usize, Vec<(String, u64, RawJson)>>,
    /// Names of keys that were claimed or fell out of a full pool.
    spent: BTreeSet<String>,
    fallback: BTreeMap<usize, Fallback>,
}

pub(crate) struct Model {
    users: Vec<OwnedUserId>,
    devices: BTreeMap<Slot, Device>,
}

impl Device {
    fn counts(&self) -> (BTreeMap<String, u64>, Vec<String>) {
        let count = |pool: &Vec<_>| u64::try_from(pool.len()).unwrap();
        let pools = self.pools.iter().filter(|(_, pool)| !pool.is_empty());
        let unused = self.fallback.iter().filter(|(_, key)| !key.used);
        (
            pools.map(|(algorithm, pool)| (ALGORITHMS[*algorithm].to_owned(), count(pool))).collect(),
            unused.map(|(algorithm, _)| ALGORITHMS[*algorithm].to_owned()).collect(),
        )
    }

    /// The unclaimed key of a name: which it is, and its value.
    fn held(&self, algorithm: usize, name: &str) -> Option<(u64, RawJson)> {
        let pool = self.pools.get(&algorithm)?;
        pool.iter().find(|(held, ..)| held == name).map(|(_, which, value)| (*which, value.clone()))
    }

    /// Ids belong to an identity: no model says whether a new identity may use those its predecessor spent.
    fn name(&self, algorithm: usize, id: u64) -> String {
        format!("{}:I{}K{id}", ALGORITHMS[algorithm], self.identities)
    }
}

fn slot(random: &mut Random) -> Slot {
    (random.below(USERS.len()), random.below(IDS.len()))
}

fn key(random: &mut Random) -> Key {
    let which = u64::from(random.once_in(12));
    (random.below(ALGORITHMS.len()), random.number() % 24, which, random.number() % 2)
}

impl StoreModel for Model {
    type Command = Command;

    fn command(random: &mut Random) -> Command {
        match random.below(20) {
            0 => Command::Login(slot(random)),
            1 if random.once_in(3) => Command::Delete(slot(random)),
            1 => Command::Login(slot(random)),
            2 => Command::Identity(slot(random), random.number() % 3),
            3..=8 => {
                let keys: BTreeMap<(usize, u64), Key> =
                    (0..random.below(6)).map(|_| key(random)).map(|key| ((key.0, key.1), key)).collect();
                // Not in the order of names.
                let mut keys: Vec<Key> = keys.into_values().collect();
                let turn = random.below(keys.len().max(1));
                keys.rotate_left(turn);
                let fallback = random.once_in(3).then(|| key(random));
                Command::Upload(slot(random), keys, fallback)
            }
            9..=15 => {
                let wants = (0..1 + random.below(4)).map(|_| (slot(random), random.below(ALGORITHMS.len())));
                Command::Claim(wants.collect())
            }
            16..=18 => Command::Counts(slot(random)),
            _ => Command::Query(random.below(USERS.len())),
        }
    }

    async fn begin(store: &Store) -> Self {
        let mut users = Vec::new();
        for name in USERS {
            users.push(store.user(name).await);
        }
        Self { users, devices: BTreeMap::new() }
    }

    async fn step(&mut self, store: &Store, command: &Command) -> Result<(), String> {
        match command {
            Command::Login(slot) => {
                let id = store.log_in(&self.users[slot.0], IDS[slot.1]).await;
                let new = Device {
                    id: id.clone(),
                    identity: None,
                    identities: 0,
                    pools: BTreeMap::new(),
                    spent: BTreeSet::new(),
                    fallback: BTreeMap::new(),
                };
                let device = self.devices.entry(*slot).or_insert(new);
                same("the device", &id, &device.id)
            }
            Command::Delete(slot) => {
                let selection = DeviceSelection::These(vec![IDS[slot.1].into()]);
                let deleted = store.delete_devices(&self.users[slot.0], selection).await.unwrap();
                same("deleted", deleted.len(), usize::from(self.devices.remove(slot).is_some()))
            }
            Command::Identity(slot, number) => {
                let Some(device) = self.devices.get_mut(slot) else { return Ok(()) };
                let device_keys = Some(identity_keys(&device.id, &number.to_string()));
                let changed = device.identity != Some(*number);
                if changed && device.identity.is_some() {
                    device.pools.clear();
                    device.fallback.clear();
                    device.identities += 1;
                }
                device.identity = Some(*number);
                let outcome = store.upload_keys(&device.id, KeysUpload { device_keys, ..nothing() }).await.unwrap();
                let UploadOutcome::Stored { counts, device_list_changed, .. } = outcome else {
                    return Err(format!("identity: {outcome:?}"));
                };
                same("a new identity", device_list_changed, changed)?;
                same("counts", (counts.one_time_keys, counts.unused_fallback_keys), device.counts())
            }
            Command::Upload(slot, keys, fallback) => self.upload(store, *slot, keys, fallback.as_ref()).await,
            Command::Claim(wants) => self.claim(store, wants).await,
            Command::Counts(slot) => {
                let Some(device) = self.devices.get(slot) else { return Ok(()) };
                let counts = store.key_counts(&device.id).await.unwrap();
                same("counts", (counts.one_time_keys, counts.unused_fallback_keys), device.counts())
            }
            Command::Query(user) => {
                let rows = store.keys_of(&self.users[*user], None).await.devices;
                let found: BTreeMap<String, RawJson> =
                    rows.into_iter().map(|row| (row.device_id.to_string(), row.keys)).collect();
                let keyed = self.devices.values().filter(|device| device.id.user_id == self.users[*user]);
                let expected = keyed.filter_map(|device| {
                    let identity = device.identity?.to_string();
                    Some((device.id.device_id.to_string(), identity_keys(&device.id, &identity)))
                });
                same("identity keys", found, expected.collect())
            }
        }
    }
}

impl Model {
    async fn upload(&mut self, store: &Store, slot: Slot, keys: &[Key], fallback: Option<&Key>) -> Result<(), String> {
        let Some(device) = self.devices.get_mut(&slot) else { return Ok(()) };
        let value = |id: u64, which: u64, signature: u64| one_time_key(id * 10 + which, &format!("s{signature}"));
        let mut upload = KeysUpload { pool_limit: POOL_LIMIT, ..nothing() };
        for (algorithm, id, which, signature) in keys {
            upload.one_time_keys.push((device.name(*algorithm, *id), value(*id, *which, *signature)));
        }
        if let Some((algorithm, id, which, signature)) = fallback {
            let key = fallback_key(id * 10 + which, &format!("s{signature}"));
            upload.fallback_keys.push((device.name(*algorithm, *id), key));
        }
        let outcome = store.upload_keys(&device.id, upload).await.unwrap();

        let conflicts: Vec<(String, RawJson, RawJson)> = keys
            .iter()
            .filter_map(|(algorithm, id, which, signature)| {
                let name = device.name(*algorithm, *id);
                let (stored, existing) = device.held(*algorithm, &name)?;
                (stored != *which).then(|| (name, existing, value(*id, *which, *signature)))
            })
            .collect();
        let (counts, device_list_changed) = match outcome {
            UploadOutcome::OneTimeKeyExists { key_name, existing, uploaded } => {
                let named = (key_name, existing, uploaded);
                return if conflicts.contains(&named) { Ok(()) } else { Err(format!("no conflict: {named:?}")) };
            }
            UploadOutcome::DeviceGone => return Err("the device is not gone".to_owned()),
            UploadOutcome::Stored { counts, device_list_changed, .. } => (counts, device_list_changed),
        };
        same("conflicts", Vec::new(), conflicts)?;
        same("the device list", device_list_changed, false)?;
        for (algorithm, id, which, signature) in keys {
            let name = device.name(*algorithm, *id);
            if device.held(*algorithm, &name).is_none() && !device.spent.contains(&name) {
                let value = value(*id, *which, *signature);
                device.pools.entry(*algorithm).or_default().push((name, *which, value));
            }
        }
        for pool in device.pools.values_mut() {
            let dropped = pool.drain(..pool.len().saturating_sub(POOL_LIMIT));
            device.spent.extend(dropped.map(|(name, ..)| name));
        }
        if let Some((algorithm, id, which, signature)) = fallback {
            let (name, content) = (device.name(*algorithm, *id), id * 10 + which);
            let stored = device.fallback.get(algorithm);
            if stored.is_none_or(|stored| stored.name != name || stored.content != content) {
                let value = fallback_key(content, &format!("s{signature}"));
                device.fallback.insert(*algorithm, Fallback { name, content, value, used: false });
            }
        }
        same("counts", (counts.one_time_keys, counts.unused_fallback_keys), device.counts())
    }

    async fn claim(&mut self, store: &Store, wants: &[(Slot, usize)]) -> Result<(), String> {
        let mut asked = Vec::new();
        let mut expected = Vec::new();
        for (slot, algorithm) in wants {
            let name = ALGORITHMS[*algorithm];
            let Some(device) = self.devices.get_mut(slot) else {
                let nobody =
                    DeviceRef { user_id: self.users[slot.0].clone(), device_id: IDS[slot.1].into(), generation: 0 };
                asked.push(want_of(&nobody, name));
                continue;
            };
            asked.push(want_of(&device.id, name));
            let owner = (device.id.user_id.to_string(), device.id.device_id.to_string());
            let pool = device.pools.entry(*algorithm).or_default();
            if !pool.is_empty() {
                let (name, _, value) = pool.remove(0);
                device.spent.insert(name.clone());
                expected.push((owner, name, value.to_string(), false));
            } else if let Some(key) = device.fallback.get_mut(algorithm) {
                key.used = true;
                expected.push((owner, key.name.clone(), key.value.to_string(), true));
            }
        }
        let claimed = store.claim_keys(&asked).await.unwrap();
        let mut claimed: Vec<_> = claimed
            .into_iter()
            .map(|key| {
                let owner = (key.user_id.to_string(), key.device_id.to_string());
                (owner, key.key_name, key.key.to_string(), key.fallback)
            })
            .collect();
        claimed.sort();
        expected.sort();
        same("claimed keys", claimed, expected)
    }
}
