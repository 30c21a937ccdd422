//! The rooms of a space and of the spaces in it (client-server API, Spaces; ENC-13).
//!
//! Nothing is kept between two pages: the walk is done again, and what was told before is left out.

use std::collections::HashSet;

use olmstead_domain::{
    json::RawJson,
    rooms::{Pdu, client_event::stripped},
};
use olmstead_storage::rooms::StateSelection;
use ruma::{OwnedRoomId, RoomId, UserId};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    not_in_room,
    render::as_shown,
    summary::{RoomSummary, of_space},
};
use crate::{Context, Result, ServiceError};

/// Rooms of a page at most.
const MAX_LIMIT: usize = 50;
/// How deep the walk goes at most.
const MAX_DEPTH: usize = 50;
/// Rooms that one walk looks at.
const MAX_ROOMS: usize = 1_000;
/// The most characters of an `order` that counts.
const MAX_ORDER: usize = 50;

/// Which part of a space.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// Only rooms that the space suggests.
    pub suggested_only: bool,
    /// Rooms of the page.
    pub limit: Option<usize>,
    /// How far to go into the space.
    pub max_depth: Option<usize>,
    /// Where the page before ended.
    pub from: Option<String>,
}

/// A page.
#[derive(Debug, Clone, Serialize)]
pub struct Hierarchy {
    /// The rooms, the space itself first.
    pub rooms: Vec<SpaceRoom>,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_batch: Option<String>,
}

/// A room of a space.
#[derive(Debug, Clone, Serialize)]
pub struct SpaceRoom {
    /// The room.
    #[serde(flatten)]
    pub room: RoomSummary,
    /// What it says of the rooms in it, if it is a space.
    pub children_state: Vec<RawJson>,
}

/// A page of a space, depth first.
///
/// # Errors
/// [`crate::Refusal::Forbidden`] for a room the user may not see, `InvalidParam` for a token of another walk.
pub async fn hierarchy(cx: &Context, user_id: &UserId, space: &RoomId, part: &Part) -> Result<Hierarchy> {
    let max_depth = part.max_depth.unwrap_or(MAX_DEPTH).min(MAX_DEPTH);
    let skipped = match &part.from {
        None => 0,
        Some(token) => read_token(token, part.suggested_only, max_depth)
            .ok_or_else(|| ServiceError::invalid_param("This token is not of such a page."))?,
    };
    let limit = part.limit.unwrap_or(MAX_LIMIT).clamp(1, MAX_LIMIT);
    let mut page = Hierarchy { rooms: Vec::new(), next_batch: None };
    let (mut told, mut seen) = (0, HashSet::new());
    let mut ahead: Vec<(OwnedRoomId, usize)> = vec![(space.to_owned(), 0)];
    while let Some((room_id, depth)) = ahead.pop() {
        if seen.len() >= MAX_ROOMS || !seen.insert(room_id.clone()) {
            continue;
        }
        let Some(room) = of_space(cx, user_id, &room_id).await? else {
            if depth == 0 {
                return Err(not_in_room());
            }
            continue;
        };
        if page.rooms.len() == limit {
            page.next_batch = Some(token(told, part.suggested_only, max_depth));
            break;
        }
        let children = children(cx, &room, part.suggested_only).await?;
        if depth < max_depth {
            ahead.extend(children.iter().rev().map(|child| (child.room_id.clone(), depth + 1)));
        }
        told += 1;
        if told > skipped {
            page.rooms.push(SpaceRoom { room, children_state: children.iter().filter_map(Child::shown).collect() });
        }
    }
    Ok(page)
}

/// A room in a space, as the space says it.
struct Child {
    room_id: OwnedRoomId,
    order: Option<String>,
    event: Pdu,
}

impl Child {
    /// What an event says; `None` where it takes a room out of the space, or says nothing that can be read.
    fn read(event: Pdu, suggested_only: bool) -> Option<Self> {
        let via: Vec<Value> = event.content_field("via")?;
        let suggested: bool = event.content_field("suggested").unwrap_or(false);
        if via.is_empty() || (suggested_only && !suggested) {
            return None;
        }
        let order: Option<String> = event.content_field("order");
        let is_order =
            |order: &String| order.len() <= MAX_ORDER && order.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
        Some(Self { room_id: RoomId::parse(event.state_key()?).ok()?, order: order.filter(is_order), event })
    }

    /// By what children are told in order: those with an `order` first, then by time and id.
    fn place(&self) -> (bool, &str, u64, &RoomId) {
        let order = self.order.as_deref();
        (order.is_none(), order.unwrap_or_default(), self.event.origin_server_ts(), &self.room_id)
    }

    fn shown(&self) -> Option<RawJson> {
        let mut shown: Value = serde_json::from_str(stripped(&self.event)?.get()).ok()?;
        shown.as_object_mut()?.insert("origin_server_ts".to_owned(), json!(self.event.origin_server_ts()));
        RawJson::from_value(&shown).ok()
    }
}

async fn children(cx: &Context, room: &RoomSummary, suggested_only: bool) -> Result<Vec<Child>> {
    if room.room.room_type.as_deref() != Some("m.space") {
        return Ok(Vec::new());
    }
    let selection = StateSelection::Types(vec!["m.space.child".to_owned()]);
    let events = cx.storage.state(&room.room.room_id, None, selection).await?;
    let mut children: Vec<Child> =
        events.iter().filter_map(as_shown).filter_map(|event| Child::read(event, suggested_only)).collect();
    children.sort_by(|one, other| one.place().cmp(&other.place()));
    Ok(children)
}

/// Where a page ended: after so many rooms of a walk of that kind.
fn token(told: usize, suggested_only: bool, max_depth: usize) -> String {
    format!("h{told}.{}.{max_depth}", u8::from(suggested_only))
}

fn read_token(text: &str, suggested_only: bool, max_depth: usize) -> Option<usize> {
    let told = text.strip_prefix('h')?.split('.').next()?.parse().ok()?;
    (token(told, suggested_only, max_depth) == text).then_some(told)
}

#[cfg(test)]
mod tests {
    use super::{read_token, token};

    #[test]
    fn a_token_is_good_for_the_same_walk_only() {
        let text = token(20, true, 3);
        assert_eq!(read_token(&text, true, 3), Some(20));
        assert_eq!(read_token(&text, false, 3), None);
        assert_eq!(read_token(&text, true, 4), None);
        for other in ["", "h", "h1", "x1.0.3", "h01.1.3", "h-1.1.3"] {
            assert_eq!(read_token(other, true, 3), None, "{other}");
        }
    }
}
