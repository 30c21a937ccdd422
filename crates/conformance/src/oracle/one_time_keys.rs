//! Which keys claims have to get, and what the counts have to be (OTK-1…14, FBK-1…9).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a key is, but for its signatures: two keys of one name and one content are the same key.
pub type Content = u64;

/// What a claim got: the name of the key, what it is, and whether it is a fallback key.
pub type Claimed = Option<(String, Content, bool)>;

#[derive(Debug, Clone)]
struct Fallback {
    name: String,
    content: Content,
    used: bool,
}

#[derive(Debug, Clone, Default)]
struct Pool {
    /// Unclaimed keys in the order to hand out, with the upload each came in.
    keys: VecDeque<(u64, String, Content)>,
    claimed: BTreeSet<String>,
    fallback: Option<Fallback>,
}

/// The keys of one device.
#[derive(Debug, Clone, Default)]
pub struct Device {
    pools: BTreeMap<String, Pool>,
    uploads: u64,
}

/// What has to become of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upload {
    /// It is stored.
    Stored,
    /// It is refused, and the message names one of these keys (OTK-6).
    Exists(BTreeSet<String>),
}

impl Device {
    /// A device uploads keys of names with their algorithm, and perhaps a fallback key.
    pub fn upload(&mut self, keys: &BTreeMap<String, Content>, fallback: Option<(&str, Content)>) -> Upload {
        let held = |name: &String| {
            let pool = self.pools.get(algorithm(name))?;
            pool.keys.iter().find(|(_, held, _)| held == name).map(|(.., content)| *content)
        };
        let other = |(name, content): &(&String, &Content)| held(name).is_some_and(|held| held != **content);
        let conflicts: BTreeSet<String> = keys.iter().filter(other).map(|(name, _)| name.clone()).collect();
        if !conflicts.is_empty() {
            return Upload::Exists(conflicts);
        }
        self.uploads += 1;
        for (name, content) in keys {
            let pool = self.pools.entry(algorithm(name).to_owned()).or_default();
            if !pool.claimed.contains(name) && !pool.keys.iter().any(|(_, held, _)| held == name) {
                pool.keys.push_back((self.uploads, name.clone(), *content));
            }
        }
        if let Some((name, content)) = fallback {
            let pool = self.pools.entry(algorithm(name).to_owned()).or_default();
            let is_stored = |stored: &Fallback| stored.name == name && stored.content == content;
            if !pool.fallback.as_ref().is_some_and(is_stored) {
                pool.fallback = Some(Fallback { name: name.to_owned(), content, used: false });
            }
        }
        Upload::Stored
    }

    /// The device starts anew: it was deleted, or its identity keys changed.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Takes part in claims of one algorithm that were made at the same time, in whatever order.
    ///
    /// # Errors
    /// If no order of these claims gets these keys.
    pub fn claim(&mut self, algorithm: &str, mut got: Vec<Claimed>) -> Result<(), String> {
        let pool = self.pools.entry(algorithm.to_owned()).or_default();
        let place = |key: &Claimed| {
            let (name, ..) = key.as_ref()?;
            pool.keys.iter().find(|(_, held, _)| held == name).map(|(upload, ..)| *upload)
        };
        // One-time keys in the order of their uploads, then whatever else there is.
        got.sort_by_key(|key| place(key).unwrap_or(u64::MAX));
        got.iter().try_for_each(|key| pool.take(key))
    }

    /// Unclaimed keys by algorithm, without those that have none.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let pools = self.pools.iter().filter(|(_, pool)| !pool.keys.is_empty());
        pools.map(|(algorithm, pool)| (algorithm.clone(), u64::try_from(pool.keys.len()).unwrap_or(u64::MAX))).collect()
    }

    /// Algorithms with a fallback key that was not given out.
    #[must_use]
    pub fn unused_fallback_keys(&self) -> BTreeSet<String> {
        let unused = |pool: &Pool| pool.fallback.as_ref().is_some_and(|fallback| !fallback.used);
        self.pools.iter().filter(|(_, pool)| unused(pool)).map(|(algorithm, _)| algorithm.clone()).collect()
    }
}

impl Pool {
    /// A claim got this: it must be one of the keys of the oldest upload, or else the fallback key, or else nothing.
    fn take(&mut self, got: &Claimed) -> Result<(), String> {
        let Some((oldest, ..)) = self.keys.front().cloned() else {
            let Some(fallback) = &mut self.fallback else {
                return if got.is_none() { Ok(()) } else { Err(format!("{got:?} from an empty pool")) };
            };
            fallback.used = true;
            let expected = Some((fallback.name.clone(), fallback.content, true));
            return if *got == expected { Ok(()) } else { Err(format!("{got:?} instead of {expected:?}")) };
        };
        let Some((name, content, false)) = got else {
            return Err(format!("{got:?} with {} one-time keys left", self.keys.len()));
        };
        let position =
            self.keys.iter().position(|(upload, held, which)| *upload == oldest && held == name && which == content);
        let Some(position) = position else {
            let claimed = if self.claimed.contains(name) { ", claimed before" } else { "" };
            return Err(format!("{name} ({content}) is not one of the oldest upload{claimed}"));
        };
        self.keys.remove(position);
        self.claimed.insert(name.clone());
        Ok(())
    }
}

/// The algorithm in the name of a key.
fn algorithm(name: &str) -> &str {
    name.split_once(':').map_or(name, |(algorithm, _)| algorithm)
}
