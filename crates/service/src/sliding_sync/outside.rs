//! Rooms the user is not in: those they are invited to or knock at, and the end of those the client knows.

use std::collections::BTreeMap;

use olmstead_domain::{filter::Filter, position::Cursor};
use olmstead_storage::rooms::{Membership, RoomMembership, StateSelection, StoredEvent};

use super::{
    look::Look,
    required::MEMBER,
    response::{Room, Timeline as TimelinePart},
    room::{key_of, limited},
    told::{Entry, Kind},
};
use crate::{
    Result,
    sync::{
        events::{Beside, event},
        invited,
        left::Seen,
        timeline::{Presence, Timeline},
    },
};

/// How much of the end of a room is told to a client that wants no timeline: the news itself.
const LAST_WORD: usize = 1;

/// A room the user is invited to or knocks at.
pub(super) async fn before_door(look: &Look<'_>, room: &RoomMembership) -> Result<Room> {
    let filter = Filter::default();
    let state = invited::section(&look.view(&filter, None), room).await?.events;
    Ok(Room {
        initial: true,
        is_dm: look.direct().await?.contains(&room.room_id),
        bump_stamp: room.cursor.position,
        knock_state: (room.membership == Membership::Knock).then(|| state.clone()),
        invite_state: Some(state),
        ..Room::default()
    })
}

/// A room that the client knows and that the user is not in any more: what they saw since, and how it ended.
pub(super) async fn ended(look: &Look<'_>, room: &RoomMembership, entry: &Entry) -> Result<Room> {
    let filter = limited(entry.limit.max(LAST_WORD));
    let view = look.view(&filter, Some(entry.from(look.start())));
    let Seen { span, was_inside, joined_at_start } = Seen::find(&view, room).await?;
    let timeline = Timeline::load(&view, room, span, Presence::Partly, &look.settings.ignored).await?;
    let mut state: BTreeMap<(String, String), StoredEvent> = BTreeMap::new();
    if was_inside && entry.kind == Kind::Joined {
        let required = look.connection.sets.get(&entry.required).cloned().unwrap_or_default();
        let from = if joined_at_start { span.0 } else { Cursor::START };
        for stored in look.cx.storage.state_between(&room.room_id, from, span.1).await? {
            let key = key_of(&stored);
            if required.wants(&key.0, &key.1) {
                state.insert(key, stored);
            }
        }
    }
    // By this event clients know that it is over, whatever state they want.
    let own = StateSelection::These(vec![(MEMBER.to_owned(), look.user().to_string())]);
    for stored in look.cx.storage.state(&room.room_id, Some(span.1), own).await? {
        state.insert(key_of(&stored), stored);
    }
    let mut state: Vec<StoredEvent> = state.into_values().collect();
    state.sort_by_key(|stored| stored.cursor);
    let start = look.start();
    let num_live = timeline.lines.iter().filter(|line| line.stored.cursor.position >= start).count();
    let section = timeline.section(&view, &look.settings.ignored).await?;
    Ok(Room {
        is_dm: look.direct().await?.contains(&room.room_id),
        required_state: state.iter().filter_map(|stored| event(&view, stored, Beside::default())).collect(),
        timeline: Some(TimelinePart {
            events: section.events,
            limited: section.limited,
            prev_batch: section.prev_batch,
            num_live,
            expanded: false,
        }),
        bump_stamp: room.cursor.position,
        ..Room::default()
    })
}
