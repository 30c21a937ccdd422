//! The shape of an answer. Events come as finished JSON and are only copied into it.

use std::collections::BTreeMap;

use olmstead_domain::{
    device_lists::DeviceLists,
    position::{SyncToken, TimelineToken},
};
use olmstead_storage::keys::KeyCounts;
use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::value::RawValue;

use crate::unread::Counts;

/// An event or account data entry, ready to be sent.
pub(crate) type Json = Box<RawValue>;

/// The whole answer.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    #[serde(serialize_with = "as_text")]
    pub(super) next_batch: SyncToken,
    #[serde(skip_serializing_if = "Rooms::is_empty")]
    pub(super) rooms: Rooms,
    #[serde(skip_serializing_if = "Events::is_empty")]
    pub(super) presence: Events,
    #[serde(skip_serializing_if = "Events::is_empty")]
    pub(super) account_data: Events,
    pub(super) to_device: Events,
    #[serde(skip_serializing_if = "DeviceLists::is_empty", serialize_with = "device_lists")]
    pub(super) device_lists: DeviceLists,
    #[serde(rename = "device_one_time_keys_count", serialize_with = "one_time_keys")]
    pub(super) one_time_keys: BTreeMap<String, u64>,
    #[serde(rename = "device_unused_fallback_key_types")]
    pub(super) fallback_keys: Vec<String>,
    /// Clients of before version 1.2 know it by this name.
    #[serde(rename = "org.matrix.msc2732.device_unused_fallback_key_types")]
    pub(super) fallback_keys_unstable: Vec<String>,
}

impl Answer {
    /// An answer that says no more than how many keys the device has.
    pub(super) fn new(next_batch: SyncToken, counts: KeyCounts) -> Self {
        Self {
            next_batch,
            rooms: Rooms::default(),
            presence: Events::default(),
            account_data: Events::default(),
            to_device: Events::default(),
            device_lists: DeviceLists::default(),
            one_time_keys: counts.one_time_keys,
            fallback_keys_unstable: counts.unused_fallback_keys.clone(),
            fallback_keys: counts.unused_fallback_keys,
        }
    }

    /// Whether a client that waits would learn nothing from it.
    pub(super) fn is_empty(&self) -> bool {
        self.rooms.is_empty()
            && self.presence.is_empty()
            && self.account_data.is_empty()
            && self.to_device.is_empty()
            && self.device_lists.is_empty()
    }
}

/// `{"events": […]}`.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Events {
    pub(crate) events: Vec<Json>,
}

impl Events {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

impl From<Vec<Json>> for Events {
    fn from(events: Vec<Json>) -> Self {
        Self { events }
    }
}

/// The `rooms` section.
#[derive(Debug, Default, Serialize)]
pub(super) struct Rooms {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) join: BTreeMap<OwnedRoomId, JoinedRoom>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) invite: BTreeMap<OwnedRoomId, InvitedRoom>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) knock: BTreeMap<OwnedRoomId, KnockedRoom>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) leave: BTreeMap<OwnedRoomId, LeftRoom>,
}

impl Rooms {
    pub(super) fn is_empty(&self) -> bool {
        self.join.is_empty() && self.invite.is_empty() && self.knock.is_empty() && self.leave.is_empty()
    }
}

/// State before or after the timeline, under the name the client asked for (SYNC-6, SYNC-7, SYNC-18).
#[derive(Debug, Default, Serialize)]
pub(super) struct StateSection {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<Events>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state_after: Option<Events>,
    #[serde(rename = "org.matrix.msc4222.state_after", skip_serializing_if = "Option::is_none")]
    pub(super) state_after_unstable: Option<Events>,
}

impl StateSection {
    pub(super) fn is_empty(&self) -> bool {
        [&self.state, &self.state_after, &self.state_after_unstable].into_iter().flatten().all(Events::is_empty)
    }
}

/// A page of a timeline.
#[derive(Debug, Serialize)]
pub(crate) struct TimelineSection {
    pub(crate) events: Vec<Json>,
    pub(crate) limited: bool,
    #[serde(serialize_with = "as_text")]
    pub(crate) prev_batch: TimelineToken,
}

/// What a client needs to name a room.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    #[serde(rename = "m.heroes", skip_serializing_if = "Option::is_none")]
    pub(crate) heroes: Option<Vec<OwnedUserId>>,
    #[serde(rename = "m.joined_member_count", skip_serializing_if = "Option::is_none")]
    pub(crate) joined: Option<u64>,
    #[serde(rename = "m.invited_member_count", skip_serializing_if = "Option::is_none")]
    pub(crate) invited: Option<u64>,
}

impl Summary {
    pub(super) fn is_empty(&self) -> bool {
        self.heroes.is_none() && self.joined.is_none() && self.invited.is_none()
    }
}

/// A room the user is in.
#[derive(Debug, Serialize)]
pub(super) struct JoinedRoom {
    pub(super) summary: Summary,
    #[serde(flatten)]
    pub(super) state: StateSection,
    pub(super) timeline: TimelineSection,
    pub(super) ephemeral: Events,
    pub(super) account_data: Events,
    pub(super) unread_notifications: Counts,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) unread_thread_notifications: BTreeMap<OwnedEventId, Counts>,
}

/// A room the user has left, or was made to leave.
#[derive(Debug, Serialize)]
pub(super) struct LeftRoom {
    #[serde(flatten)]
    pub(super) state: StateSection,
    pub(super) timeline: TimelineSection,
    pub(super) account_data: Events,
}

/// A room the user is invited to.
#[derive(Debug, Serialize)]
pub(super) struct InvitedRoom {
    pub(super) invite_state: Events,
}

/// A room the user asks to be let into.
#[derive(Debug, Serialize)]
pub(super) struct KnockedRoom {
    pub(super) knock_state: Events,
}

pub(crate) fn as_text<T: ToString, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

/// The one-time key algorithm that all clients use.
const SIGNED_CURVE25519: &str = "signed_curve25519";

/// Always says how many keys of the usual algorithm there are: a client cannot tell "none" from "no news" (SYNC-2).
pub(crate) fn one_time_keys<S: Serializer>(counts: &BTreeMap<String, u64>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    for (algorithm, count) in counts {
        map.serialize_entry(algorithm, count)?;
    }
    if !counts.contains_key(SIGNED_CURVE25519) {
        map.serialize_entry(SIGNED_CURVE25519, &0)?;
    }
    map.end()
}

pub(crate) fn device_lists<S: Serializer>(lists: &DeviceLists, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Section<'a> {
        changed: &'a [OwnedUserId],
        left: &'a [OwnedUserId],
    }
    Section { changed: &lists.changed, left: &lists.left }.serialize(serializer)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use olmstead_domain::position::{Epoch, Position};
    use serde_json::{Value, json};

    use super::*;

    fn token() -> SyncToken {
        SyncToken { epoch: Epoch(1), position: Position(7), generation: 3, inbox: None }
    }

    #[test]
    fn an_empty_answer_still_tells_of_keys() {
        let answer = Answer::new(token(), KeyCounts::default());
        assert!(answer.is_empty());
        let value: Value = serde_json::from_slice(&serde_json::to_vec(&answer).unwrap()).unwrap();
        assert_eq!(
            value,
            json!({
                "next_batch": "s1_7_3",
                "to_device": {"events": []},
                "device_one_time_keys_count": {"signed_curve25519": 0},
                "device_unused_fallback_key_types": [],
                "org.matrix.msc2732.device_unused_fallback_key_types": [],
            })
        );
    }

    #[test]
    fn device_lists_have_both_arrays() {
        let mut answer = Answer::new(token(), KeyCounts::default());
        answer.device_lists.changed.push("@a:example.org".parse().unwrap());
        let value: Value = serde_json::from_slice(&serde_json::to_vec(&answer).unwrap()).unwrap();
        assert_eq!(value["device_lists"], json!({"changed": ["@a:example.org"], "left": []}));
    }

    #[test]
    fn state_goes_under_one_name_and_raw_events_survive_flattening() {
        let event = RawValue::from_string(r#"{"a":1}"#.into()).unwrap();
        let room = LeftRoom {
            state: StateSection { state_after: Some(vec![event].into()), ..Default::default() },
            timeline: TimelineSection {
                events: Vec::new(),
                limited: false,
                prev_batch: TimelineToken(olmstead_domain::position::Cursor::START),
            },
            account_data: Events::default(),
        };
        let value: Value = serde_json::from_slice(&serde_json::to_vec(&room).unwrap()).unwrap();
        assert_eq!(value["state_after"], json!({"events": [{"a": 1}]}));
        assert!(value.get("state").is_none());
    }
}
