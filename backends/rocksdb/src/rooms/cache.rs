//! Events that were read lately. An event never changes once it is stored, so the cache is never wrong.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    mem,
    sync::Arc,
};

use parking_lot::Mutex;
use ruma::{EventId, OwnedEventId};

use super::events::EventRow;

const SHARDS: usize = 16;

/// Bytes of events in the younger half of a shard; all halves of all shards together hold 32 MiB at most, but for the
/// last event in each.
const HALF_SHARD: usize = (32 << 20) / SHARDS / 2;

/// What an event takes besides its JSON, about.
const OVERHEAD: usize = 1024;

/// Two halves: what is read goes into the younger one, and when that is full the older one is dropped and takes its
/// place. So what was not read for long goes, and neither reads nor writes ever walk the cache.
#[derive(Default)]
struct Shard {
    young: HashMap<OwnedEventId, Arc<EventRow>>,
    old: HashMap<OwnedEventId, Arc<EventRow>>,
    bytes: usize,
}

impl Shard {
    fn put(&mut self, event_id: OwnedEventId, row: Arc<EventRow>) {
        let bytes = size(&row);
        if self.young.insert(event_id, row).is_none() {
            self.bytes += bytes;
        }
        if self.bytes > HALF_SHARD {
            self.old = mem::take(&mut self.young);
            self.bytes = 0;
        }
    }
}

/// The content is kept twice, alone and in the event.
fn size(row: &EventRow) -> usize {
    row.pdu.json().get().len() * 2 + OVERHEAD
}

/// Parsed events by id, bounded in bytes.
#[derive(Default)]
pub(crate) struct EventCache {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
}

impl EventCache {
    /// An event, if it is here.
    pub(super) fn get(&self, event_id: &EventId) -> Option<Arc<EventRow>> {
        let mut shard = self.shard(event_id)?.lock();
        if let Some(row) = shard.young.get(event_id) {
            return Some(Arc::clone(row));
        }
        let (event_id, row) = shard.old.remove_entry(event_id)?;
        shard.put(event_id, Arc::clone(&row));
        Some(row)
    }

    /// Keeps an event that was read.
    pub(super) fn put(&self, row: &Arc<EventRow>) {
        let event_id = row.pdu.event_id();
        if let Some(shard) = self.shard(event_id) {
            shard.lock().put(event_id.to_owned(), Arc::clone(row));
        }
    }

    fn shard(&self, event_id: &EventId) -> Option<&Mutex<Shard>> {
        let index = self.hasher.hash_one(event_id) % (SHARDS as u64);
        self.shards.get(usize::try_from(index).ok()?)
    }
}
