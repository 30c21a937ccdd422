//! The one-time and fallback keys of a device.
//!
//! A pool is a queue: keys get numbers from `next` up and leave from `first` on, by a claim or by the cap. So the count is
//! a difference, the oldest key is found by its number, and no read ever passes over what was deleted. The ids of keys
//! that left are remembered from `spent` to `first` (OTK-3). Keys of the pools family, after user, device, generation:
//!
//! | part | rest | value |
//! |---|---|---|
//! | 0 | algorithm | head: first, next, spent, memory |
//! | 1 | algorithm, number | key id and key |
//! | 2 | algorithm, key id | number |
//! | 3 | algorithm, number | key id of a key that left |
//! | 4 | algorithm | fallback key |
//! | 5 | | position of the last change of the counts |

use std::collections::{BTreeMap, BTreeSet};

use olmstead_domain::{
    json::RawJson,
    keys::{
        StoredFallback,
        fallback::{self, FallbackUpload},
        one_time::{Admit, admit},
    },
    position::Position,
};
use olmstead_storage::{Result, StorageError, changes::ChangeKey, devices::DeviceRef, keys::KeyCounts};

use crate::{
    command::Command,
    keys::{Key, Table},
    reads::{Reads, Span, View, json},
    store::Inner,
};

const HEAD: u8 = 0;
const KEY: u8 = 1;
const ID: u8 = 2;
const SPENT: u8 = 3;
const FALLBACK: u8 = 4;
const CHANGED: u8 = 5;

/// The head of a pool. `spent <= first <= next`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Head {
    first: u64,
    next: u64,
    spent: u64,
    /// How many ids of keys that left are remembered.
    memory: u64,
}

impl Head {
    const fn count(self) -> u64 {
        self.next.saturating_sub(self.first)
    }

    fn to_bytes(self) -> Vec<u8> {
        [self.first, self.next, self.spent, self.memory].iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (numbers, rest) = bytes.as_chunks::<8>();
        match numbers {
            [first, next, spent, memory] if rest.is_empty() => Ok(Self {
                first: u64::from_be_bytes(*first),
                next: u64::from_be_bytes(*next),
                spent: u64::from_be_bytes(*spent),
                memory: u64::from_be_bytes(*memory),
            }),
            _ => Err(StorageError::damaged("the head of a pool of one-time keys")),
        }
    }
}

fn part(device: &DeviceRef, part: u8) -> Key {
    Key::new(Table::Pool).device(device).u8(part)
}

fn pool_part(device: &DeviceRef, which: u8, algorithm: &str) -> Key {
    part(device, which).text(algorithm)
}

/// A key that was taken.
pub(crate) struct Taken {
    pub(crate) key_name: String,
    pub(crate) key: RawJson,
    pub(crate) fallback: bool,
}

/// A key that cannot be stored, because another has its name.
pub(crate) struct Taker {
    pub(crate) key_name: String,
    pub(crate) existing: RawJson,
    pub(crate) uploaded: RawJson,
}

/// The heads and fallback keys of a device, by algorithm.
#[derive(Default)]
pub(crate) struct Pools {
    heads: BTreeMap<String, Head>,
    fallbacks: BTreeMap<String, StoredFallback>,
}

impl Pools {
    /// Reads them; the cost grows with the number of algorithms only.
    pub(crate) fn read(reads: &impl Reads, device: &DeviceRef) -> Result<Self> {
        let mut pools = Self::default();
        let prefix = part(device, HEAD);
        for row in reads.scan(Span::prefix(&prefix))? {
            let (key, value) = row?;
            pools.heads.insert(prefix.parts_after(&key)?.text()?, Head::from_bytes(&value)?);
        }
        let prefix = part(device, FALLBACK);
        for row in reads.scan(Span::prefix(&prefix))? {
            let (key, value) = row?;
            pools.fallbacks.insert(prefix.parts_after(&key)?.text()?, json(Table::Pool, &value)?);
        }
        Ok(pools)
    }

    /// What clients are told.
    pub(crate) fn counts(&self) -> KeyCounts {
        let counts = self.heads.iter().map(|(algorithm, head)| (algorithm.clone(), head.count()));
        let unused = self.fallbacks.iter().filter(|(_, key)| !key.used);
        KeyCounts {
            one_time_keys: counts.filter(|(_, count)| *count > 0).collect(),
            unused_fallback_keys: unused.map(|(algorithm, _)| algorithm.clone()).collect(),
        }
    }

    /// All fallback keys, and whether each was given out.
    pub(crate) fn fallback_keys(&self) -> BTreeMap<String, bool> {
        self.fallbacks.iter().map(|(algorithm, key)| (algorithm.clone(), key.used)).collect()
    }

    /// Drops all keys of a device, and what is remembered of them.
    pub(crate) fn clear(&mut self, command: &mut Command<'_>, device: &DeviceRef) -> Result<()> {
        if command.delete_each(Span::prefix(&Key::new(Table::Pool).device(device)))? > 0 {
            counts_changed(command, device)?;
        }
        *self = Self::default();
        Ok(())
    }

    /// Adds one-time keys in their order. Gives the first that cannot be stored; the command is then to be discarded.
    pub(crate) fn add(
        &mut self,
        command: &mut Command<'_>,
        device: &DeviceRef,
        keys: &[(String, RawJson)],
        limit: usize,
        memory: usize,
    ) -> Result<Option<Taker>> {
        let mut touched = BTreeSet::new();
        for (key_name, key) in keys {
            let (algorithm, key_id) = key_name.split_once(':').unwrap_or((key_name, ""));
            let head = self.heads.entry(algorithm.to_owned()).or_default();
            head.memory = memory as u64;
            let id = pool_part(device, ID, algorithm).text(key_id);
            let known = command.get_u64(&id)?;
            let unclaimed = match known {
                Some(number) if number >= head.first => Some(read_key(command, device, algorithm, number)?.1),
                _ => None,
            };
            match admit(unclaimed.as_ref(), known.is_some(), key) {
                Admit::Store => {
                    let row = (key_id, key);
                    command.put_json(&pool_part(device, KEY, algorithm).u64(head.next), &row)?;
                    command.put_u64(&id, head.next)?;
                    head.next += 1;
                    touched.insert(algorithm.to_owned());
                }
                Admit::AlreadyThere | Admit::AlreadyClaimed => {}
                Admit::Conflict => {
                    let existing = unclaimed.unwrap_or_else(|| key.clone());
                    return Ok(Some(Taker { key_name: key_name.clone(), existing, uploaded: key.clone() }));
                }
            }
        }
        for (algorithm, head) in self.heads.iter_mut().filter(|(algorithm, _)| touched.contains(*algorithm)) {
            // Not before all are judged: the keys of one upload meet the same pool.
            while head.count() > limit as u64 {
                leave(command, device, algorithm, head)?;
            }
            command.put(&pool_part(device, HEAD, algorithm), head.to_bytes())?;
        }
        if touched.is_empty() { Ok(None) } else { counts_changed(command, device).map(|()| None) }
    }

    /// Sets fallback keys (FBK-1, FBK-5).
    pub(crate) fn set_fallbacks(
        &mut self,
        command: &mut Command<'_>,
        device: &DeviceRef,
        keys: &[(String, RawJson)],
    ) -> Result<()> {
        for (key_name, key) in keys {
            let (algorithm, key_id) = key_name.split_once(':').unwrap_or((key_name, ""));
            match fallback::replace(self.fallbacks.get(algorithm), key_id, key) {
                FallbackUpload::Unchanged => {}
                FallbackUpload::Replace(stored) => {
                    command.put_json(&pool_part(device, FALLBACK, algorithm), &stored)?;
                    self.fallbacks.insert(algorithm.to_owned(), stored);
                    counts_changed(command, device)?;
                }
            }
        }
        Ok(())
    }
}

/// Takes the key of an algorithm that was uploaded first, else the fallback key, which is marked used.
pub(crate) fn take(
    command: &mut Command<'_>,
    device: &DeviceRef,
    algorithm: &str,
    spares: bool,
) -> Result<Option<Taken>> {
    let fallback_key = pool_part(device, FALLBACK, algorithm);
    let spares = spares && command.has(&fallback_key)?;
    let head_key = pool_part(device, HEAD, algorithm);
    let head = command.get(&head_key)?.map(|head| Head::from_bytes(&head)).transpose()?.unwrap_or_default();
    if head.count() > 0 && !spares {
        let mut head = head;
        let (key_id, key) = leave(command, device, algorithm, &mut head)?;
        command.put(&head_key, head.to_bytes())?;
        counts_changed(command, device)?;
        return Ok(Some(Taken { key_name: format!("{algorithm}:{key_id}"), key, fallback: false }));
    }
    let Some(mut stored) = command.get_json::<StoredFallback>(&fallback_key)? else { return Ok(None) };
    if !stored.used {
        stored.used = true;
        command.put_json(&fallback_key, &stored)?;
        counts_changed(command, device)?;
    }
    Ok(Some(Taken { key_name: format!("{algorithm}:{}", stored.key_id), key: stored.value, fallback: true }))
}

/// All one-time keys of a device leave their pools, as if they had been claimed, and its fallback keys count as given out.
/// How many one-time keys there were. The device is told in any case, since it may not know what it should.
pub(crate) fn spend(command: &mut Command<'_>, device: &DeviceRef) -> Result<u64> {
    let pools = Pools::read(command, device)?;
    let spent = leave_all(command, device, pools.heads)?;
    for (algorithm, mut fallback) in pools.fallbacks.into_iter().filter(|(_, fallback)| !fallback.used) {
        fallback.used = true;
        command.put_json(&pool_part(device, FALLBACK, &algorithm), &fallback)?;
    }
    counts_changed(command, device)?;
    Ok(spent)
}

/// All one-time keys of all devices leave their pools, as if they had been claimed. On disk with the next durable write.
pub(crate) fn drop_one_time_keys(inner: &Inner) -> Result<()> {
    let table = Key::new(Table::Pool);
    let mut devices = BTreeSet::new();
    for row in View::now(inner.engine(), false).scan(Span::prefix(&table))? {
        let (key, _) = row?;
        let mut parts = table.parts_after(&key)?;
        let device = (parts.text()?, parts.text()?, parts.u64()?);
        if parts.u8()? == HEAD {
            devices.insert(device);
        }
    }
    for (user_id, device_id, generation) in devices {
        let user_id = user_id.try_into().map_err(|_| StorageError::damaged("a user id of a pool"))?;
        let device = DeviceRef { user_id, device_id: device_id.into(), generation };
        let mut command = Command::new(inner, false);
        let heads = Pools::read(&command, &device)?.heads;
        leave_all(&mut command, &device, heads)?;
        counts_changed(&mut command, &device)?;
        command.commit_relaxed()?;
    }
    Ok(())
}

/// All keys leave the pools of these heads. How many there were.
fn leave_all(command: &mut Command<'_>, device: &DeviceRef, heads: BTreeMap<String, Head>) -> Result<u64> {
    let mut left = 0;
    for (algorithm, mut head) in heads {
        left += head.count();
        while head.count() > 0 {
            leave(command, device, &algorithm, &mut head)?;
        }
        command.put(&pool_part(device, HEAD, &algorithm), head.to_bytes())?;
    }
    Ok(left)
}

/// The position of the last change of a device's counts.
pub(crate) fn counts_changed_at(reads: &impl Reads, device: &DeviceRef) -> Result<Position> {
    Ok(Position(reads.get_u64(&part(device, CHANGED))?.unwrap_or_default()))
}

fn counts_changed(command: &mut Command<'_>, device: &DeviceRef) -> Result<()> {
    let position = command.position()?;
    command.put_u64(&part(device, CHANGED), position.0)?;
    command.change(ChangeKey::Device(device.user_id.clone(), device.device_id.clone()))
}

fn read_key(reads: &impl Reads, device: &DeviceRef, algorithm: &str, number: u64) -> Result<(String, RawJson)> {
    reads
        .get_json(&pool_part(device, KEY, algorithm).u64(number))?
        .ok_or_else(|| StorageError::damaged(format!("one-time key {number} of a pool is missing")))
}

/// The first key leaves its pool for good; its id is remembered, and the oldest that are too many are forgotten.
fn leave(command: &mut Command<'_>, device: &DeviceRef, algorithm: &str, head: &mut Head) -> Result<(String, RawJson)> {
    let (key_id, key) = read_key(command, device, algorithm, head.first)?;
    command.delete(&pool_part(device, KEY, algorithm).u64(head.first))?;
    command.put(&pool_part(device, SPENT, algorithm).u64(head.first), key_id.as_bytes())?;
    head.first += 1;
    while head.first - head.spent > head.memory {
        let spent = pool_part(device, SPENT, algorithm).u64(head.spent);
        if let Some(id) = command.get(&spent)? {
            command.delete(&pool_part(device, ID, algorithm).text(String::from_utf8_lossy(&id)))?;
        }
        command.delete(&spent)?;
        head.spent += 1;
    }
    Ok((key_id, key))
}
