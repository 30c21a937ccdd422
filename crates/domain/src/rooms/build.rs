//! From a template to a hashed and signed event.

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, EventId, Int, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, ServerName,
    UserId, signatures::JsonError,
};
use serde_json::value::RawValue;

use super::{
    Pdu, RoomError, RoomVersion, ServerKey,
    pdu::{MAX_DEPTH, MAX_ID_BYTES, MAX_PDU_BYTES, canonical_content},
};

/// What a user or the server wants to send, before it has a place in a room.
#[derive(Debug, Clone)]
pub struct EventTemplate {
    /// The event type.
    pub kind: String,
    /// The state key, for a state event.
    pub state_key: Option<String>,
    /// The content, an object.
    pub content: Box<RawValue>,
    /// For `m.room.redaction`: the event to redact. The builder puts it where the room version
    /// wants it.
    pub redacts: Option<OwnedEventId>,
    /// The user who sends.
    pub sender: OwnedUserId,
    /// The time, in milliseconds since 1970.
    pub origin_server_ts: u64,
}

impl EventTemplate {
    /// A message event.
    pub fn message(sender: &UserId, kind: impl Into<String>, content: Box<RawValue>, origin_server_ts: u64) -> Self {
        Self { kind: kind.into(), state_key: None, content, redacts: None, sender: sender.to_owned(), origin_server_ts }
    }

    /// A state event.
    pub fn state(
        sender: &UserId,
        kind: impl Into<String>,
        state_key: impl Into<String>,
        content: Box<RawValue>,
        origin_server_ts: u64,
    ) -> Self {
        Self { state_key: Some(state_key.into()), ..Self::message(sender, kind, content, origin_server_ts) }
    }

    /// A redaction of `target`, with an optional reason.
    pub fn redaction(sender: &UserId, target: &EventId, reason: Option<&str>, origin_server_ts: u64) -> Self {
        #[derive(serde::Serialize)]
        struct Content<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            reason: Option<&'a str>,
        }
        Self {
            redacts: Some(target.to_owned()),
            ..Self::message(sender, "m.room.redaction", super::raw(&Content { reason }), origin_server_ts)
        }
    }
}

/// The place in the room's graph that a new event takes.
#[derive(Debug, Clone)]
pub struct Head {
    /// The room's version.
    pub version: RoomVersion,
    /// The room; `None` only for the create event of a version 12 room.
    pub room_id: Option<OwnedRoomId>,
    /// The events without successors, which become `prev_events`.
    pub prev_events: Vec<OwnedEventId>,
    /// The greatest depth among `prev_events`; 0 if there are none.
    pub prev_depth: u64,
}

impl Head {
    /// The place before the first event of a room.
    pub fn root(version: RoomVersion, room_id: Option<OwnedRoomId>) -> Self {
        Self { version, room_id, prev_events: Vec::new(), prev_depth: 0 }
    }

    /// The place right after one event.
    pub fn after(event: &Pdu) -> Self {
        Self {
            version: event.version(),
            room_id: Some(event.room_id().to_owned()),
            prev_events: vec![event.event_id().to_owned()],
            prev_depth: event.depth(),
        }
    }
}

/// Makes an event of a template: puts it in its place, hashes, signs, and derives its id.
///
/// The authorisation rules are not run; [`super::auth::author`] does both.
///
/// # Errors
///
/// `BadJson` for content that is not canonical JSON (GEN-11), `TooLarge` when a size limit is
/// exceeded (ENC-8).
pub fn build(
    template: &EventTemplate,
    head: &Head,
    auth_events: &[OwnedEventId],
    key: &ServerKey,
) -> Result<Pdu, RoomError> {
    check_sizes(template)?;
    let version = head.version;
    let mut content = canonical_content(&template.content)?;
    let mut event = CanonicalJsonObject::new();
    if let Some(target) = &template.redacts {
        let object = if version.redacts_in_content() { &mut content } else { &mut event };
        object.insert("redacts".into(), target.as_str().into());
    }
    if template.kind == "m.room.redaction" && version.redacts_in_content() {
        check_target(content.get("redacts"))?;
    }
    let is_root = version.is_create_hash() && template.kind == "m.room.create";
    match (&head.room_id, is_root) {
        (Some(room_id), false) => {
            event.insert("room_id".into(), room_id.as_str().into());
        }
        (None, true) => {}
        _ => return Err(RoomError::BadJson("the room id does not fit the room version".into())),
    }
    let depth = head.prev_depth.saturating_add(1).min(MAX_DEPTH);
    event.insert("type".into(), template.kind.as_str().into());
    event.insert("sender".into(), template.sender.as_str().into());
    event.insert("content".into(), content.into());
    event.insert("origin_server_ts".into(), integer(template.origin_server_ts));
    event.insert("depth".into(), integer(depth));
    event.insert("prev_events".into(), ids(&head.prev_events));
    event.insert("auth_events".into(), ids(auth_events));
    if let Some(state_key) = &template.state_key {
        event.insert("state_key".into(), state_key.as_str().into());
    }
    key.hash_and_sign(&mut event, &version.rules().redaction)?;
    Pdu::from_canonical(version, event)
}

/// A new room id for room versions 10 and 11, from 18 random bytes.
///
/// Version 12 needs none: there the id is the hash of the create event.
pub fn room_id_from_random(random: &[u8; 18], server_name: &ServerName) -> Result<OwnedRoomId, RoomError> {
    const LETTERS: &[u8; 52] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let local: String = random
        .iter()
        .filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()))
        .map(|letter| char::from(*letter))
        .collect();
    RoomId::parse(format!("!{local}:{server_name}")).map_err(RoomError::bad_json)
}

/// The sizes that can be checked before the event is built, so that the answer names them.
fn check_sizes(template: &EventTemplate) -> Result<(), RoomError> {
    if template.kind.is_empty() {
        return Err(RoomError::BadJson("the event type is empty".into()));
    }
    let sized = [
        ("event type", template.kind.as_str()),
        ("state key", template.state_key.as_deref().unwrap_or("")),
        ("sender", template.sender.as_str()),
    ];
    for (what, value) in sized {
        if value.len() > MAX_ID_BYTES {
            return Err(RoomError::TooLarge { what, limit: MAX_ID_BYTES });
        }
    }
    Ok(())
}

fn check_target(redacts: Option<&CanonicalJsonValue>) -> Result<(), RoomError> {
    redacts
        .and_then(CanonicalJsonValue::as_str)
        .filter(|id| EventId::parse(id).is_ok())
        .map(|_| ())
        .ok_or_else(|| RoomError::BadJson("a redaction names the event it redacts".into()))
}

fn integer(value: u64) -> CanonicalJsonValue {
    CanonicalJsonValue::Integer(Int::new_saturating(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn ids(events: &[OwnedEventId]) -> CanonicalJsonValue {
    CanonicalJsonValue::Array(events.iter().map(|id| id.as_str().into()).collect())
}

/// Errors of hashing and signing in our words.
pub(crate) fn json_error(error: JsonError) -> RoomError {
    match error {
        JsonError::PduTooLarge => RoomError::TooLarge { what: "event", limit: MAX_PDU_BYTES },
        other => RoomError::bad_json(other),
    }
}
