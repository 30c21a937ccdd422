//! The model of changes of device lists: a log of who changed between which horizons.

use std::collections::{BTreeMap, BTreeSet};

use olmstead_domain::position::{Cursor, Position};
use olmstead_storage::{
    cross_signing::{CrossSigningKeys, NewSignature, PutCrossSigningOutcome, SignatureTarget},
    devices::{DeviceRef, DeviceSelection},
    sync::SyncQuery,
};
use ruma::{OwnedUserId, UserId};

use super::{StoreModel, same};
use crate::{
    Store,
    random::Random,
    support::keys::{cross_signing_key, public_key},
};

const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];
const IDS: [&str; 2] = ["A", "B"];

type Slot = (usize, usize);

#[derive(Debug, Clone)]
pub(crate) enum Command {
    Login(Slot),
    Delete(Slot),
    DeleteAll(usize),
    Identity(Slot, u64),
    OneTime(Slot),
    Claim(Slot),
    Rename(Slot),
    /// Numbers of the master, self-signing and user-signing key.
    CrossSign(usize, [u64; 3]),
    SignDevice(Slot),
    SignMaster(Slot),
    SignOther(usize, usize),
    /// Reads the changes between two of the horizons noted so far.
    Read(usize, usize),
}

struct Device {
    id: DeviceRef,
    identity: Option<u64>,
}

/// What was written between a horizon and the next one.
#[derive(Debug, Default, Clone)]
struct Entry {
    changed: Option<OwnedUserId>,
    /// Whom it names to whom alone.
    alone: Option<(OwnedUserId, OwnedUserId)>,
    /// Whether the store may name it alone, but need not.
    may_be_left_out: bool,
}

pub(crate) struct Model {
    users: Vec<OwnedUserId>,
    /// A device of each user that syncs and is never deleted.
    readers: Vec<DeviceRef>,
    devices: BTreeMap<Slot, Device>,
    cross_signing: BTreeMap<usize, [u64; 3]>,
    horizons: Vec<Position>,
    /// What was written from the horizon of the same index on.
    log: Vec<Entry>,
    written: u64,
}

fn slot(random: &mut Random) -> Slot {
    (random.below(USERS.len()), random.below(IDS.len()))
}

impl StoreModel for Model {
    type Command = Command;

    fn command(random: &mut Random) -> Command {
        let user = random.below(USERS.len());
        match random.below(24) {
            0..=3 => Command::Login(slot(random)),
            4 => Command::Delete(slot(random)),
            5 if random.once_in(2) => Command::DeleteAll(user),
            5..=8 => Command::Identity(slot(random), random.number() % 2),
            9 => Command::OneTime(slot(random)),
            10 => Command::Claim(slot(random)),
            11 => Command::Rename(slot(random)),
            12..=14 => Command::CrossSign(user, [random.number() % 2, random.number() % 2, random.number() % 3]),
            15 => Command::SignDevice(slot(random)),
            16 => Command::SignMaster(slot(random)),
            17 | 18 => Command::SignOther(user, random.below(USERS.len())),
            _ => Command::Read(random.below(1_000), random.below(1_000)),
        }
    }

    async fn begin(store: &Store) -> Self {
        let (mut users, mut readers) = (Vec::new(), Vec::new());
        for name in USERS {
            let user = store.user(name).await;
            readers.push(store.log_in(&user, "READER").await);
            users.push(user);
        }
        let horizons = vec![store.position().await];
        Self {
            users,
            readers,
            devices: BTreeMap::new(),
            cross_signing: BTreeMap::new(),
            horizons,
            log: Vec::new(),
            written: 0,
        }
    }

    async fn step(&mut self, store: &Store, command: &Command) -> Result<(), String> {
        if let Command::Read(a, b) = command {
            let (a, b) = (a % self.horizons.len(), b % self.horizons.len());
            return self.read(store, a.min(b), a.max(b)).await;
        }
        self.written += 1;
        let entry = self.write(store, command).await?;
        self.log.push(entry);
        self.horizons.push(store.position().await);
        let last = self.log.len();
        self.read(store, last - 1, last).await
    }
}

impl Model {
    /// Compares what the store tells of a span with the log.
    async fn read(&self, store: &Store, from: usize, to: usize) -> Result<(), String> {
        let span = &self.log[from..to];
        let (start, end) = (self.horizons[from], self.horizons[to]);
        let told = store.device_list_changes(start, end).await.unwrap();
        let users: BTreeSet<OwnedUserId> = told.iter().cloned().collect();
        same("users told once", told.len(), users.len())?;
        // One row a user: a user who changed again later is found there.
        let later: BTreeSet<&OwnedUserId> = self.log[to..].iter().filter_map(|entry| entry.changed.as_ref()).collect();
        let expected: BTreeSet<OwnedUserId> = span.iter().filter_map(|entry| entry.changed.clone()).collect();
        let missing: Vec<_> = expected.difference(&users).filter(|user| !later.contains(user)).collect();
        let more: Vec<_> = users.difference(&expected).collect();
        same("users that are missing, users that are too many", (missing, more), (Vec::new(), Vec::new()))?;
        if to != self.log.len() {
            return Ok(());
        }
        for (user, device) in self.users.iter().zip(&self.readers) {
            let query =
                SyncQuery { device: device.clone(), since: Some(start), inbox_from: Cursor::START, inbox_limit: 1 };
            let facts = store.sync_facts(&query).await.unwrap().ok_or("the reader is there")?;
            let told: BTreeSet<OwnedUserId> = facts.own_device_lists.iter().cloned().collect();
            let of = |entry: &&Entry| entry.alone.as_ref().is_some_and(|(to, _)| to == user);
            let named = |entry: &Entry| entry.alone.clone().map(|(_, named)| named);
            let all: BTreeSet<_> = span.iter().filter(of).filter_map(named).collect();
            let must: BTreeSet<_> = span.iter().filter(|e| of(e) && !e.may_be_left_out).filter_map(named).collect();
            let missing: Vec<_> = must.difference(&told).collect();
            let more: Vec<_> = told.difference(&all).collect();
            same(&format!("to {user} alone: missing, too many"), (missing, more), (Vec::new(), Vec::new()))?;
            let lists: BTreeSet<OwnedUserId> = facts.device_lists.into_iter().collect();
            same("device lists of a sync", lists, expected.clone())?;
        }
        Ok(())
    }

    async fn write(&mut self, store: &Store, command: &Command) -> Result<Entry, String> {
        let changed =
            |user: &UserId, changed: bool| Ok(Entry { changed: changed.then(|| user.to_owned()), ..Entry::default() });
        match command {
            Command::Login(slot) => {
                let id = store.log_in(&self.users[slot.0], IDS[slot.1]).await;
                self.devices.entry(*slot).or_insert(Device { id, identity: None });
                Ok(Entry::default())
            }
            Command::Delete(slot) => {
                let user = &self.users[slot.0];
                let selection = DeviceSelection::These(vec![IDS[slot.1].into()]);
                store.delete_devices(user, selection).await.unwrap();
                let keyed = self.devices.remove(slot).is_some_and(|device| device.identity.is_some());
                changed(user, keyed)
            }
            Command::DeleteAll(user) => {
                let id = &self.users[*user];
                store.delete_devices(id, DeviceSelection::AllBut("READER".into())).await.unwrap();
                let mut keyed = false;
                self.devices.retain(|(owner, _), device| {
                    keyed |= owner == user && device.identity.is_some();
                    owner != user
                });
                changed(id, keyed)
            }
            Command::Identity(slot, number) => {
                let Some(device) = self.devices.get_mut(slot) else { return Ok(Entry::default()) };
                let is_new = device.identity.replace(*number) != Some(*number);
                let told = store.upload_identity(&device.id, &number.to_string()).await;
                same("the device list changed", told, is_new)?;
                changed(&device.id.user_id, is_new)
            }
            Command::OneTime(slot) => {
                let Some(device) = self.devices.get(slot) else { return Ok(Entry::default()) };
                store.upload_one_time(&device.id, [self.written]).await;
                Ok(Entry::default())
            }
            Command::Claim(slot) => {
                let Some(device) = self.devices.get(slot) else { return Ok(Entry::default()) };
                store.claim(&device.id).await;
                Ok(Entry::default())
            }
            Command::Rename(slot) => {
                let Some(device) = self.devices.get(slot) else { return Ok(Entry::default()) };
                let (user, name) = (&device.id.user_id, Some(format!("name {}", self.written)));
                store.set_device_name(user, &device.id.device_id, name).await.unwrap();
                changed(user, device.identity.is_some())
            }
            Command::CrossSign(user, keys) => self.cross_sign(store, *user, *keys).await,
            Command::SignDevice(slot) => {
                let Some(device) = self.devices.get(slot) else { return Ok(Entry::default()) };
                let user = device.id.user_id.clone();
                let target = SignatureTarget::Device(user.clone(), device.id.device_id.clone());
                let Some(object) = store.identity_of(&device.id).await else {
                    same("no identity keys", device.identity, None)?;
                    return Ok(Entry::default());
                };
                self.sign(store, target, object, &user, "SELFSIGNING").await?;
                changed(&user, true)
            }
            Command::SignMaster(slot) => {
                let Some(device) = self.devices.get(slot) else { return Ok(Entry::default()) };
                if device.identity.is_none() || !self.cross_signing.contains_key(&slot.0) {
                    return Ok(Entry::default());
                }
                let user = device.id.user_id.clone();
                let object = store.cross_signing_keys(&user).await.unwrap().master.ok_or("no master key")?;
                let target = SignatureTarget::MasterKey(user.clone());
                self.sign(store, target, object, &user, device.id.device_id.as_str()).await?;
                changed(&user, true)
            }
            Command::SignOther(signer, target) => {
                if signer == target || !self.cross_signing.contains_key(target) {
                    return Ok(Entry::default());
                }
                let (signer, target) = (&self.users[*signer], &self.users[*target]);
                let object = store.cross_signing_keys(target).await.unwrap().master.ok_or("no master key")?;
                self.sign(store, SignatureTarget::MasterKey(target.clone()), object, signer, "USERSIGNING").await?;
                Ok(Entry { alone: Some((signer.clone(), target.clone())), ..Entry::default() })
            }
            Command::Read(..) => Ok(Entry::default()),
        }
    }

    async fn sign(
        &self,
        store: &Store,
        target: SignatureTarget,
        object: olmstead_domain::json::RawJson,
        signer: &UserId,
        key: &str,
    ) -> Result<(), String> {
        let signature = NewSignature {
            target,
            verified_against: object,
            signer: signer.to_owned(),
            key_id: format!("ed25519:{key}"),
            signature: format!("signature {}", self.written),
        };
        same("a signature", store.add_signatures(vec![signature]).await.unwrap(), vec![true])
    }

    async fn cross_sign(&mut self, store: &Store, user: usize, keys: [u64; 3]) -> Result<Entry, String> {
        let old = self.cross_signing.insert(user, keys);
        if old == Some(keys) {
            return Ok(Entry::default());
        }
        let id = &self.users[user];
        let number = |role: u64, which: u64| u64::try_from(user).unwrap() * 100 + role * 10 + which;
        let public = [number(0, keys[0]), number(1, keys[1]), number(2, keys[2])].map(public_key);
        let stored = store.cross_signing_keys(id).await.unwrap();
        // A key that stays keeps its object with the signatures on it.
        let key = |at: usize, usage: &str, stored: &Option<olmstead_domain::json::RawJson>| match stored {
            Some(stored) if old.is_some_and(|old| old[at] == keys[at] && old[0] == keys[0]) => Some(stored.clone()),
            _ => Some(cross_signing_key(id, usage, &public[at], (at > 0).then_some(&public[0]))),
        };
        let new = CrossSigningKeys {
            revision: 0,
            master: key(0, "master", &stored.master),
            self_signing: key(1, "self_signing", &stored.self_signing),
            user_signing: key(2, "user_signing", &stored.user_signing),
        };
        let outcome = store.put_cross_signing_keys(id, stored.revision, new, public.to_vec()).await.unwrap();
        same("cross-signing keys", outcome, PutCrossSigningOutcome::Stored)?;
        let seen = old.is_none_or(|old| old[..2] != keys[..2]);
        Ok(Entry { changed: seen.then(|| id.clone()), alone: Some((id.clone(), id.clone())), may_be_left_out: seen })
    }
}
