//! Which rooms are told of, and what the client knows of them then.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use olmstead_domain::position::Position;
use olmstead_storage::rooms::{Membership, RoomMembership};
use ruma::{OwnedEventId, OwnedRoomId};

use super::{
    asked::{Sources, Wish},
    lists::Windows,
    look::Look,
    outside,
    required::Sets,
    response::Room,
    room,
    told::{Entry, Kind},
};
use crate::{
    Result,
    sync::{Part, all},
};

/// Rooms that are told for the first time in one answer; more follow in the next.
const NEW_ROOMS: usize = 500;

/// The rooms of an answer.
#[derive(Default)]
pub(super) struct Rooms<'a> {
    pub(super) told: BTreeMap<OwnedRoomId, Room>,
    /// What the client knows of rooms afterwards, where that is something else than before.
    pub(super) change: BTreeMap<OwnedRoomId, Option<Entry>>,
    /// Sets that `change` names.
    pub(super) sets: Sets,
    /// The rooms the user is in of which extensions may tell.
    pub(super) scopes: Vec<Scope<'a>>,
}

/// A room of which extensions may tell.
pub(super) struct Scope<'a> {
    pub(super) room: &'a RoomMembership,
    pub(super) sources: Sources,
    /// Where news begin; `None` for a room that is told from its beginning.
    pub(super) from: Option<Position>,
    /// The events of its timeline in this answer.
    pub(super) events: BTreeSet<OwnedEventId>,
}

/// What becomes of a room.
enum Fate<'a> {
    Joined(&'a RoomMembership, Sources, Arc<Wish>),
    BeforeDoor(&'a RoomMembership, Kind),
    Ended(&'a RoomMembership, &'a Entry),
}

/// A finished room.
enum Done<'a> {
    Joined(&'a RoomMembership, Sources, Box<room::Telling>),
    BeforeDoor(&'a RoomMembership, Kind, Box<Room>),
    Ended(&'a RoomMembership, Box<Room>),
}

/// Tells of rooms that are wanted or known. Those in which nothing happened cost no read.
pub(super) async fn section<'a>(look: &'a Look<'a>, windows: &Windows<'_>) -> Result<Rooms<'a>> {
    let mut rooms = Rooms::default();
    let fates = fates(look, windows, &mut rooms);
    let parts = fates.into_iter().map(|fate| -> Part<'_, Done<'_>> { Box::pin(carry_out(look, fate)) }).collect();
    for done in all(parts).await? {
        match done {
            Done::Joined(room, sources, telling) => {
                let room::Telling { room: told, entry, required, from, events } = *telling;
                rooms.told.extend(told.map(|told| (room.room_id.clone(), told)));
                if look.connection.told.rooms.get(&room.room_id) != Some(&entry) {
                    rooms.sets.insert(entry.required, required);
                    rooms.change.insert(room.room_id.clone(), Some(entry));
                }
                rooms.scopes.push(Scope { room, sources, from, events });
            }
            Done::BeforeDoor(room, kind, told) => {
                rooms.told.insert(room.room_id.clone(), *told);
                let entry = Entry { kind, required: 0, limit: 0, upto: None };
                if look.connection.told.rooms.get(&room.room_id) != Some(&entry) {
                    rooms.change.insert(room.room_id.clone(), Some(entry));
                }
            }
            Done::Ended(room, told) => {
                rooms.told.insert(room.room_id.clone(), *told);
                rooms.change.insert(room.room_id.clone(), None);
            }
        }
    }
    Ok(rooms)
}

/// Decides what becomes of each room, and notes what needs no telling.
fn fates<'a>(look: &'a Look<'a>, windows: &Windows<'_>, rooms: &mut Rooms<'a>) -> Vec<Fate<'a>> {
    let known = &look.connection.told.rooms;
    let since = look.start();
    let mut wishes = HashMap::new();
    let (mut fates, mut fresh) = (Vec::new(), Vec::new());
    let mut here: BTreeSet<&OwnedRoomId> = BTreeSet::new();
    for room in &look.facts.memberships {
        here.insert(&room.room_id);
        let entry = known.get(&room.room_id);
        let sources = windows.rooms.get(&*room.room_id).copied();
        let kind = match room.membership {
            Membership::Join => Kind::Joined,
            Membership::Invite => Kind::Invited,
            Membership::Knock => Kind::Knocked,
            Membership::Leave | Membership::Ban => {
                // Told wherever it stands: to a client that knows the room its end is always news.
                fates.extend(entry.map(|entry| Fate::Ended(room, entry)));
                continue;
            }
        };
        let Some(sources) = sources else {
            // What happens in a room that nobody looks at is told when somebody does.
            if let Some(entry) = entry.filter(|entry| entry.upto.is_none() && is_touched(look, room, since)) {
                rooms.change.insert(room.room_id.clone(), Some(Entry { upto: Some(since), ..entry.clone() }));
            }
            continue;
        };
        if kind == Kind::Joined {
            let wish = look.asked.wish(sources, &mut wishes);
            match entry {
                None => fresh.push((room, Fate::Joined(room, sources, wish))),
                Some(entry) if is_quiet(look, room, entry, &wish, since) => {
                    rooms.scopes.push(Scope { room, sources, from: Some(since), events: BTreeSet::new() });
                }
                Some(_) => fates.push(Fate::Joined(room, sources, wish)),
            }
        } else {
            match entry {
                None => fresh.push((room, Fate::BeforeDoor(room, kind))),
                Some(entry) if entry.kind == kind && room.cursor.position < entry.from(since) => {}
                Some(_) => fates.push(Fate::BeforeDoor(room, kind)),
            }
        }
    }
    for gone in known.keys().filter(|room_id| !here.contains(room_id)) {
        // Forgotten, by the user and so by us.
        rooms.change.insert(gone.clone(), None);
    }
    if fresh.len() > NEW_ROOMS {
        fresh.sort_by_key(|(room, _)| std::cmp::Reverse(room.last_event));
        fresh.truncate(NEW_ROOMS);
    }
    fates.extend(fresh.into_iter().map(|(_, fate)| fate));
    fates
}

/// Whether anything happened in a room that its user may be told.
fn is_touched(look: &Look<'_>, room: &RoomMembership, since: Position) -> bool {
    if room.membership != Membership::Join {
        return room.cursor.position >= since;
    }
    room.last_event >= since || room.last_ephemeral >= since || look.account.contains_key(&*room.room_id)
}

/// Whether a room is known as it is wanted, and nothing happened that changes what is told of it. Extensions look for
/// themselves.
fn is_quiet(look: &Look<'_>, room: &RoomMembership, entry: &Entry, wish: &Wish, since: Position) -> bool {
    entry.kind == Kind::Joined
        && entry.upto.is_none()
        && room.last_event < since
        && room.last_ephemeral < since
        && wish.limit <= entry.limit
        && look.connection.sets.get(&entry.required).is_some_and(|known| known.covers(&wish.required))
}

async fn carry_out<'a>(look: &Look<'a>, fate: Fate<'a>) -> Result<Done<'a>> {
    Ok(match fate {
        Fate::Joined(room, sources, wish) => {
            let entry = look.connection.told.rooms.get(&room.room_id);
            Done::Joined(room, sources, Box::new(room::tell(look, room, entry, &wish).await?))
        }
        Fate::BeforeDoor(room, kind) => Done::BeforeDoor(room, kind, Box::new(outside::before_door(look, room).await?)),
        Fate::Ended(room, entry) => Done::Ended(room, Box::new(outside::ended(look, room, entry).await?)),
    })
}
