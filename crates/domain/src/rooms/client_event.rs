//! Events as clients see them.

use std::{borrow::Cow, collections::BTreeMap};

use ruma::{EventId, RoomId, UserId, events::room::member::MembershipState};
use serde::Serialize;
use serde_json::value::RawValue;

use super::Pdu;

/// The two forms of a client event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// With `room_id`: everywhere but in `/sync`.
    Full,
    /// Without `room_id`: in `/sync`, where the room is implied.
    Sync,
}

/// What the server adds under `unsigned`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unsigned<'a> {
    /// The time now in milliseconds since 1970, to tell the event's age.
    pub now: Option<u64>,
    /// The transaction id, only for the device that sent the event.
    pub transaction_id: Option<&'a str>,
    /// The asker's membership at the event, with the changes it makes (MSC4115; SYNC-13).
    pub membership: Option<&'a MembershipState>,
    /// The content of the state event that this one replaced, if the asker may see that.
    pub prev_content: Option<&'a RawValue>,
    /// The state event that this one replaced.
    pub replaces_state: Option<&'a EventId>,
    /// Bundled aggregations ([`super::relations::Bundle::render`]).
    pub relations: Option<&'a RawValue>,
    /// The redaction event in client form, for an event that was redacted.
    pub redacted_because: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct UnsignedBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    age: Option<i64>,
    #[serde(rename = "m.relations", skip_serializing_if = "Option::is_none")]
    relations: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    membership: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_content: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redacted_because: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces_state: Option<&'a EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_id: Option<&'a str>,
}

#[derive(Serialize)]
struct ClientEvent<'a> {
    content: Cow<'a, RawValue>,
    event_id: &'a EventId,
    origin_server_ts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    redacts: Option<&'a EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_id: Option<&'a RoomId>,
    sender: &'a UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_key: Option<&'a str>,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unsigned: Option<UnsignedBody<'a>>,
}

#[derive(Serialize)]
struct Stripped<'a> {
    content: &'a RawValue,
    sender: &'a UserId,
    state_key: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
}

/// The types of state shown to somebody who is invited or knocks (client-server API, "Stripped
/// state"; SYNC-10, SYNC-11), all with an empty state key. The create event comes first.
pub const STRIPPED_STATE: [&str; 7] = [
    "m.room.create",
    "m.room.name",
    "m.room.avatar",
    "m.room.topic",
    "m.room.join_rules",
    "m.room.canonical_alias",
    "m.room.encryption",
];

/// The event in client form.
pub fn client_event(pdu: &Pdu, form: Form, unsigned: &Unsigned<'_>) -> Box<RawValue> {
    super::raw(&ClientEvent {
        content: content(pdu),
        event_id: pdu.event_id(),
        origin_server_ts: pdu.origin_server_ts(),
        redacts: pdu.redacts(),
        room_id: (form == Form::Full).then(|| pdu.room_id()),
        sender: pdu.sender(),
        state_key: pdu.state_key(),
        kind: pdu.kind(),
        unsigned: unsigned.body(pdu),
    })
}

/// The event as stripped state: sender, type, state key and content, nothing else (SYNC-12).
/// `None` for an event that is not state.
pub fn stripped(pdu: &Pdu) -> Option<Box<RawValue>> {
    Some(super::raw(&Stripped {
        content: pdu.content(),
        sender: pdu.sender(),
        state_key: pdu.state_key()?,
        kind: pdu.kind(),
    }))
}

/// The stripped state for somebody invited or knocking: [`STRIPPED_STATE`], then the events
/// given besides, such as their own member event and that of who invites.
pub fn stripped_state(state: impl Fn(&str, &str) -> Option<Pdu>, besides: &[Pdu]) -> Vec<Box<RawValue>> {
    STRIPPED_STATE
        .iter()
        .filter_map(|kind| state(kind, ""))
        .chain(besides.iter().cloned())
        .filter_map(|pdu| stripped(&pdu))
        .collect()
}

/// The content to show. Redactions name their target at the top level and in the content,
/// whichever the room version uses, for old and new clients alike (room version 11).
fn content(pdu: &Pdu) -> Cow<'_, RawValue> {
    let Some(target) = pdu.redacts().filter(|_| !pdu.version().redacts_in_content()) else {
        return Cow::Borrowed(pdu.content());
    };
    let Ok(mut members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(pdu.content().get()) else {
        return Cow::Borrowed(pdu.content());
    };
    let target = super::raw(target);
    members.insert("redacts".to_owned(), &target);
    Cow::Owned(super::raw(&members))
}

impl<'a> Unsigned<'a> {
    fn body(&self, pdu: &Pdu) -> Option<UnsignedBody<'a>> {
        let body = UnsignedBody {
            age: self.now.map(|now| {
                let signed = |time: u64| i64::try_from(time).unwrap_or(i64::MAX);
                signed(now).saturating_sub(signed(pdu.origin_server_ts()))
            }),
            relations: self.relations,
            membership: self.membership.map(MembershipState::as_str),
            prev_content: self.prev_content.filter(|_| pdu.is_state()),
            redacted_because: self.redacted_because,
            replaces_state: self.replaces_state.filter(|_| pdu.is_state()),
            transaction_id: self.transaction_id,
        };
        let is_empty = body.age.is_none()
            && body.relations.is_none()
            && body.membership.is_none()
            && body.prev_content.is_none()
            && body.redacted_because.is_none()
            && body.replaces_state.is_none()
            && body.transaction_id.is_none();
        (!is_empty).then_some(body)
    }
}
