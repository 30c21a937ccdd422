//! Which rooms are told of, and how.

use std::collections::HashMap;

use olmstead_storage::{
    account_data::AccountDataEntry,
    rooms::{Membership, RoomMembership},
    sync::SyncFacts,
};
use ruma::{OwnedRoomId, RoomId};

use super::{
    UserSettings, invited, joined, left,
    response::{InvitedRoom, JoinedRoom, KnockedRoom, LeftRoom, Rooms},
    view::{Part, View, all},
};
use crate::Result;

/// How a room is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Joined,
    Invited,
    Knocked,
    Left,
}

/// A finished room.
enum Told {
    Joined(OwnedRoomId, Box<JoinedRoom>),
    Invited(OwnedRoomId, InvitedRoom),
    Knocked(OwnedRoomId, KnockedRoom),
    Left(OwnedRoomId, Box<LeftRoom>),
    Nothing,
}

/// The `rooms` section. Rooms in which nothing happened cost no read.
pub(super) async fn section(view: &View<'_>, facts: &SyncFacts) -> Result<Rooms> {
    let mut account: HashMap<&RoomId, Vec<&AccountDataEntry>> = HashMap::new();
    for entry in &facts.account_data {
        if let Some(room_id) = entry.room_id.as_deref() {
            account.entry(room_id).or_default().push(entry);
        }
    }
    let planned: Vec<(Kind, &RoomMembership)> = facts
        .memberships
        .iter()
        .filter(|room| view.filter.room.admits_room(&room.room_id))
        .filter_map(|room| Some((plan(view, room, account.contains_key(&*room.room_id))?, room)))
        .collect();
    if planned.is_empty() {
        return Ok(Rooms::default());
    }
    let settings = UserSettings::load(view.cx, view.user(), facts.settings_changed, view.horizon).await?;
    let parts = planned
        .into_iter()
        .filter(|(kind, room)| *kind != Kind::Invited || !settings.ignored.contains(&room.sender))
        .map(|(kind, room)| -> Part<'_, Told> {
            let account = account.get(&*room.room_id).map(Vec::as_slice).unwrap_or_default();
            Box::pin(tell(view, kind, room, account, &settings))
        })
        .collect();
    let mut rooms = Rooms::default();
    for told in all(parts).await? {
        match told {
            Told::Joined(room_id, room) => {
                rooms.join.insert(room_id, *room);
            }
            Told::Invited(room_id, room) => {
                rooms.invite.insert(room_id, room);
            }
            Told::Knocked(room_id, room) => {
                rooms.knock.insert(room_id, room);
            }
            Told::Left(room_id, room) => {
                rooms.leave.insert(room_id, *room);
            }
            Told::Nothing => {}
        }
    }
    Ok(rooms)
}

async fn tell(
    view: &View<'_>,
    kind: Kind,
    room: &RoomMembership,
    account: &[&AccountDataEntry],
    settings: &UserSettings,
) -> Result<Told> {
    let room_id = room.room_id.clone();
    Ok(match kind {
        Kind::Joined => match joined::section(view, room, account, settings).await? {
            Some(part) => Told::Joined(room_id, Box::new(part)),
            None => Told::Nothing,
        },
        Kind::Invited => Told::Invited(room_id, InvitedRoom { invite_state: invited::section(view, room).await? }),
        Kind::Knocked => Told::Knocked(room_id, KnockedRoom { knock_state: invited::section(view, room).await? }),
        Kind::Left => Told::Left(room_id, Box::new(left::section(view, room, account, settings).await?)),
    })
}

/// Decides whether and how a room is told of. `has_account_data`: account data of the room changed.
fn plan(view: &View<'_>, room: &RoomMembership, has_account_data: bool) -> Option<Kind> {
    let moved = view.is_first() || view.is_new(room.cursor.position);
    match room.membership {
        Membership::Join => {
            let is_news = moved
                || view.full_state
                || has_account_data
                || view.is_new(room.last_event)
                || view.is_new(room.last_ephemeral);
            is_news.then_some(Kind::Joined)
        }
        Membership::Invite => moved.then_some(Kind::Invited),
        Membership::Knock => moved.then_some(Kind::Knocked),
        Membership::Leave | Membership::Ban => {
            let thrown_out = room.previous == Some(Membership::Join)
                && (room.membership == Membership::Ban || room.sender != view.user());
            let is_wanted = !view.is_first() || thrown_out || view.filter.room.include_leave;
            (moved && is_wanted).then_some(Kind::Left)
        }
    }
}
