//! A room in short: for the directory and for who thinks about joining (ENC-13).

use std::collections::HashMap;

use olmstead_domain::rooms::{Pdu, membership::JoinRule, visibility::HistoryVisibility};
use olmstead_storage::rooms::{Membership, StateSelection};
use ruma::{OwnedRoomId, RoomId, UserId};
use serde::Serialize;

use super::{guests, key_of, known_room, render::as_shown, visibility::is_joined};
use crate::{Context, Result, ServiceError};

/// The state that a summary is made of, all with an empty state key.
const KINDS: [&str; 9] = [
    "m.room.create",
    "m.room.name",
    "m.room.topic",
    "m.room.avatar",
    "m.room.canonical_alias",
    "m.room.join_rules",
    "m.room.history_visibility",
    "m.room.guest_access",
    "m.room.encryption",
];

/// An entry of the directory.
#[derive(Debug, Clone, Serialize)]
pub struct PublishedRoom {
    /// The room.
    pub room_id: OwnedRoomId,
    /// How many are in it.
    pub num_joined_members: u64,
    /// Whether everybody may read it.
    pub world_readable: bool,
    /// Whether guests may join.
    pub guest_can_join: bool,
    /// Who may join.
    pub join_rule: String,
    /// The name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The avatar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
    /// The canonical alias.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canonical_alias: Option<String>,
    /// The type, such as `m.space`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_type: Option<String>,
}

/// A summary of one room.
#[derive(Debug, Clone, Serialize)]
pub struct RoomSummary {
    /// As in the directory.
    #[serde(flatten)]
    pub room: PublishedRoom,
    /// The rooms whose members may join.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_room_ids: Vec<OwnedRoomId>,
    /// The algorithm of encryption, if it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<String>,
    /// The room version.
    pub room_version: String,
    /// The asker's membership.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub membership: Option<Membership>,
}

struct Parts {
    summary: RoomSummary,
    world_readable: bool,
    rule: JoinRule,
}

async fn read(cx: &Context, room_id: &RoomId, joined: u64, version: String) -> Result<Parts> {
    let selection = StateSelection::These(KINDS.iter().map(|kind| key_of(kind)).collect());
    let state: HashMap<String, Pdu> = cx
        .storage
        .state(room_id, None, selection)
        .await?
        .iter()
        .filter_map(|event| Some((event.pdu.kind().to_owned(), as_shown(event)?)))
        .collect();
    let text = |kind: &str, field: &str| -> Option<String> {
        state.get(kind)?.content_field::<String>(field).filter(|text| !text.is_empty())
    };
    let rule = JoinRule::read(state.get("m.room.join_rules"));
    let visibility = HistoryVisibility::read(state.get("m.room.history_visibility"));
    let world_readable = visibility == HistoryVisibility::WorldReadable;
    let room = PublishedRoom {
        room_id: room_id.to_owned(),
        num_joined_members: joined,
        world_readable,
        guest_can_join: guests::lets_in(state.get("m.room.guest_access")),
        join_rule: rule.rule.clone(),
        name: text("m.room.name", "name"),
        topic: text("m.room.topic", "topic"),
        avatar_url: text("m.room.avatar", "url"),
        canonical_alias: text("m.room.canonical_alias", "alias"),
        room_type: text("m.room.create", "type"),
    };
    let summary = RoomSummary {
        room,
        allowed_room_ids: if rule.is_restricted() { rule.allowed_rooms.clone() } else { Vec::new() },
        encryption: text("m.room.encryption", "algorithm"),
        room_version: version,
        membership: None,
    };
    Ok(Parts { summary, world_readable, rule })
}

/// A room as the directory lists it.
pub(crate) async fn published(cx: &Context, room_id: &RoomId, joined: u64) -> Result<PublishedRoom> {
    Ok(read(cx, room_id, joined, String::new()).await?.summary.room)
}

/// A room and what the asker may do there.
struct Standing {
    parts: Parts,
    membership: Option<Membership>,
}

impl Standing {
    async fn read(cx: &Context, user_id: Option<&UserId>, room_id: &RoomId) -> Result<Self> {
        let head = known_room(cx, room_id).await.map_err(|error| match error {
            ServiceError::Refused { .. } => not_found(),
            other => other,
        })?;
        let parts = read(cx, room_id, head.joined_count, head.version.as_str().to_owned()).await?;
        let membership = match user_id {
            Some(user_id) => cx.storage.membership(room_id, user_id).await?.map(|membership| membership.membership),
            None => None,
        };
        Ok(Self { parts, membership })
    }

    /// Whether everybody may read the room, join it or ask to be let in.
    fn is_open(&self) -> bool {
        self.parts.world_readable || matches!(self.parts.rule.rule.as_str(), "public" | "knock" | "knock_restricted")
    }

    /// Whether a user may join by being in another room.
    async fn is_vouched_for(&self, cx: &Context, user_id: &UserId) -> Result<bool> {
        if self.parts.rule.is_restricted() {
            for allowed in &self.parts.rule.allowed_rooms {
                if is_joined(cx, user_id, allowed).await? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// A summary for who may know of the room: everybody if it can be joined, knocked on or read by everybody, else who is
/// or was in it, is invited, or may join by being in another room.
///
/// # Errors
/// [`crate::Refusal::NotFound`] for all others, and for an unknown room.
pub async fn summary(cx: &Context, user_id: Option<&UserId>, room_id: &RoomId) -> Result<RoomSummary> {
    let room = Standing::read(cx, user_id, room_id).await?;
    let knows = room.membership.is_some_and(|membership| membership != Membership::Ban);
    let vouched = match user_id {
        Some(user_id) if !room.is_open() && !knows => room.is_vouched_for(cx, user_id).await?,
        _ => false,
    };
    if !(room.is_open() || knows || vouched) {
        return Err(not_found());
    }
    Ok(RoomSummary { membership: room.membership, ..room.parts.summary })
}

/// A room of a space, for who is in it, is invited, or may enter or read it; `None` for all others, and for an unknown
/// room.
pub(super) async fn of_space(cx: &Context, user_id: &UserId, room_id: &RoomId) -> Result<Option<RoomSummary>> {
    let room = match Standing::read(cx, Some(user_id), room_id).await {
        Err(ServiceError::Refused { .. }) => return Ok(None),
        other => other?,
    };
    let enters = match room.membership {
        Some(Membership::Join | Membership::Invite) => true,
        Some(Membership::Ban) => false,
        _ => room.is_open() || room.is_vouched_for(cx, user_id).await?,
    };
    Ok(enters.then_some(room.parts.summary))
}

fn not_found() -> ServiceError {
    ServiceError::not_found("There is no such room, or you may not see it.")
}
