//! Filters: which events a client wants, and which members of them (client-server API,
//! "Filtering").

use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, DeserializeOwned},
};
use serde_json::{Map, Value, value::RawValue};
use thiserror::Error;

use crate::{
    error::ErrorKind,
    rooms::{Pdu, relations::Relation},
};

/// The number of timeline events a room gets when the client does not say.
pub const DEFAULT_LIMIT: usize = 10;
/// The greatest number of timeline events a room gets.
pub const MAX_LIMIT: usize = 100;
/// The greatest size of a filter in bytes of JSON.
pub const MAX_FILTER_BYTES: usize = 65_536;

/// Why a filter is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FilterError {
    /// The filter does not have the form of one.
    #[error("the filter is not valid: {0}")]
    BadJson(String),
    /// The filter is larger than [`MAX_FILTER_BYTES`].
    #[error("the filter is larger than {MAX_FILTER_BYTES} bytes")]
    TooLarge,
}

impl FilterError {
    /// What the error means for the answer.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::BadJson(_) => ErrorKind::BadJson,
            Self::TooLarge => ErrorKind::TooLarge,
        }
    }
}

/// The form in which events are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventFormat {
    /// As clients want them.
    #[default]
    Client,
    /// As servers exchange them.
    Federation,
}

/// A filter for `/sync`. Members that are not known are ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// The members of events to send; all if absent.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub event_fields: Option<Vec<String>>,
    /// The form of events.
    pub event_format: EventFormat,
    /// Presence.
    #[serde(deserialize_with = "object")]
    pub presence: EventFilter,
    /// Account data that belongs to no room.
    #[serde(deserialize_with = "object")]
    pub account_data: EventFilter,
    /// Everything that belongs to rooms.
    #[serde(deserialize_with = "object")]
    pub room: RoomFilter,
}

/// A filter of events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventFilter {
    /// How many events at most.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Only these senders.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub senders: Option<Vec<OwnedUserId>>,
    /// Not these senders.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_senders: Vec<OwnedUserId>,
    /// Only these types; `*` stands for any characters.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub types: Option<Vec<String>>,
    /// Not these types; `*` stands for any characters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_types: Vec<String>,
}

/// A filter of room data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoomFilter {
    /// Only these rooms.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub rooms: Option<Vec<OwnedRoomId>>,
    /// Not these rooms.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_rooms: Vec<OwnedRoomId>,
    /// Whether to send rooms the user has left.
    pub include_leave: bool,
    /// Receipts, typing.
    #[serde(deserialize_with = "object")]
    pub ephemeral: RoomEventFilter,
    /// State.
    #[serde(deserialize_with = "object")]
    pub state: RoomEventFilter,
    /// Timeline.
    #[serde(deserialize_with = "object")]
    pub timeline: RoomEventFilter,
    /// Account data of rooms.
    #[serde(deserialize_with = "object")]
    pub account_data: RoomEventFilter,
}

/// A filter of events in rooms; also the `filter` of `/messages`, `/context` and `/search`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoomEventFilter {
    /// How many events at most.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Only these senders.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub senders: Option<Vec<OwnedUserId>>,
    /// Not these senders.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_senders: Vec<OwnedUserId>,
    /// Only these types; `*` stands for any characters.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub types: Option<Vec<String>>,
    /// Not these types; `*` stands for any characters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_types: Vec<String>,
    /// Only these rooms.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub rooms: Option<Vec<OwnedRoomId>>,
    /// Not these rooms.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_rooms: Vec<OwnedRoomId>,
    /// Only events with (or without) a `url` in their content.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub contains_url: Option<bool>,
    /// Only events to which one of these kinds of relation leads; any event if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related_by_rel_types: Vec<String>,
    /// Only events to which one of these users relates an event of theirs; any event if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related_by_senders: Vec<OwnedUserId>,
    /// Whether to send only the member events that the timeline needs.
    pub lazy_load_members: bool,
    /// With lazy loading: whether to send member events that the client has already.
    pub include_redundant_members: bool,
    /// Whether to count notifications for each thread.
    pub unread_thread_notifications: bool,
}

/// Refuses `null` where a member may be absent but not empty.
fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Refuses an array where an object is meant: derived types read both.
fn object<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let members = Map::<String, Value>::deserialize(deserializer)?;
    T::deserialize(Value::Object(members)).map_err(de::Error::custom)
}

fn parse<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, FilterError> {
    if json.len() > MAX_FILTER_BYTES {
        return Err(FilterError::TooLarge);
    }
    if !json.trim_start().starts_with('{') {
        return Err(FilterError::BadJson("a filter is an object".into()));
    }
    serde_json::from_str(json).map_err(|error| FilterError::BadJson(error.to_string()))
}

impl Filter {
    /// Reads a filter as a client wrote it.
    ///
    /// # Errors
    ///
    /// `BadJson` for members of the wrong type or malformed ids, `TooLarge` beyond
    /// [`MAX_FILTER_BYTES`].
    pub fn parse(json: &str) -> Result<Self, FilterError> {
        parse(json)
    }

    /// Cuts an event in client form down to the members asked for in `event_fields`.
    pub fn cut_fields(&self, event: Box<RawValue>) -> Box<RawValue> {
        let Some(fields) = &self.event_fields else { return event };
        let Ok(whole) = serde_json::from_str::<Map<String, Value>>(event.get()) else {
            return event;
        };
        let mut kept = Map::new();
        for field in fields {
            copy_path(&whole, &mut kept, &path(field));
        }
        crate::rooms::raw(&kept)
    }
}

impl EventFilter {
    /// Whether an event that belongs to no room passes; account data has no sender.
    pub fn admits(&self, kind: &str, sender: Option<&UserId>) -> bool {
        admits_kind(self.types.as_deref(), &self.not_types, kind)
            && sender.is_none_or(|sender| admits(self.senders.as_deref(), &self.not_senders, sender))
    }
}

impl RoomFilter {
    /// Whether anything of a room is wanted.
    pub fn admits_room(&self, room: &RoomId) -> bool {
        admits(self.rooms.as_deref(), &self.not_rooms, room)
    }
}

impl RoomEventFilter {
    /// Reads the `filter` parameter of `/messages` and the like.
    ///
    /// # Errors
    ///
    /// As [`Filter::parse`].
    pub fn parse(json: &str) -> Result<Self, FilterError> {
        parse(json)
    }

    /// How many events to send at most, no more than [`MAX_LIMIT`]. Clients that want no timeline ask for 0.
    pub fn limit(&self) -> usize {
        self.limit.map_or(DEFAULT_LIMIT, |limit| usize::try_from(limit).unwrap_or(MAX_LIMIT).min(MAX_LIMIT))
    }

    /// Whether a room's events are wanted.
    pub fn admits_room(&self, room: &RoomId) -> bool {
        admits(self.rooms.as_deref(), &self.not_rooms, room)
    }

    /// Whether an event passes.
    pub fn admits(&self, pdu: &Pdu) -> bool {
        self.admits_room(pdu.room_id())
            && admits_kind(self.types.as_deref(), &self.not_types, pdu.kind())
            && admits(self.senders.as_deref(), &self.not_senders, pdu.sender())
            && self.contains_url.is_none_or(|wanted| pdu.content_field::<String>("url").is_some() == wanted)
    }

    /// Whether [`Self::admits`] is not all: an event passes only if one of those that relate to it passes
    /// [`Self::admits_child`].
    pub fn asks_for_children(&self) -> bool {
        !self.related_by_rel_types.is_empty() || !self.related_by_senders.is_empty()
    }

    /// Whether an event by its relation lets the event pass to which it relates.
    pub fn admits_child(&self, child: &Pdu) -> bool {
        let is_kind = |relation: Relation| {
            self.related_by_rel_types.is_empty() || self.related_by_rel_types.contains(&relation.rel_type)
        };
        (self.related_by_senders.is_empty() || self.related_by_senders.iter().any(|sender| sender == child.sender()))
            && Relation::of(child).is_some_and(is_kind)
    }

    /// Whether an ephemeral event or account data of a room passes: these have no sender.
    pub fn admits_kind(&self, room: &RoomId, kind: &str) -> bool {
        self.admits_room(room) && admits_kind(self.types.as_deref(), &self.not_types, kind)
    }

    /// Whether every event passes, so that none need be looked at.
    pub fn admits_all(&self) -> bool {
        self.senders.is_none()
            && self.not_senders.is_empty()
            && self.types.is_none()
            && self.not_types.is_empty()
            && self.rooms.is_none()
            && self.not_rooms.is_empty()
            && self.contains_url.is_none()
            && !self.asks_for_children()
    }
}

/// Excluding wins over including; no list to include means all, an empty one none.
fn admits<O, B>(only: Option<&[O]>, not: &[O], value: &B) -> bool
where
    O: AsRef<B>,
    B: ?Sized + PartialEq,
{
    !not.iter().any(|entry| entry.as_ref() == value)
        && only.is_none_or(|only| only.iter().any(|entry| entry.as_ref() == value))
}

fn admits_kind(only: Option<&[String]>, not: &[String], kind: &str) -> bool {
    !not.iter().any(|pattern| glob(pattern, kind))
        && only.is_none_or(|only| only.iter().any(|pattern| glob(pattern, kind)))
}

/// Whether `text` matches `pattern`, in which `*` stands for any characters, also none.
fn glob(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.as_bytes(), text.as_bytes());
    // Where to go on when the text after the last star does not fit.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), text.split_first()) {
            (Some((b'*', rest)), _) => {
                retry = Some((rest, text));
                pattern = rest;
            }
            (Some((wanted, rest)), Some((found, more))) if wanted == found => {
                (pattern, text) = (rest, more);
            }
            (None, None) => return true,
            _ => match retry {
                Some((after_star, from)) => {
                    let Some((_, shorter)) = from.split_first() else { return false };
                    retry = Some((after_star, shorter));
                    (pattern, text) = (after_star, shorter);
                }
                None => return false,
            },
        }
    }
}

/// Splits a path at its dots; a backslash takes a dot or a backslash literally (appendix
/// "Dot-separated property paths").
fn path(field: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = field.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, characters.peek()) {
            ('.', _) => {
                parts.push(String::new());
            }
            ('\\', Some('.' | '\\')) => {
                if let (Some(part), Some(next)) = (parts.last_mut(), characters.next()) {
                    part.push(next);
                }
            }
            (other, _) => {
                if let Some(part) = parts.last_mut() {
                    part.push(other);
                }
            }
        }
    }
    parts
}

fn copy_path(from: &Map<String, Value>, to: &mut Map<String, Value>, path: &[String]) {
    let Some((first, rest)) = path.split_first() else { return };
    let Some(value) = from.get(first) else { return };
    if rest.is_empty() {
        to.insert(first.clone(), value.clone());
        return;
    }
    let Value::Object(inner) = value else { return };
    let mut below = match to.remove(first) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    };
    copy_path(inner, &mut below, rest);
    if !below.is_empty() {
        to.insert(first.clone(), Value::Object(below));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn stars_stand_for_any_characters() {
        for (pattern, text, expected) in [
            ("m.room.message", "m.room.message", true),
            ("m.room.*", "m.room.message", true),
            ("m.room.*", "m.room.", true),
            ("m.room.*", "m.roomx", false),
            ("*", "", true),
            ("*.message", "m.room.message", true),
            ("m.*.m*e", "m.room.message", true),
            ("m.*.m*x", "m.room.message", false),
            ("a*b*c", "abbbcbc", true),
            ("", "a", false),
            ("**", "a", true),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn paths_split_at_dots_that_are_not_escaped() {
        assert_eq!(path("content.body"), ["content", "body"]);
        assert_eq!(path(r"content.m\.relates_to.key"), ["content", "m.relates_to", "key"]);
        assert_eq!(path(r"a\\.b"), [r"a\", "b"]);
        assert_eq!(path(r"a\x"), [r"a\x"]);
    }

    #[test]
    fn fields_are_cut() {
        let filter =
            Filter::parse(r#"{"event_fields":["type","content.body","content.m\\.x.y","content.none.z"]}"#).unwrap();
        let event = r#"{"type":"t","sender":"@a:b","content":{"body":"x","m.x":{"y":1,"z":2},"none":3}}"#;
        let cut = filter.cut_fields(RawValue::from_string(event.into()).unwrap());
        let cut: Value = serde_json::from_str(cut.get()).unwrap();
        assert_eq!(cut, serde_json::json!({"type":"t","content":{"body":"x","m.x":{"y":1}}}));
    }

    #[test]
    fn wrong_shapes_are_refused() {
        for json in [
            "[]",
            "1",
            r#"{"room":[]}"#,
            r#"{"room":{"timeline":{"limit":"ten"}}}"#,
            r#"{"room":{"timeline":{"limit":-1}}}"#,
            r#"{"room":{"timeline":{"limit":1.5}}}"#,
            r#"{"room":{"timeline":{"types":"m.room.message"}}}"#,
            r#"{"room":{"timeline":{"types":null}}}"#,
            r#"{"room":{"timeline":{"types":[1]}}}"#,
            r#"{"room":{"rooms":["not a room"]}}"#,
            r#"{"room":{"timeline":{"senders":["nobody"]}}}"#,
            r#"{"presence":{"not_senders":["nobody"]}}"#,
            r#"{"event_fields":"content"}"#,
            r#"{"event_format":"other"}"#,
            r#"{"room":{"state":{"lazy_load_members":"yes"}}}"#,
        ] {
            let error = Filter::parse(json).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadJson, "{json}");
        }
        let large = format!(r#"{{"event_fields":["{}"]}}"#, "x".repeat(MAX_FILTER_BYTES));
        assert_eq!(Filter::parse(&large).unwrap_err().kind(), ErrorKind::TooLarge);
    }

    #[test]
    fn unknown_members_are_ignored_and_defaults_apply() {
        let filter = Filter::parse(r#"{"org.example":1,"room":{"timeline":{}}}"#).unwrap();
        assert_eq!(filter, Filter::default());
        assert_eq!(filter.room.timeline.limit(), 10);
        let limited = |limit: u64| RoomEventFilter { limit: Some(limit), ..Default::default() };
        assert_eq!(limited(1000).limit(), 100);
        assert_eq!(limited(20).limit(), 20);
        assert_eq!(limited(0).limit(), 0);
    }

    #[test]
    fn excluding_wins() {
        let filter =
            EventFilter { types: Some(vec!["m.*".into()]), not_types: vec!["m.bad".into()], ..Default::default() };
        assert!(filter.admits("m.good", None));
        assert!(!filter.admits("m.bad", None));
        assert!(!filter.admits("x.other", None));
        let none = EventFilter { types: Some(Vec::new()), ..Default::default() };
        assert!(!none.admits("m.good", None));
    }
}
