//! A stored event: immutable, cheap to clone.

use std::{fmt, sync::Arc};

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId,
    OwnedUserId, RoomId, UInt, UserId,
    events::{TimelineEventType, room::member::MembershipState},
    signatures::reference_hash,
    state_res::Event,
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{RoomError, RoomVersion, build::json_error};

/// Greatest size of an event in bytes: canonical JSON with signatures (client-server API,
/// "Size limits"; ENC-8).
pub const MAX_PDU_BYTES: usize = 65_536;
/// Greatest size in bytes of identifiers, event types and state keys.
pub const MAX_ID_BYTES: usize = 255;
/// Greatest depth of an event: the largest integer of canonical JSON.
pub const MAX_DEPTH: u64 = (1 << 53) - 1;
/// Greatest number of `prev_events` (room versions, "Event format").
pub const MAX_PREV_EVENTS: usize = 20;
/// Greatest number of `auth_events` (room versions, "Event format").
pub const MAX_AUTH_EVENTS: usize = 10;
/// How deep the content may nest. The JSON reader stops at 128, and an event is served inside
/// other objects, so the limit keeps every event readable wherever it stands.
const MAX_NESTING: usize = 100;

/// An event of a room in its federation form, with the identifiers that are derived from it.
///
/// A clone shares the data. The JSON is canonical and has no `unsigned`.
#[derive(Clone)]
pub struct Pdu(Arc<Inner>);

struct Inner {
    version: RoomVersion,
    event_id: OwnedEventId,
    room_id: OwnedRoomId,
    sender: OwnedUserId,
    kind: String,
    event_type: TimelineEventType,
    state_key: Option<String>,
    content: Box<RawValue>,
    origin_server_ts: MilliSecondsSinceUnixEpoch,
    prev_events: Vec<OwnedEventId>,
    auth_events: Vec<OwnedEventId>,
    depth: u64,
    redacts: Option<OwnedEventId>,
    rejected: bool,
    json: Box<RawValue>,
}

/// The members of the federation form that are read.
#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "type")]
    kind: String,
    room_id: Option<OwnedRoomId>,
    sender: OwnedUserId,
    #[serde(default, deserialize_with = "present")]
    state_key: Option<String>,
    content: Box<RawValue>,
    origin_server_ts: UInt,
    prev_events: Vec<OwnedEventId>,
    auth_events: Vec<OwnedEventId>,
    depth: UInt,
    #[serde(default, deserialize_with = "present")]
    redacts: Option<String>,
}

/// Refuses `null` where a member may be absent but not empty.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

impl Pdu {
    /// Reads an event in federation form, drops `unsigned`, and derives its id from its
    /// reference hash (and for a create event of version 12 the room id too).
    ///
    /// Signatures and the content hash are not verified here.
    ///
    /// # Errors
    ///
    /// `BadJson` if the form is not that of the room version or not canonical JSON, `TooLarge`
    /// if a size limit is exceeded.
    pub fn from_raw(version: RoomVersion, json: &RawValue) -> Result<Self, RoomError> {
        let object = serde_json::from_str(json.get()).map_err(RoomError::bad_json)?;
        Self::from_canonical(version, object)
    }

    pub(crate) fn from_canonical(version: RoomVersion, mut object: CanonicalJsonObject) -> Result<Self, RoomError> {
        object.remove("unsigned");
        let json = super::raw(&object);
        if json.get().len() > MAX_PDU_BYTES {
            return Err(RoomError::TooLarge { what: "event", limit: MAX_PDU_BYTES });
        }
        let hash = reference_hash(&object, version.rules()).map_err(json_error)?;
        let event_id = EventId::parse(format!("${hash}")).map_err(RoomError::bad_json)?;
        let pdu = Self::assemble(version, event_id, false, json)?;
        pdu.check_format()?;
        Ok(pdu)
    }

    /// The form left after a redaction, which keeps the event id.
    pub(crate) fn with_redacted_form(&self, object: &CanonicalJsonObject) -> Result<Self, RoomError> {
        Self::assemble(self.0.version, self.0.event_id.clone(), self.0.rejected, super::raw(object))
    }

    fn assemble(
        version: RoomVersion,
        event_id: OwnedEventId,
        rejected: bool,
        json: Box<RawValue>,
    ) -> Result<Self, RoomError> {
        let fields: Fields = serde_json::from_str(json.get()).map_err(RoomError::bad_json)?;
        if !fields.content.get().starts_with('{') {
            return Err(RoomError::BadJson("the content of an event is an object".into()));
        }
        let is_root = version.is_create_hash() && fields.kind == "m.room.create";
        let room_id = match (fields.room_id, is_root) {
            (Some(room_id), false) => room_id,
            (None, true) => RoomId::parse(event_id.as_str().replacen('$', "!", 1)).map_err(RoomError::bad_json)?,
            (Some(_), true) => {
                return Err(RoomError::BadJson("the create event of this room version has no room_id".into()));
            }
            (None, false) => return Err(RoomError::BadJson("the event has no room_id".into())),
        };
        let redacts = if fields.kind != "m.room.redaction" {
            None
        } else if version.redacts_in_content() {
            content_field::<String>(&fields.content, "redacts")
        } else {
            fields.redacts
        };
        Ok(Self(Arc::new(Inner {
            version,
            event_id,
            room_id,
            sender: fields.sender,
            event_type: TimelineEventType::from(fields.kind.as_str()),
            kind: fields.kind,
            state_key: fields.state_key,
            content: fields.content,
            origin_server_ts: MilliSecondsSinceUnixEpoch(fields.origin_server_ts),
            prev_events: fields.prev_events,
            auth_events: fields.auth_events,
            depth: fields.depth.into(),
            redacts: redacts.and_then(|id| EventId::parse(id).ok()),
            rejected,
            json,
        })))
    }

    fn check_format(&self) -> Result<(), RoomError> {
        let inner = &self.0;
        let sized = [
            ("event id", inner.event_id.as_str()),
            ("room id", inner.room_id.as_str()),
            ("sender", inner.sender.as_str()),
            ("event type", inner.kind.as_str()),
            ("state key", inner.state_key.as_deref().unwrap_or("")),
        ];
        for (what, value) in sized {
            if value.len() > MAX_ID_BYTES {
                return Err(RoomError::TooLarge { what, limit: MAX_ID_BYTES });
            }
        }
        if inner.prev_events.len() > MAX_PREV_EVENTS || inner.auth_events.len() > MAX_AUTH_EVENTS {
            return Err(RoomError::BadJson("the event refers to too many other events".into()));
        }
        if nesting(inner.content.get()) > MAX_NESTING {
            return Err(RoomError::BadJson("the content of the event nests too deep".into()));
        }
        if inner.version.is_create_hash()
            && inner.auth_events.iter().any(|id| id.as_str().get(1..) == inner.room_id.as_str().get(1..))
        {
            return Err(RoomError::BadJson("the create event is not an auth event in this room version".into()));
        }
        Ok(())
    }

    /// The version of the event's room.
    pub fn version(&self) -> RoomVersion {
        self.0.version
    }

    /// The event id: `$` and the reference hash.
    pub fn event_id(&self) -> &EventId {
        &self.0.event_id
    }

    /// The event's room, also for a create event that does not name it.
    pub fn room_id(&self) -> &RoomId {
        &self.0.room_id
    }

    /// The user who sent the event.
    pub fn sender(&self) -> &UserId {
        &self.0.sender
    }

    /// The event type, such as `m.room.message`.
    pub fn kind(&self) -> &str {
        &self.0.kind
    }

    /// The state key, if this is a state event.
    pub fn state_key(&self) -> Option<&str> {
        self.0.state_key.as_deref()
    }

    /// Whether this is a state event.
    pub fn is_state(&self) -> bool {
        self.0.state_key.is_some()
    }

    /// Whether this is a state event of the given type and key.
    pub fn is_state_of(&self, kind: &str, state_key: &str) -> bool {
        self.kind() == kind && self.state_key() == Some(state_key)
    }

    /// The content, always an object.
    pub fn content(&self) -> &RawValue {
        &self.0.content
    }

    /// Reads the content as a type.
    pub fn content_as<T: DeserializeOwned>(&self) -> Result<T, RoomError> {
        serde_json::from_str(self.0.content.get()).map_err(RoomError::bad_json)
    }

    /// One member of the content, if it is there and has the type asked for.
    pub fn content_field<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        content_field(&self.0.content, key)
    }

    /// The membership an `m.room.member` event gives to its state key.
    pub fn membership(&self) -> Option<MembershipState> {
        if self.kind() != "m.room.member" {
            return None;
        }
        self.content_field("membership")
    }

    /// When the sender's server says the event was made, in milliseconds since 1970.
    pub fn origin_server_ts(&self) -> u64 {
        self.0.origin_server_ts.0.into()
    }

    /// The events that came before.
    pub fn prev_events(&self) -> &[OwnedEventId] {
        &self.0.prev_events
    }

    /// The events that authorise this one.
    pub fn auth_events(&self) -> &[OwnedEventId] {
        &self.0.auth_events
    }

    /// One more than the greatest depth before, at most [`MAX_DEPTH`].
    pub fn depth(&self) -> u64 {
        self.0.depth
    }

    /// The event that this `m.room.redaction` redacts.
    pub fn redacts(&self) -> Option<&EventId> {
        self.0.redacts.as_deref()
    }

    /// Whether the checks on receipt rejected the event.
    pub fn rejected(&self) -> bool {
        self.0.rejected
    }

    /// The same event, marked as rejected.
    pub fn into_rejected(self) -> Result<Self, RoomError> {
        Self::assemble(self.0.version, self.0.event_id.clone(), true, self.0.json.clone())
    }

    /// The federation form: canonical JSON, hashed and signed, without `unsigned`.
    pub fn json(&self) -> &RawValue {
        &self.0.json
    }

    /// The federation form as an object to work on.
    pub fn canonical(&self) -> Result<CanonicalJsonObject, RoomError> {
        serde_json::from_str(self.0.json.get()).map_err(RoomError::bad_json)
    }

    /// Whether both are the same event. An id is a hash of the event, so it decides.
    pub fn same_event(&self, other: &Self) -> bool {
        self.0.event_id == other.0.event_id
    }
}

impl fmt::Debug for Pdu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pdu")
            .field("event_id", &self.0.event_id)
            .field("kind", &self.0.kind)
            .field("state_key", &self.0.state_key)
            .field("sender", &self.0.sender)
            .finish_non_exhaustive()
    }
}

/// One member of a content object, if it is there and has the type asked for.
pub(crate) fn content_field<T: DeserializeOwned>(content: &RawValue, key: &str) -> Option<T> {
    let found = Find(key).deserialize(&mut serde_json::Deserializer::from_str(content.get())).ok()??;
    serde_json::from_str(found.get()).ok()
}

/// Finds one member of an object and skips the others; members are read often, contents are long.
struct Find<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Find<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_wanted) = members.next_key_seed(Is(self.0))? {
            if is_wanted {
                found = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Compares a member's name without copying it.
struct Is<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

/// How deep arrays and objects nest in valid JSON.
pub(crate) fn nesting(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in json.bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Parses a content object as canonical JSON: no floats, no integers out of range (GEN-11).
pub(crate) fn canonical_content(content: &RawValue) -> Result<CanonicalJsonObject, RoomError> {
    let value: CanonicalJsonValue = serde_json::from_str(content.get())
        .map_err(|error| RoomError::BadJson(format!("the content is not valid: {error}")))?;
    match value {
        CanonicalJsonValue::Object(object) => Ok(object),
        _ => Err(RoomError::BadJson("the content of an event is an object".into())),
    }
}

/// The form in which an event is kept: the federation form and what cannot be read from it.
#[derive(Serialize)]
struct StoredRef<'a> {
    version: RoomVersion,
    event_id: &'a EventId,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    rejected: bool,
    pdu: &'a RawValue,
}

#[derive(Deserialize)]
struct Stored {
    version: RoomVersion,
    event_id: OwnedEventId,
    #[serde(default)]
    rejected: bool,
    pdu: Box<RawValue>,
}

impl Serialize for Pdu {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Inner { version, event_id, rejected, json, .. } = &*self.0;
        StoredRef { version: *version, event_id, rejected: *rejected, pdu: json }.serialize(serializer)
    }
}

/// Reads the stored form. The event id is taken as stored and not computed again.
impl<'de> Deserialize<'de> for Pdu {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        Self::assemble(stored.version, stored.event_id, stored.rejected, stored.pdu).map_err(serde::de::Error::custom)
    }
}

impl Event for Pdu {
    type Id = OwnedEventId;

    fn event_id(&self) -> &Self::Id {
        &self.0.event_id
    }

    fn room_id(&self) -> Option<&RoomId> {
        // The authorisation rules refuse a create event that names its room (version 12).
        let is_root = self.0.version.is_create_hash() && self.0.kind == "m.room.create";
        (!is_root).then_some(&*self.0.room_id)
    }

    fn sender(&self) -> &UserId {
        &self.0.sender
    }

    fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        self.0.origin_server_ts
    }

    fn event_type(&self) -> &TimelineEventType {
        &self.0.event_type
    }

    fn content(&self) -> &RawValue {
        &self.0.content
    }

    fn state_key(&self) -> Option<&str> {
        self.0.state_key.as_deref()
    }

    fn prev_events(&self) -> Box<dyn DoubleEndedIterator<Item = &Self::Id> + '_> {
        Box::new(self.0.prev_events.iter())
    }

    fn auth_events(&self) -> Box<dyn DoubleEndedIterator<Item = &Self::Id> + '_> {
        Box::new(self.0.auth_events.iter())
    }

    fn redacts(&self) -> Option<&Self::Id> {
        self.0.redacts.as_ref()
    }

    fn rejected(&self) -> bool {
        self.0.rejected
    }
}
