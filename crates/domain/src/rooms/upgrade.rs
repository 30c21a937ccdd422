//! Upgrading a room to another version (client-server API, "Room Upgrades"; ENC-4).

use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde_json::{Map, Value, json};

use super::{
    EventTemplate, Pdu, RoomError, RoomVersion,
    create::{raise_tombstone, without_duplicates},
    membership::{Action, Change, Profile},
};

/// The state copied to the new room besides power levels and bans; all with an empty state key.
/// Canonical alias and memberships are not among it.
pub const COPIED_STATE: [&str; 8] = [
    "m.room.join_rules",
    "m.room.history_visibility",
    "m.room.guest_access",
    "m.room.encryption",
    "m.room.server_acl",
    "m.room.name",
    "m.room.topic",
    "m.room.avatar",
];

/// A request to upgrade a room.
#[derive(Debug, Clone)]
pub struct Upgrade {
    /// The version of the new room.
    pub version: RoomVersion,
    /// Who upgrades.
    pub sender: OwnedUserId,
    /// The sender's profile.
    pub profile: Profile,
    /// The room to leave behind.
    pub old_room: OwnedRoomId,
    /// The last event of the old room, for `predecessor`. Version 12 can do without: there the
    /// tombstone can only be made after the new room.
    pub last_event: Option<OwnedEventId>,
    /// More creators of the new room; used from version 12 on.
    pub additional_creators: Vec<OwnedUserId>,
    /// The time, in milliseconds since 1970.
    pub now: u64,
}

impl Upgrade {
    /// The events of the new room, for [`super::create::build_room`].
    ///
    /// `state` looks up the old room's state; `bans` are its ban events.
    ///
    /// # Errors
    ///
    /// `NotFound` if the old room has no create event.
    pub fn templates(
        &self,
        state: impl Fn(&str, &str) -> Option<Pdu>,
        bans: &[Pdu],
    ) -> Result<Vec<EventTemplate>, RoomError> {
        let old_create =
            state("m.room.create", "").ok_or_else(|| RoomError::NotFound("the room has no create event".into()))?;
        let creators = self.creators();
        let mut events = vec![
            self.state("m.room.create", Value::Object(self.create_content(&old_create, &creators))),
            Change::own(Action::Join, &self.sender, self.profile.clone(), self.now).template(),
        ];

        let levels = self.power_levels(&old_create, state("m.room.power_levels", ""), &creators);
        let at_first = self.with_enough_power(&levels);
        events.push(self.state("m.room.power_levels", Value::Object(at_first.clone())));
        for kind in COPIED_STATE {
            if let Some(old) = state(kind, "") {
                events.push(EventTemplate::state(&self.sender, kind, "", old.content().to_owned(), self.now));
            }
        }
        // The new room would be open by default where the old one had no join rules at all.
        if state("m.room.join_rules", "").is_none() {
            events.push(self.state("m.room.join_rules", json!({ "join_rule": "invite" })));
        }
        events.extend(bans.iter().filter_map(|ban| self.ban(ban)));
        if at_first != levels {
            events.push(self.state("m.room.power_levels", Value::Object(levels)));
        }
        Ok(events)
    }

    fn creators(&self) -> Vec<OwnedUserId> {
        if self.version.is_create_hash() {
            without_duplicates(self.additional_creators.clone(), &self.sender)
        } else {
            Vec::new()
        }
    }

    fn create_content(&self, old: &Pdu, creators: &[OwnedUserId]) -> Map<String, Value> {
        let mut content = Map::new();
        for key in ["type", "m.federate"] {
            if let Some(value) = old.content_field::<Value>(key) {
                content.insert(key.into(), value);
            }
        }
        if self.version.creator_in_content() {
            content.insert("creator".into(), self.sender.as_str().into());
        }
        if !creators.is_empty() {
            content.insert("additional_creators".into(), json!(creators));
        }
        content.insert("room_version".into(), self.version.as_str().into());
        let mut predecessor = Map::new();
        predecessor.insert("room_id".into(), self.old_room.as_str().into());
        if let Some(event) = &self.last_event {
            predecessor.insert("event_id".into(), event.as_str().into());
        }
        content.insert("predecessor".into(), Value::Object(predecessor));
        content
    }

    /// The old levels in the words of the new version.
    fn power_levels(&self, old_create: &Pdu, old: Option<Pdu>, creators: &[OwnedUserId]) -> Map<String, Value> {
        let mut content: Map<String, Value> = old.and_then(|pdu| pdu.content_as().ok()).unwrap_or_default();
        let top = highest(&content);
        let users = content.entry("users").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(users) = users {
            // Creators of the old room stood above all levels without being named.
            if old_create.version().is_create_hash() && !self.version.is_create_hash() {
                let old_creators: Vec<OwnedUserId> =
                    old_create.content_field("additional_creators").unwrap_or_default();
                users.insert(old_create.sender().to_string(), top.into());
                users.extend(old_creators.into_iter().map(|user| (user.to_string(), top.into())));
            }
            if self.version.is_create_hash() {
                users.remove(self.sender.as_str());
                for creator in creators {
                    users.remove(creator.as_str());
                }
            }
        }
        if self.version.is_create_hash() {
            raise_tombstone(&mut content);
        }
        content
    }

    /// The levels with which the sender can set up the room: a user may upgrade a room with just
    /// the power to send the tombstone, which need not suffice for the rest.
    fn with_enough_power(&self, levels: &Map<String, Value>) -> Map<String, Value> {
        let mut content = levels.clone();
        if self.version.is_create_hash() {
            return content;
        }
        let level = |value: Option<&Value>| value.and_then(Value::as_i64);
        let users = levels.get("users").and_then(Value::as_object);
        let own = level(users.and_then(|users| users.get(self.sender.as_str())))
            .or_else(|| level(levels.get("users_default")))
            .unwrap_or(0);
        let needed = highest(levels);
        if own < needed
            && let Some(Value::Object(users)) = content.get_mut("users")
        {
            users.insert(self.sender.to_string(), needed.into());
        }
        content
    }

    fn ban(&self, ban: &Pdu) -> Option<EventTemplate> {
        let target = <&UserId>::try_from(ban.state_key()?).ok()?;
        if target == self.sender {
            return None;
        }
        let reason: Option<String> = ban.content_field("reason");
        let change = Change {
            action: Action::Ban,
            sender: &self.sender,
            target,
            profile: Profile::default(),
            reason: reason.as_deref(),
            is_direct: false,
            voucher: None,
            origin_server_ts: self.now,
        };
        Some(change.template())
    }

    fn state(&self, kind: &str, content: Value) -> EventTemplate {
        EventTemplate::state(&self.sender, kind, "", super::raw(&content), self.now)
    }
}

/// The highest level that the power levels name, at least that of an administrator.
fn highest(levels: &Map<String, Value>) -> i64 {
    let named = levels.values().flat_map(|value| match value {
        Value::Object(map) => map.values().filter_map(Value::as_i64).collect(),
        other => other.as_i64().into_iter().collect::<Vec<_>>(),
    });
    named.max().unwrap_or(0).max(100)
}

/// The event that closes the old room and points to the new one.
pub fn tombstone(sender: &UserId, new_room: &RoomId, now: u64) -> EventTemplate {
    let content = json!({ "body": "This room has been replaced", "replacement_room": new_room });
    EventTemplate::state(sender, "m.room.tombstone", "", super::raw(&content), now)
}

/// The power levels that keep ordinary users from writing in the old room and from inviting
/// there; `None` if they are high enough already.
pub fn lock_down(sender: &UserId, power_levels: &Pdu, now: u64) -> Option<EventTemplate> {
    let mut content: Map<String, Value> = power_levels.content_as().ok()?;
    let level = |field: &str| content.get(field).and_then(Value::as_i64).unwrap_or(0);
    let restricted = level("users_default").saturating_add(1).max(50);
    let (events_default, invite) = (level("events_default"), level("invite"));
    if events_default >= restricted && invite >= restricted {
        return None;
    }
    content.insert("events_default".into(), events_default.max(restricted).into());
    content.insert("invite".into(), invite.max(restricted).into());
    let content = Value::Object(content);
    Some(EventTemplate::state(sender, "m.room.power_levels", "", super::raw(&content), now))
}

/// The room that an old room's tombstone points to.
pub fn replacement(tombstone: &Pdu) -> Option<OwnedRoomId> {
    tombstone.content_field("replacement_room")
}

/// The room that a create event names as predecessor, and its last event if named.
pub fn predecessor(create: &Pdu) -> Option<(OwnedRoomId, Option<OwnedEventId>)> {
    let value: Value = create.content_field("predecessor")?;
    let room = RoomId::parse(value.get("room_id")?.as_str()?).ok()?;
    let event = value.get("event_id").and_then(Value::as_str);
    Some((room, event.and_then(|id| EventId::parse(id).ok())))
}
