//! The state of a room in an answer: what the client must know that the timeline does not tell it.

use std::collections::{BTreeMap, BTreeSet};

use olmstead_domain::position::Cursor;
use olmstead_storage::rooms::{StateSelection, StoredEvent};
use ruma::{OwnedUserId, RoomId};

use super::{
    events::{Beside, event},
    response::{Events, StateSection},
    timeline::Timeline,
    view::View,
};
use crate::Result;

const MEMBER: &str = "m.room.member";

/// Which state of a room.
pub(super) struct Want<'a> {
    pub(super) room_id: &'a RoomId,
    /// Everything, not only what is new: the room is new to the client, or it asked for the full state.
    pub(super) whole: bool,
    /// The span of the answer in this room.
    pub(super) span: (Cursor, Cursor),
    pub(super) timeline: &'a Timeline,
    /// Members who stand for the room's name; a lazy client needs their member events.
    pub(super) heroes: &'a [OwnedUserId],
}

/// An empty section under the name asked for.
pub(super) fn empty(view: &View<'_>) -> StateSection {
    named(view, Vec::new())
}

fn named(view: &View<'_>, events: Vec<Box<serde_json::value::RawValue>>) -> StateSection {
    let asked = view.state_after;
    let section = |wanted: bool| wanted.then(|| Events { events: events.clone() });
    StateSection {
        state: section(!asked.wanted()),
        state_after: section(asked.stable),
        state_after_unstable: section(asked.unstable),
    }
}

/// Reads the section: state up to the start of the timeline, or up to its end for `state_after`.
pub(super) async fn section(view: &View<'_>, want: Want<'_>) -> Result<StateSection> {
    let filter = &view.filter.room.state;
    if !filter.admits_room(want.room_id) {
        return Ok(empty(view));
    }
    let (from, to) = want.span;
    let cutoff = if view.state_after.wanted() { to } else { want.timeline.start };
    let (base, members, late) = tokio::try_join!(
        base(view, &want, from, cutoff),
        lazy_members(view, &want, cutoff),
        late(view, &want, cutoff, to),
    )?;
    // By entry, so that a later reading replaces an earlier one.
    let mut entries: BTreeMap<(String, String), StoredEvent> = BTreeMap::new();
    for stored in members.into_iter().chain(base).chain(late) {
        let key = (stored.pdu.kind().to_owned(), stored.pdu.state_key().unwrap_or_default().to_owned());
        entries.insert(key, stored);
    }
    let mut events: Vec<StoredEvent> = entries.into_values().filter(|stored| filter.admits(&stored.pdu)).collect();
    events.sort_by_key(|stored| stored.cursor);
    Ok(named(view, events.iter().filter_map(|stored| event(view, stored, Beside::default())).collect()))
}

/// All state at the cutoff, or what changed up to it since the span began. Of the latter all member events count, also
/// for a lazy client: who came, went or was renamed in a gap must not get lost (SYNC-8).
async fn base(view: &View<'_>, want: &Want<'_>, from: Cursor, cutoff: Cursor) -> Result<Vec<StoredEvent>> {
    let storage = &view.cx.storage;
    Ok(if want.whole {
        let lazy = view.filter.room.state.lazy_load_members;
        let select = if lazy { StateSelection::AllButMembers } else { StateSelection::All };
        storage.state(want.room_id, Some(cutoff), select).await?
    } else if from < cutoff {
        storage.state_between(want.room_id, from, cutoff).await?
    } else {
        Vec::new()
    })
}

/// For a lazy client the member events it cannot do without: of senders, of heroes, and with the whole state its own.
async fn lazy_members(view: &View<'_>, want: &Want<'_>, cutoff: Cursor) -> Result<Vec<StoredEvent>> {
    if !view.filter.room.state.lazy_load_members {
        return Ok(Vec::new());
    }
    let mut users = want.timeline.senders();
    users.extend(want.heroes.iter().map(|user_id| &**user_id));
    if want.whole {
        users.insert(view.user());
    }
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let entries: BTreeSet<_> = users.into_iter().map(|user_id| (MEMBER.to_owned(), user_id.to_string())).collect();
    let select = StateSelection::These(entries.into_iter().collect());
    Ok(view.cx.storage.state(want.room_id, Some(cutoff), select).await?)
}

/// State set after the start of the timeline that the timeline does not show: it was filtered out, or came about
/// otherwise than by an event of the timeline (SYNC-9, SYNC-17).
async fn late(view: &View<'_>, want: &Want<'_>, cutoff: Cursor, to: Cursor) -> Result<Vec<StoredEvent>> {
    if cutoff >= to {
        return Ok(Vec::new());
    }
    let mut late = view.cx.storage.state_between(want.room_id, cutoff, to).await?;
    late.retain(|stored| !want.timeline.contains(stored.pdu.event_id()));
    Ok(late)
}
