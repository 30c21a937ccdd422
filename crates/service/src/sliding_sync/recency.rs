//! How recent rooms are: what `bump_stamp` says, and what lists are sorted by.

use olmstead_domain::position::{Cursor, Position};
use olmstead_storage::rooms::{Direction, Membership, RoomMembership};
use ruma::UserId;

use super::look::Look;
use crate::{
    Context, Result,
    sync::{Part, all},
    unread,
};

/// Events that make a room recent, besides the user's own coming. Names of before they were stable are among them.
const BUMPING: [&str; 9] = [
    "m.room.create",
    "m.room.message",
    "m.room.encrypted",
    "m.sticker",
    "m.call.invite",
    "m.poll.start",
    "org.matrix.msc3381.poll.start",
    "m.beacon_info",
    "org.matrix.msc3672.beacon_info",
];
/// Events that are looked at in search of one: at first, and then at once, so many times.
const FIRST_PAGE: usize = 10;
const PAGE: usize = 100;
const PAGES: usize = 10;
/// Rooms that are looked at together.
const CHUNK: usize = 32;

/// Where a room was last bumped.
pub(super) async fn bump_stamp(cx: &Context, user_id: &UserId, room: &RoomMembership) -> Result<Position> {
    if room.membership != Membership::Join {
        return Ok(room.cursor.position);
    }
    let spoken = last_spoken(cx, room).await?;
    if spoken >= room.cursor.position {
        return Ok(spoken);
    }
    Ok(spoken.max(joined_at(cx, user_id, room).await?))
}

/// The latest it can be.
fn bound(room: &RoomMembership) -> Position {
    if room.membership == Membership::Join { room.last_event.max(room.cursor.position) } else { room.cursor.position }
}

/// Where the last bumping event is. It follows from where the last event is, so that much is kept.
async fn last_spoken(cx: &Context, room: &RoomMembership) -> Result<Position> {
    let known = cx.caches.spoken.get(&room.room_id);
    let (from, otherwise) = match known {
        Some((last_event, spoken)) if last_event == room.last_event => return Ok(spoken),
        Some((last_event, spoken)) if last_event < room.last_event => (last_event.next(), Some(spoken)),
        _ => (Position::START, None),
    };
    let mut below = Cursor::at(room.last_event.next());
    let mut spoken = None;
    for round in 0..PAGES {
        let limit = if round == 0 { FIRST_PAGE } else { PAGE };
        let page = cx.storage.timeline(&room.room_id, Cursor::at(from), below, limit, Direction::Backward).await?;
        spoken =
            page.events.iter().find(|event| BUMPING.contains(&event.pdu.kind())).map(|event| event.cursor.position);
        if spoken.is_some() || !page.more {
            break;
        }
        let Some(oldest) = page.events.last() else { break };
        below = oldest.cursor;
    }
    // In a room with nothing for so long, what was not looked at is as good as any.
    let spoken = spoken.or(otherwise).unwrap_or(below.position);
    cx.caches.spoken.insert(room.room_id.clone(), (room.last_event, spoken));
    Ok(spoken)
}

/// Where the user came into a room. A new name is a member event as well, and no coming.
async fn joined_at(cx: &Context, user_id: &UserId, room: &RoomMembership) -> Result<Position> {
    let key = (user_id.to_owned(), room.room_id.clone());
    if let Some((_, joined)) = cx.caches.joined.get(&key).filter(|(own_event, _)| *own_event == room.cursor) {
        return Ok(joined);
    }
    let joined = unread::joined_at(cx, user_id, room).await?.position;
    cx.caches.joined.insert(key, (room.cursor, joined));
    Ok(joined)
}

/// Puts the most recent `wanted` rooms in front, in order; in which order the others follow does not matter. Only rooms
/// that may belong in front are looked at more closely.
pub(super) async fn sort(look: &Look<'_>, rooms: &mut Vec<&RoomMembership>, wanted: usize) -> Result<()> {
    if wanted == 0 {
        return Ok(());
    }
    rooms.sort_by(|a, b| (bound(b), &b.room_id).cmp(&(bound(a), &a.room_id)));
    let mut stamped: Vec<(Position, &RoomMembership)> = Vec::new();
    let mut rest = rooms.as_slice();
    while let Some(next) = rest.first() {
        if stamped.get(wanted - 1).is_some_and(|(stamp, _)| *stamp > bound(next)) {
            break;
        }
        let (some, others) = rest.split_at(rest.len().min(wanted.max(CHUNK)));
        rest = others;
        let stamps = some.iter().map(|room| -> Part<'_, Position> { Box::pin(bump_stamp(look.cx, look.user(), room)) });
        stamped.extend(all(stamps.collect()).await?.into_iter().zip(some.iter().copied()));
        stamped.sort_by(|(a, room_a), (b, room_b)| (b, &room_b.room_id).cmp(&(a, &room_a.room_id)));
    }
    let rest = rest.iter().copied();
    *rooms = stamped.iter().map(|(_, room)| *room).chain(rest).collect();
    Ok(())
}
