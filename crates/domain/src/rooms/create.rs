//! Creating a room: the events `createRoom` implies, in their order (ENC-5, ENC-6).

use std::collections::BTreeMap;

use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedUserId, UserId};
use serde_json::{Map, Value, json, value::RawValue};

use super::{
    EventTemplate, Pdu, RoomError, RoomVersion, ServerKey,
    auth::{StateKey, author},
    build::Head,
    membership::{Action, Change, Profile},
};

/// The level that a version 12 room asks for `m.room.tombstone`, above that of administrators
/// (client-server API, `createRoom`).
pub(crate) const TOMBSTONE_LEVEL: i64 = 150;

/// The preset of a new room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// By invitation.
    Private,
    /// By invitation, and those invited are as powerful as the creator.
    TrustedPrivate,
    /// Open to everybody.
    Public,
}

impl Preset {
    /// The preset of that name, or the one that follows from the directory visibility.
    ///
    /// # Errors
    ///
    /// `InvalidParam` for an unknown name.
    pub fn choose(name: Option<&str>, listed_publicly: bool) -> Result<Self, RoomError> {
        match name {
            Some("private_chat") => Ok(Self::Private),
            Some("trusted_private_chat") => Ok(Self::TrustedPrivate),
            Some("public_chat") => Ok(Self::Public),
            Some(other) => Err(RoomError::InvalidParam(format!("unknown preset {other:?}"))),
            None if listed_publicly => Ok(Self::Public),
            None => Ok(Self::Private),
        }
    }
}

/// A state event of `initial_state`.
#[derive(Debug, Clone)]
pub struct InitialState {
    /// The event type.
    pub kind: String,
    /// The state key.
    pub state_key: String,
    /// The content.
    pub content: Box<RawValue>,
}

/// A request for a new room.
#[derive(Debug, Clone)]
pub struct NewRoom {
    /// The room version.
    pub version: RoomVersion,
    /// Who creates the room.
    pub creator: OwnedUserId,
    /// The creator's profile.
    pub profile: Profile,
    /// The preset.
    pub preset: Preset,
    /// More content for `m.room.create`; `creator` and `room_version` in it are overwritten.
    pub creation_content: Option<Box<RawValue>>,
    /// Laid over the default power levels, member by member.
    pub power_level_content_override: Option<Box<RawValue>>,
    /// State to set after that of the preset.
    pub initial_state: Vec<InitialState>,
    /// The room's name.
    pub name: Option<String>,
    /// The room's topic.
    pub topic: Option<String>,
    /// The complete alias, already reserved.
    pub alias: Option<OwnedRoomAliasId>,
    /// Whom to invite, with their profiles.
    pub invite: Vec<(OwnedUserId, Profile)>,
    /// Whether the invitations are to a direct chat.
    pub is_direct: bool,
    /// The time, in milliseconds since 1970.
    pub now: u64,
}

/// A new room: its events in order, each authorised by those before.
#[derive(Debug, Clone)]
pub struct CreatedRoom {
    /// The room's id.
    pub room_id: OwnedRoomId,
    /// All events, the create event first.
    pub events: Vec<Pdu>,
    /// The state after the last event.
    pub state: BTreeMap<StateKey, Pdu>,
}

impl NewRoom {
    /// A room that nothing more is asked of than what its preset says.
    #[must_use]
    pub fn new(version: RoomVersion, creator: OwnedUserId, preset: Preset, now: u64) -> Self {
        Self {
            version,
            creator,
            profile: Profile::default(),
            preset,
            creation_content: None,
            power_level_content_override: None,
            initial_state: Vec::new(),
            name: None,
            topic: None,
            alias: None,
            invite: Vec::new(),
            is_direct: false,
            now,
        }
    }

    /// The events of the new room, in the order the client-server API fixes.
    ///
    /// # Errors
    ///
    /// `BadJson` for content of the wrong shape, also for power levels that name a creator of a
    /// version 12 room.
    pub fn templates(&self) -> Result<Vec<EventTemplate>, RoomError> {
        let mut events = Vec::new();
        let create = self.create_content()?;
        let creators = additional_creators(self.version, &create);
        events.push(self.state("m.room.create", Value::Object(create)));
        events.push(Change::own(Action::Join, &self.creator, self.profile.clone(), self.now).template());
        events.push(self.power_levels(&creators)?);
        if let Some(alias) = self.alias.as_ref().filter(|_| !self.sets("m.room.canonical_alias")) {
            events.push(self.state("m.room.canonical_alias", json!({ "alias": alias })));
        }
        events.extend(self.preset_state());
        for state in &self.initial_state {
            if state.kind == "m.room.create" {
                return Err(RoomError::BadJson("initial_state cannot hold m.room.create".into()));
            }
            if !is_power_levels(state) {
                events.push(EventTemplate::state(
                    &self.creator,
                    state.kind.clone(),
                    state.state_key.clone(),
                    state.content.clone(),
                    self.now,
                ));
            }
        }
        if let Some(name) = &self.name {
            events.push(self.state("m.room.name", json!({ "name": name })));
        }
        if let Some(topic) = &self.topic {
            let plain = json!({ "topic": topic, "m.topic": { "m.text": [{ "body": topic }] } });
            events.push(self.state("m.room.topic", plain));
        }
        events.extend(self.invitations());
        Ok(events)
    }

    fn state(&self, kind: &str, content: Value) -> EventTemplate {
        EventTemplate::state(&self.creator, kind, "", super::raw(&content), self.now)
    }

    /// Whether `initial_state` sets this state, so that the preset does not.
    fn sets(&self, kind: &str) -> bool {
        self.initial_state.iter().any(|state| state.kind == kind && state.state_key.is_empty())
    }

    fn create_content(&self) -> Result<Map<String, Value>, RoomError> {
        let mut content = object(self.creation_content.as_deref(), "creation_content")?;
        content.remove("creator");
        if self.version.creator_in_content() {
            content.insert("creator".into(), self.creator.as_str().into());
        }
        content.insert("room_version".into(), self.version.as_str().into());
        if self.version.is_create_hash() {
            let mut creators: Vec<OwnedUserId> = match content.remove("additional_creators") {
                None => Vec::new(),
                Some(value) => serde_json::from_value(value)
                    .map_err(|error| RoomError::BadJson(format!("additional_creators are user ids: {error}")))?,
            };
            if self.preset == Preset::TrustedPrivate {
                creators.extend(self.invite.iter().map(|(user, _)| user.clone()));
            }
            let creators = without_duplicates(creators, &self.creator);
            if !creators.is_empty() {
                content.insert("additional_creators".into(), json!(creators));
            }
        }
        Ok(content)
    }

    /// The power levels event: that of `initial_state` as it is, or the default with the
    /// override.
    fn power_levels(&self, creators: &[OwnedUserId]) -> Result<EventTemplate, RoomError> {
        let mut content = match self.initial_state.iter().rfind(|state| is_power_levels(state)) {
            Some(state) => object(Some(&state.content), "m.room.power_levels")?,
            None => {
                let mut content = self.default_power_levels();
                content.extend(object(self.power_level_content_override.as_deref(), "power_level_content_override")?);
                content
            }
        };
        if self.version.is_create_hash() {
            if let Some(user) = named_creator(&content, &self.creator, creators) {
                return Err(RoomError::BadJson(format!(
                    "{user} is a creator of the room and cannot have a power level"
                )));
            }
            raise_tombstone(&mut content);
        }
        Ok(self.state("m.room.power_levels", Value::Object(content)))
    }

    fn default_power_levels(&self) -> Map<String, Value> {
        let mut users = Map::new();
        if !self.version.is_create_hash() {
            users.insert(self.creator.to_string(), 100.into());
            if self.preset == Preset::TrustedPrivate {
                users.extend(self.invite.iter().map(|(user, _)| (user.to_string(), 100.into())));
            }
        }
        let invite = if self.preset == Preset::Public { 50 } else { 0 };
        let content = json!({
            "users": users,
            "users_default": 0,
            "events": {
                "m.room.name": 50,
                "m.room.avatar": 50,
                "m.room.canonical_alias": 50,
                "m.room.power_levels": 100,
                "m.room.history_visibility": 100,
                "m.room.encryption": 100,
                "m.room.server_acl": 100,
                "m.room.tombstone": 100,
            },
            "events_default": 0,
            "state_default": 50,
            "ban": 50,
            "kick": 50,
            "redact": 50,
            "invite": invite,
        });
        let Value::Object(mut content) = content else { return Map::new() };
        if self.version.is_create_hash() {
            set_level(&mut content, "m.room.tombstone", TOMBSTONE_LEVEL);
        }
        content
    }

    fn preset_state(&self) -> Vec<EventTemplate> {
        let (join_rule, guest_access) = match self.preset {
            Preset::Private | Preset::TrustedPrivate => ("invite", "can_join"),
            Preset::Public => ("public", "forbidden"),
        };
        [
            ("m.room.join_rules", json!({ "join_rule": join_rule })),
            ("m.room.history_visibility", json!({ "history_visibility": "shared" })),
            ("m.room.guest_access", json!({ "guest_access": guest_access })),
        ]
        .into_iter()
        .filter(|(kind, _)| !self.sets(kind))
        .map(|(kind, content)| self.state(kind, content))
        .collect()
    }

    fn invitations(&self) -> impl Iterator<Item = EventTemplate> {
        let mut invited: Vec<&UserId> = Vec::new();
        self.invite.iter().filter_map(move |(user, profile)| {
            if invited.contains(&&**user) {
                return None;
            }
            invited.push(user);
            let change = Change {
                action: Action::Invite,
                sender: &self.creator,
                target: user,
                profile: profile.clone(),
                reason: None,
                is_direct: self.is_direct,
                voucher: None,
                origin_server_ts: self.now,
            };
            Some(change.template())
        })
    }
}

/// Builds the events of a new room, each on top of the one before and authorised by the state
/// so far.
///
/// `room_id` is the new id for room versions 10 and 11
/// ([`super::build::room_id_from_random`]); version 12 ignores it.
///
/// # Errors
///
/// `InvalidRoomState` if an event is not allowed by those before it; else as [`author`].
pub fn build_room(
    version: RoomVersion,
    templates: &[EventTemplate],
    room_id: OwnedRoomId,
    key: &ServerKey,
) -> Result<CreatedRoom, RoomError> {
    let mut head = Head::root(version, (!version.is_create_hash()).then_some(room_id));
    let mut events: Vec<Pdu> = Vec::with_capacity(templates.len());
    let mut state: BTreeMap<StateKey, Pdu> = BTreeMap::new();
    for template in templates {
        let lookup = |kind: &str, key: &str| state.get(&(kind.to_owned(), key.to_owned())).cloned();
        let pdu = author(template, &head, lookup, key).map_err(|error| match error {
            RoomError::Forbidden(reason) => RoomError::InvalidRoomState(format!("{} ({})", reason, template.kind)),
            other => other,
        })?;
        head = Head::after(&pdu);
        if let Some(state_key) = pdu.state_key() {
            state.insert((pdu.kind().to_owned(), state_key.to_owned()), pdu.clone());
        }
        events.push(pdu);
    }
    let room_id = events
        .first()
        .map(|create| create.room_id().to_owned())
        .ok_or_else(|| RoomError::InvalidRoomState("a room starts with m.room.create".into()))?;
    Ok(CreatedRoom { room_id, events, state })
}

/// The users a create event's content names as creators besides its sender.
pub(crate) fn additional_creators(version: RoomVersion, content: &Map<String, Value>) -> Vec<OwnedUserId> {
    content
        .get("additional_creators")
        .filter(|_| version.is_create_hash())
        .and_then(|value| serde_json::from_value(value.clone()).ok())
        .unwrap_or_default()
}

/// The first creator whom the `users` of power levels name.
pub(crate) fn named_creator<'a>(
    content: &Map<String, Value>,
    creator: &'a UserId,
    others: &'a [OwnedUserId],
) -> Option<&'a UserId> {
    let users = content.get("users")?.as_object()?;
    std::iter::once(creator).chain(others.iter().map(|user| &**user)).find(|user| users.contains_key(user.as_str()))
}

/// Puts the level for `m.room.tombstone` above `state_default`, unless a level above it is set.
pub(crate) fn raise_tombstone(content: &mut Map<String, Value>) {
    let level = |value: Option<&Value>| value.and_then(Value::as_i64);
    let state_default = level(content.get("state_default")).unwrap_or(50);
    let current = level(content.get("events").and_then(|events| events.get("m.room.tombstone")));
    if current.is_none_or(|current| current <= state_default) {
        let raised = TOMBSTONE_LEVEL.max(state_default.saturating_add(1));
        set_level(content, "m.room.tombstone", raised);
    }
}

fn set_level(content: &mut Map<String, Value>, kind: &str, level: i64) {
    let events = content.entry("events").or_insert_with(|| Value::Object(Map::new()));
    // Anything else than an object is refused when the event is authorised.
    if let Value::Object(events) = events {
        events.insert(kind.to_owned(), level.into());
    }
}

fn is_power_levels(state: &InitialState) -> bool {
    state.kind == "m.room.power_levels" && state.state_key.is_empty()
}

/// Reads an optional object.
pub(crate) fn object(json: Option<&RawValue>, what: &str) -> Result<Map<String, Value>, RoomError> {
    let Some(json) = json else { return Ok(Map::new()) };
    serde_json::from_str(json.get()).map_err(|error| RoomError::BadJson(format!("{what} is not an object: {error}")))
}

/// The users in order, each once, without `creator`.
pub(crate) fn without_duplicates(users: Vec<OwnedUserId>, creator: &UserId) -> Vec<OwnedUserId> {
    let mut kept: Vec<OwnedUserId> = Vec::with_capacity(users.len());
    for user in users {
        if user != creator && !kept.contains(&user) {
            kept.push(user);
        }
    }
    kept
}
