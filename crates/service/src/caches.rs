//! Caches. Other nodes write to the store too, and a client that was answered by one may ask another at once. So each
//! cache holds what cannot change under its key, or says how far in the stream it is right and is used only if the read
//! that a request makes anyway shows that nothing came after. That the tailer drops an entry a moment later is not enough
//! for what is answered: what it drops serves wake-ups, which may come in vain or be made up for.

use std::{collections::HashMap, fmt, sync::Arc};

use moka::sync::Cache;
use olmstead_domain::{
    filter::Filter,
    position::{Cursor, Position},
};
use parking_lot::Mutex;
use ruma::{OwnedRoomId, OwnedUserId};

use crate::{
    media::thumbnail::{Method, Thumbnail},
    rooms::state_cache::RoomStates,
    sync::UserSettings,
    unread::Counted,
};

/// Bytes of thumbnails kept in memory.
const THUMBNAIL_BYTES: u64 = 32 * 1024 * 1024;

/// Users in all cached member lists together.
const MEMBERS: u64 = 2_000_000;
/// Filters, settings.
const USERS: u64 = 20_000;
/// Rooms of which something small is known.
const ROOMS: u64 = 100_000;
/// Unread marks in all cached counts together.
const MARKS: u64 = 1_000_000;

/// What a thumbnail was made of. Media never changes under its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ThumbnailKey {
    /// The image.
    pub media_id: String,
    /// Pixels wanted.
    pub width: u32,
    /// Pixels wanted.
    pub height: u32,
    /// How it gets to its size.
    pub method: Method,
    /// Whether it may move.
    pub animated: bool,
}

/// All caches of a server.
pub struct Caches {
    /// Thumbnails made lately.
    pub thumbnails: Cache<ThumbnailKey, Thumbnail>,
    /// What is known of the current state of rooms.
    pub(crate) room_states: RoomStates,
    /// Stored filters, which never change, by owner and id.
    pub(crate) filters: Cache<(OwnedUserId, String), Arc<Filter>>,
    /// Joined members of rooms. Only the tailer reads it, and it drops a list when it meets a change of it.
    pub(crate) members: Cache<OwnedRoomId, Arc<[OwnedUserId]>>,
    /// Push rules and ignored users, each as of a place in the stream. The read that a sync begins with says when they
    /// changed last.
    pub(crate) settings: Cache<OwnedUserId, Arc<UserSettings>>,
    /// Unread counts, each with the place up to which it counted and that up to which it knows receipts.
    pub(crate) unread: Cache<(OwnedUserId, OwnedRoomId), Arc<Counted>>,
    /// By the place of a room's last event, where the last one is that makes it recent.
    pub(crate) spoken: Cache<OwnedRoomId, (Position, Position)>,
    /// By the place of a user's member event in a room, where they came into it.
    pub(crate) joined: Cache<(OwnedUserId, OwnedRoomId), (Cursor, Position)>,
    /// The types of rooms, which never change.
    pub(crate) room_types: Cache<OwnedRoomId, Option<String>>,
    /// Users who sync here. What counts is in the store; this spares writing what it says already.
    pub(crate) present: Mutex<HashMap<OwnedUserId, Present>>,
}

/// What this process said of a user's presence.
#[derive(Debug, Clone)]
pub(crate) struct Present {
    /// `online` or `unavailable`.
    pub(crate) state: &'static str,
    /// When the user last synced here, milliseconds.
    pub(crate) seen_at: u64,
    /// Nobody else has changed the user's presence since, as far as is known here.
    pub(crate) noted: bool,
}

impl Default for Caches {
    fn default() -> Self {
        let weigh =
            |_: &ThumbnailKey, thumbnail: &Thumbnail| u32::try_from(thumbnail.content.len()).unwrap_or(u32::MAX);
        Self {
            thumbnails: Cache::builder().max_capacity(THUMBNAIL_BYTES).weigher(weigh).build(),
            room_states: RoomStates::default(),
            filters: Cache::new(USERS),
            members: Cache::builder()
                .max_capacity(MEMBERS)
                .weigher(|_, members: &Arc<[OwnedUserId]>| weight(members.len()))
                .build(),
            settings: Cache::new(USERS),
            unread: Cache::builder()
                .max_capacity(MARKS)
                .weigher(|_, counted: &Arc<Counted>| weight(counted.len()))
                .build(),
            spoken: Cache::new(ROOMS),
            joined: Cache::new(ROOMS),
            room_types: Cache::new(ROOMS),
            present: Mutex::default(),
        }
    }
}

impl Caches {
    /// Forgets what the tailer has to keep up to date: a span of the stream was not seen.
    pub(crate) fn forget_derived(&self, upto: Position) {
        tracing::debug!(position = upto.0, "a span of changes was not seen, caches start afresh");
        self.members.invalidate_all();
        self.present.lock().values_mut().for_each(|entry| entry.noted = false);
    }

    /// Forgets everything: the store was restored from a copy, so positions and ids stand for other things.
    pub(crate) fn forget_all(&self) {
        tracing::warn!("the store is in another life, caches start afresh");
        self.thumbnails.invalidate_all();
        self.room_states.forget_all();
        self.filters.invalidate_all();
        self.members.invalidate_all();
        self.settings.invalidate_all();
        self.unread.invalidate_all();
        self.spoken.invalidate_all();
        self.joined.invalidate_all();
        self.room_types.invalidate_all();
        self.present.lock().clear();
    }
}

impl fmt::Debug for Caches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caches").finish_non_exhaustive()
    }
}

/// An entry costs something even when it is empty.
fn weight(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX).saturating_add(4)
}
