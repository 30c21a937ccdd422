//! A cache of what was read lately, bounded in weight.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    mem,
};

use parking_lot::Mutex;

const SHARDS: usize = 16;

/// Two halves: what is read goes into the younger one, and when that is full the older one is dropped and takes its
/// place. So what was not read for long goes, and neither reads nor writes ever walk the cache.
struct Shard<K, V> {
    young: HashMap<K, (V, usize)>,
    old: HashMap<K, (V, usize)>,
    weight: usize,
}

impl<K: Eq + Hash, V> Shard<K, V> {
    fn put(&mut self, key: K, value: V, weight: usize, most: usize) {
        let before = self.young.insert(key, (value, weight)).map_or(0, |(_, weight)| weight);
        self.weight = (self.weight + weight).saturating_sub(before);
        if self.weight > most {
            self.old = mem::take(&mut self.young);
            self.weight = 0;
        }
    }
}

/// See the module. Values are cheap to clone.
pub(crate) struct Lately<K, V> {
    shards: [Mutex<Shard<K, V>>; SHARDS],
    hasher: RandomState,
    half_shard: usize,
}

impl<K: Eq + Hash, V: Clone> Lately<K, V> {
    /// One that holds this weight at most, but for the last value in each of its parts.
    pub(crate) fn new(weight: usize) -> Self {
        let shard = |_| Mutex::new(Shard { young: HashMap::new(), old: HashMap::new(), weight: 0 });
        Self { shards: std::array::from_fn(shard), hasher: RandomState::new(), half_shard: weight / SHARDS / 2 }
    }

    /// A value, if it is here.
    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let mut shard = self.shard(key)?.lock();
        if let Some((value, _)) = shard.young.get(key) {
            return Some(value.clone());
        }
        let (key, (value, weight)) = shard.old.remove_entry(key)?;
        shard.put(key, value.clone(), weight, self.half_shard);
        Some(value)
    }

    /// Keeps a value that was read.
    pub(crate) fn put(&self, key: K, value: V, weight: usize) {
        if let Some(shard) = self.shard(&key) {
            shard.lock().put(key, value, weight, self.half_shard);
        }
    }

    fn shard<Q: Hash + ?Sized>(&self, key: &Q) -> Option<&Mutex<Shard<K, V>>> {
        let index = self.hasher.hash_one(key) % (SHARDS as u64);
        self.shards.get(usize::try_from(index).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_stays_and_the_rest_goes() {
        let lately = Lately::new(32 * SHARDS);
        for number in 0..10_000 {
            lately.put(number, number, 1);
            assert_eq!(lately.get(&0), Some(0), "it is read all the time");
        }
        let kept = (0..10_000).filter(|number| lately.get(number).is_some()).count();
        assert!((1..=32 * SHARDS + SHARDS).contains(&kept), "{kept}");
    }
}
