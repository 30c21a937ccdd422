//! The published rooms of this server.

use olmstead_storage::devices::Session;
use ruma::{RoomId, ServerName};
use serde::{Deserialize, Serialize};

use super::{
    aliases::may_advertise,
    known_room,
    summary::{PublishedRoom, published},
};
use crate::{Context, Result, ServiceError};

/// Rooms of a page when the client does not say.
const DEFAULT_LIMIT: usize = 100;
/// The most rooms of a page.
const MAX_LIMIT: usize = 500;

/// What a client searches for.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Search {
    /// A text in the name, topic or alias.
    pub generic_search_term: Option<String>,
    /// Only these types; `null` stands for rooms without one.
    pub room_types: Option<Vec<Option<String>>>,
}

impl Search {
    fn is_empty(&self) -> bool {
        self.generic_search_term.as_deref().is_none_or(str::is_empty) && self.room_types.is_none()
    }

    fn admits(&self, room: &PublishedRoom) -> bool {
        let is_type = self.room_types.as_ref().is_none_or(|types| types.contains(&room.room_type));
        let term = self.generic_search_term.as_deref().unwrap_or_default().to_lowercase();
        let texts = [&room.name, &room.topic, &room.canonical_alias];
        is_type && (term.is_empty() || texts.into_iter().flatten().any(|text| text.to_lowercase().contains(&term)))
    }
}

/// A page of the directory.
#[derive(Debug, Clone, Serialize)]
pub struct PublishedRooms {
    /// The rooms, most members first.
    pub chunk: Vec<PublishedRoom>,
    /// Where the next page starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_batch: Option<String>,
    /// Where the page before starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_batch: Option<String>,
    /// How many rooms there are.
    pub total_room_count_estimate: u64,
}

/// A page of the published rooms.
///
/// # Errors
/// [`crate::Refusal::NotFound`] for the directory of another server, [`crate::Refusal::InvalidParam`] for a token of
/// somebody else's making.
pub async fn public_rooms(
    cx: &Context,
    server: Option<&ServerName>,
    limit: Option<usize>,
    since: Option<&str>,
    search: &Search,
) -> Result<PublishedRooms> {
    if server.is_some_and(|server| server != cx.config.server_name) {
        return Err(ServiceError::not_found("This server does not federate, so it has only its own directory."));
    }
    let offset = since.map_or(Ok(0), read_token)?;
    let limit = limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let all = cx.storage.published_rooms().await?;
    let (chunk, total) = if search.is_empty() {
        let mut chunk = Vec::new();
        for (room_id, joined) in all.iter().skip(offset).take(limit) {
            chunk.push(published(cx, room_id, *joined).await?);
        }
        (chunk, all.len())
    } else {
        let mut chunk = Vec::new();
        let mut count = 0;
        for (room_id, joined) in &all {
            let room = published(cx, room_id, *joined).await?;
            if search.admits(&room) {
                if (offset..offset.saturating_add(limit)).contains(&count) {
                    chunk.push(room);
                }
                count += 1;
            }
        }
        (chunk, count)
    };
    let end = offset.saturating_add(chunk.len());
    Ok(PublishedRooms {
        next_batch: (end < total && !chunk.is_empty()).then(|| format!("p{end}")),
        prev_batch: (offset > 0).then(|| format!("p{}", offset.saturating_sub(limit))),
        total_room_count_estimate: total as u64,
        chunk,
    })
}

fn read_token(token: &str) -> Result<usize> {
    token
        .strip_prefix('p')
        .filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| super::bad_token(olmstead_domain::position::InvalidToken))
}

/// Whether a room is in the directory.
///
/// # Errors
/// [`crate::Refusal::NotFound`] for an unknown room.
pub async fn is_published(cx: &Context, room_id: &RoomId) -> Result<bool> {
    known_room(cx, room_id).await?;
    Ok(cx.storage.published(room_id).await?)
}

/// Publishes a room or takes it out of the directory: whoever may set its canonical alias, and server administrators.
///
/// # Errors
/// [`crate::Refusal::NotFound`] for an unknown room, [`crate::Refusal::Forbidden`].
pub async fn set_published(cx: &Context, session: &Session, room_id: &RoomId, published: bool) -> Result<()> {
    known_room(cx, room_id).await?;
    if !session.admin && !may_advertise(cx, &session.device.user_id, room_id).await? {
        return Err(ServiceError::forbidden("You do not have the power to publish this room."));
    }
    Ok(cx.storage.set_published(room_id, published).await?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn tokens_are_an_offset_and_nothing_else() {
        assert_eq!(read_token("p12").unwrap(), 12);
        for token in ["", "p", "12", "p-1", "p+1", "p1x", "p99999999999999999999999"] {
            assert!(read_token(token).is_err(), "{token}");
        }
    }

    #[test]
    fn a_search_looks_at_texts_and_types() {
        let room: PublishedRoom = PublishedRoom {
            room_id: ruma::RoomId::parse("!a:b.c").unwrap(),
            num_joined_members: 1,
            world_readable: false,
            guest_can_join: false,
            join_rule: "public".into(),
            name: Some("Tea Time".into()),
            topic: None,
            avatar_url: None,
            canonical_alias: None,
            room_type: None,
        };
        let term = |term: &str| Search { generic_search_term: Some(term.into()), room_types: None };
        assert!(term("tea").admits(&room));
        assert!(!term("coffee").admits(&room));
        let types = |types| Search { generic_search_term: None, room_types: Some(types) };
        assert!(types(vec![None]).admits(&room));
        assert!(!types(vec![Some("m.space".into())]).admits(&room));
    }
}
