//! Which rooms a request is about: those in the windows of its lists, and those it names.

use std::collections::{BTreeMap, HashMap};

use olmstead_storage::rooms::{Membership, RoomMembership, StateSelection};
use ruma::{RoomId, api::client::sync::sync_events::v5::request::ListFilters, directory::RoomTypeFilter};

use super::{
    asked::{List, Sources, bit},
    look::Look,
    recency,
};
use crate::{
    Context, Result,
    sync::{Part, all},
};

/// The rooms a request is about.
pub(super) struct Windows<'a> {
    /// How many rooms each list has.
    pub(super) counts: BTreeMap<String, u64>,
    /// The rooms in windows or named, and by what.
    pub(super) rooms: HashMap<&'a RoomId, Sources>,
}

/// Finds them.
pub(super) async fn windows<'a>(look: &Look<'a>) -> Result<Windows<'a>> {
    let mut windows = Windows { counts: BTreeMap::new(), rooms: HashMap::new() };
    for (index, list) in look.asked.lists.iter().enumerate() {
        let mut rooms = filtered(look, &list.filters).await?;
        windows.counts.insert(list.name.clone(), rooms.len() as u64);
        let (count, end) = (rooms.len(), end(list));
        // Who looks at all rooms does not ask for their order.
        if !list.ranges.iter().any(|(first, end)| *first == 0 && *end >= count) {
            recency::sort(look, &mut rooms, end.min(count)).await?;
        }
        for (first, end) in &list.ranges {
            let window = rooms.get(*first..(*end).min(count)).unwrap_or_default();
            for room in window {
                windows.rooms.entry(&*room.room_id).or_default().lists |= bit(index);
            }
        }
    }
    if !look.asked.subscriptions.is_empty() {
        for room in look.rooms() {
            if let Some(index) = look.asked.subscriptions.get(&room.room_id) {
                windows.rooms.entry(&*room.room_id).or_default().subscription = Some(*index);
            }
        }
    }
    Ok(windows)
}

/// How many rooms of a list have to be in order.
fn end(list: &List) -> usize {
    list.ranges.iter().map(|(_, end)| *end).max().unwrap_or_default()
}

/// The rooms that a list's filters let through.
async fn filtered<'a>(look: &Look<'a>, filters: &ListFilters) -> Result<Vec<&'a RoomMembership>> {
    let direct = match filters.is_dm {
        Some(wanted) => Some((look.direct().await?, wanted)),
        None => None,
    };
    let rooms: Vec<&RoomMembership> = look
        .rooms()
        .filter(|room| {
            direct.is_none_or(|(direct, wanted)| direct.contains(&room.room_id) == wanted)
                && filters.is_encrypted.is_none_or(|wanted| room.encrypted_at.is_some() == wanted)
                && filters.is_invite.is_none_or(|wanted| (room.membership == Membership::Invite) == wanted)
        })
        .collect();
    if filters.room_types.is_empty() && filters.not_room_types.is_empty() {
        return Ok(rooms);
    }
    let parts = rooms.iter().map(|room| -> Part<'_, bool> {
        Box::pin(async move {
            let kind = room_type(look.cx, &room.room_id).await?;
            let is_one_of = |types: &[RoomTypeFilter]| types.iter().any(|one| one.as_str() == kind.as_deref());
            let is_wanted = filters.room_types.is_empty() || is_one_of(&filters.room_types);
            Ok(is_wanted && !is_one_of(&filters.not_room_types))
        })
    });
    let wanted = all(parts.collect()).await?;
    Ok(rooms.into_iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|(room, _)| room).collect())
}

/// The type a room was created with, which never changes.
async fn room_type(cx: &Context, room_id: &RoomId) -> Result<Option<String>> {
    if let Some(kind) = cx.caches.room_types.get(room_id) {
        return Ok(kind);
    }
    let create = StateSelection::These(vec![("m.room.create".to_owned(), String::new())]);
    let state = cx.storage.state(room_id, None, create).await?;
    let Some(create) = state.first() else { return Ok(None) };
    let kind = create.pdu.content_field::<String>("type");
    cx.caches.room_types.insert(room_id.to_owned(), kind.clone());
    Ok(kind)
}
