//! What is known of the current state of busy rooms, so that sending a message costs one read and one append.
//!
//! State is a function of the forward extremities, and event ids are hashes: what was read under a set of extremities
//! holds as long as these are the room's extremities, and nothing has to be emptied. State is read as of now, so it can
//! be newer than the extremities it is kept under; then an append has moved them meanwhile, and one that was built on
//! the old ones is refused as a conflict.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

use olmstead_domain::rooms::Pdu;
use olmstead_storage::rooms::StateSelection;
use parking_lot::Mutex;
use ruma::{OwnedEventId, OwnedRoomId, RoomId};

use super::{StateKey, render::as_shown};
use crate::{Context, Result};

/// Rooms kept.
const ROOMS: u64 = 10_000;
/// State entries kept of one room; more start it afresh.
const ENTRIES: usize = 2_000;

/// State entries by type and key; `None` where the room has none.
pub(crate) type Known = HashMap<StateKey, Option<Pdu>>;

/// What is known of one room under one set of extremities.
pub(crate) struct Entry {
    extremities: Vec<OwnedEventId>,
    known: Arc<Mutex<Known>>,
}

/// The cache of all rooms, with a lock each so that appends of one process wait for each other instead of colliding.
pub(crate) struct RoomStates {
    entries: moka::sync::Cache<OwnedRoomId, Arc<Entry>>,
    locks: moka::sync::Cache<OwnedRoomId, Arc<tokio::sync::Mutex<()>>>,
}

impl Default for RoomStates {
    fn default() -> Self {
        Self { entries: moka::sync::Cache::new(ROOMS), locks: moka::sync::Cache::new(ROOMS) }
    }
}

impl fmt::Debug for RoomStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomStates").field("rooms", &self.entries.entry_count()).finish_non_exhaustive()
    }
}

impl RoomStates {
    /// The lock of a room. Two may exist after a room was evicted: the append itself is what decides.
    pub(crate) fn lock(&self, room_id: &RoomId) -> Arc<tokio::sync::Mutex<()>> {
        self.locks.get_with_by_ref(room_id, Arc::default)
    }

    /// Forgets what is known of all rooms.
    pub(crate) fn forget_all(&self) {
        self.entries.invalidate_all();
    }

    /// What is known under these extremities.
    pub(crate) fn entry(&self, room_id: &RoomId, extremities: &[OwnedEventId]) -> Arc<Entry> {
        if let Some(entry) = self.entries.get(room_id).filter(|entry| entry.extremities == extremities) {
            return entry;
        }
        let entry = Arc::new(Entry { extremities: extremities.to_vec(), known: Arc::default() });
        self.entries.insert(room_id.to_owned(), Arc::clone(&entry));
        entry
    }

    /// Goes on from `entry` to the extremities after an append that set `changed`.
    pub(crate) fn advance(&self, room_id: &RoomId, entry: &Entry, extremities: Vec<OwnedEventId>, changed: Known) {
        let known = if changed.is_empty() {
            Arc::clone(&entry.known)
        } else {
            let mut known = entry.known.lock().clone();
            known.extend(changed);
            Arc::new(Mutex::new(known))
        };
        self.entries.insert(room_id.to_owned(), Arc::new(Entry { extremities, known }));
    }

    /// Starts a new room with its whole state.
    pub(crate) fn begin(&self, room_id: &RoomId, extremities: Vec<OwnedEventId>, state: Known) {
        self.entries.insert(room_id.to_owned(), Arc::new(Entry { extremities, known: Arc::new(Mutex::new(state)) }));
    }
}

impl Entry {
    /// Puts the state entries asked for into `into`, unless they are there; reads from the store what is not known yet.
    pub(crate) async fn load(
        &self,
        cx: &Context,
        room_id: &RoomId,
        keys: impl IntoIterator<Item = StateKey>,
        into: &mut Known,
    ) -> Result<()> {
        let mut missing: HashSet<StateKey> = HashSet::new();
        {
            let known = self.known.lock();
            for key in keys {
                if into.contains_key(&key) {
                    continue;
                }
                match known.get(&key) {
                    Some(value) => {
                        into.insert(key, value.clone());
                    }
                    None => {
                        missing.insert(key);
                    }
                }
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let selection = StateSelection::These(missing.iter().cloned().collect());
        let mut found: Known = missing.into_iter().map(|key| (key, None)).collect();
        for event in cx.storage.state(room_id, None, selection).await? {
            if let Some(state_key) = event.pdu.state_key() {
                let key = (event.pdu.kind().to_owned(), state_key.to_owned());
                found.insert(key, as_shown(&event));
            }
        }
        let mut known = self.known.lock();
        if known.len() + found.len() > ENTRIES {
            known.clear();
        }
        known.extend(found.clone());
        drop(known);
        into.extend(found);
        Ok(())
    }
}
