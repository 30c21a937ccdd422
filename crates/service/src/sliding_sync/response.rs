//! The shape of an answer. Events come as finished JSON and are only copied into it.

use std::collections::BTreeMap;

use olmstead_domain::{
    device_lists::DeviceLists,
    position::{Position, SlidingToken, SyncToken, TimelineToken},
};
use ruma::{OwnedRoomId, OwnedUserId};
use serde::{Serialize, Serializer};

use crate::{
    sync::response::{Json, as_text, device_lists, one_time_keys},
    unread::Counts,
};

/// The whole answer. The request's `txn_id` is not in it: the SDKs that send one take its return to mean that the server
/// remembers extensions and subscriptions, and leave them out from then on.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    #[serde(serialize_with = "as_text")]
    pub(super) pos: SlidingToken,
    pub(super) lists: BTreeMap<String, List>,
    pub(super) rooms: BTreeMap<OwnedRoomId, Room>,
    pub(super) extensions: Extensions,
}

/// A list.
#[derive(Debug, Serialize)]
pub(super) struct List {
    pub(super) count: u64,
}

/// A room.
#[derive(Debug, Default, Serialize)]
pub(super) struct Room {
    /// Everything the client knows of the room is replaced.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) initial: bool,
    /// `None`: no news; null: the room has none any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<Option<String>>,
    /// As `name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) avatar: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) heroes: Option<Vec<Hero>>,
    pub(super) is_dm: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) required_state: Vec<Json>,
    #[serde(flatten)]
    pub(super) timeline: Option<Timeline>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) joined_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) invited_count: Option<u64>,
    #[serde(flatten)]
    pub(super) unread: Option<Counts>,
    pub(super) bump_stamp: Position,
    /// Of a room the user is invited to, and of one they knock at, since clients read either here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) invite_state: Option<Vec<Json>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) knock_state: Option<Vec<Json>>,
}

/// A page of a timeline.
#[derive(Debug)]
pub(super) struct Timeline {
    pub(super) events: Vec<Json>,
    pub(super) limited: bool,
    pub(super) prev_batch: TimelineToken,
    pub(super) num_live: usize,
    /// Events from before the span are among them, because the client wants more of them than it did.
    pub(super) expanded: bool,
}

/// One of those who stand for a room's name.
#[derive(Debug, Serialize)]
pub(super) struct Hero {
    pub(super) user_id: OwnedUserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) displayname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) avatar_url: Option<String>,
}

/// The extensions that were asked for.
#[derive(Debug, Default, Serialize)]
pub(super) struct Extensions {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to_device: Option<ToDevice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) e2ee: Option<E2ee>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account_data: Option<AccountData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) receipts: Option<ByRoom>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) typing: Option<ByRoom>,
}

/// To-device messages.
#[derive(Debug, Serialize)]
pub(super) struct ToDevice {
    #[serde(serialize_with = "as_text")]
    pub(super) next_batch: SyncToken,
    pub(super) events: Vec<Json>,
}

/// What encryption needs. What is left out is as it was.
#[derive(Debug, Default, Serialize)]
pub(super) struct E2ee {
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_device_lists")]
    pub(super) device_lists: Option<DeviceLists>,
    #[serde(
        rename = "device_one_time_keys_count",
        skip_serializing_if = "Option::is_none",
        serialize_with = "some_one_time_keys"
    )]
    pub(super) one_time_keys: Option<BTreeMap<String, u64>>,
    #[serde(rename = "device_unused_fallback_key_types", skip_serializing_if = "Option::is_none")]
    pub(super) fallback_keys: Option<Vec<String>>,
}

impl E2ee {
    pub(super) fn is_empty(&self) -> bool {
        self.device_lists.is_none() && self.one_time_keys.is_none() && self.fallback_keys.is_none()
    }
}

/// Account data.
#[derive(Debug, Default, Serialize)]
pub(super) struct AccountData {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) global: Vec<Json>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) rooms: BTreeMap<OwnedRoomId, Vec<Json>>,
}

/// One event a room.
#[derive(Debug, Default, Serialize)]
pub(super) struct ByRoom {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) rooms: BTreeMap<OwnedRoomId, Json>,
}

impl Serialize for Timeline {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Members<'a> {
            timeline: &'a [Json],
            limited: bool,
            #[serde(serialize_with = "as_text")]
            prev_batch: TimelineToken,
            num_live: usize,
            #[serde(skip_serializing_if = "is_false")]
            unstable_expanded_timeline: bool,
        }
        Members {
            timeline: &self.events,
            limited: self.limited,
            prev_batch: self.prev_batch,
            num_live: self.num_live,
            unstable_expanded_timeline: self.expanded,
        }
        .serialize(serializer)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

fn some_device_lists<S: Serializer>(lists: &Option<DeviceLists>, serializer: S) -> Result<S::Ok, S::Error> {
    match lists {
        Some(lists) => device_lists(lists, serializer),
        None => serializer.serialize_none(),
    }
}

fn some_one_time_keys<S: Serializer>(counts: &Option<BTreeMap<String, u64>>, serializer: S) -> Result<S::Ok, S::Error> {
    match counts {
        Some(counts) => one_time_keys(counts, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use olmstead_domain::position::Cursor;
    use serde_json::{Value, json, value::RawValue};

    use super::*;

    fn value<T: Serialize>(part: &T) -> Value {
        serde_json::from_slice(&serde_json::to_vec(part).unwrap()).unwrap()
    }

    #[test]
    fn raw_events_survive_flattening() {
        let event = RawValue::from_string(r#"{"a":1}"#.into()).unwrap();
        let room = Room {
            name: Some(None),
            timeline: Some(Timeline {
                events: vec![event],
                limited: true,
                prev_batch: TimelineToken(Cursor::at(Position(3))),
                num_live: 1,
                expanded: true,
            }),
            unread: Some(Counts { highlights: 1, notifications: 2 }),
            bump_stamp: Position(7),
            ..Room::default()
        };
        assert_eq!(
            value(&room),
            json!({
                "name": null, "is_dm": false, "bump_stamp": 7, "timeline": [{"a": 1}], "limited": true,
                "prev_batch": "t3.0", "num_live": 1, "unstable_expanded_timeline": true,
                "notification_count": 2, "highlight_count": 1,
            })
        );
    }

    #[test]
    fn what_encryption_needs_is_left_out_unless_it_is_news() {
        assert_eq!(value(&E2ee::default()), json!({}));
        let first = E2ee {
            device_lists: Some(DeviceLists::default()),
            one_time_keys: Some(BTreeMap::new()),
            fallback_keys: Some(Vec::new()),
        };
        assert_eq!(
            value(&first),
            json!({
                "device_lists": {"changed": [], "left": []},
                "device_one_time_keys_count": {"signed_curve25519": 0},
                "device_unused_fallback_key_types": [],
            })
        );
    }
}
