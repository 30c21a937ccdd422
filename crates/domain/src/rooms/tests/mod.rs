//! Tests of the rules on rooms built in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod client_events;
mod creation;
mod events;
mod history;
mod members;
mod pushing;
mod related;
mod resolution;

use std::collections::BTreeMap;

use ruma::{OwnedUserId, RoomId, UserId, events::room::member::MembershipState};
use serde_json::{Value, json, value::RawValue};

use super::{
    EventTemplate, Pdu, PowerLevels, RoomError, RoomVersion, ServerKey,
    auth::{StateKey, author},
    build::{Head, room_id_from_random},
    create::{NewRoom, Preset, build_room},
    membership::{Action, Change, JoinRule, Profile},
    power::restricted_join_voucher,
};

pub(crate) const ALICE: &str = "@alice:here.example";
pub(crate) const BOB: &str = "@bob:here.example";
pub(crate) const CAROL: &str = "@carol:here.example";

pub(crate) fn user(id: &str) -> OwnedUserId {
    UserId::parse(id).unwrap()
}

pub(crate) fn raw(value: Value) -> Box<RawValue> {
    super::raw(&value)
}

pub(crate) fn value(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap()
}

pub(crate) fn key() -> ServerKey {
    ServerKey::from_seed("here.example".try_into().unwrap(), &[7; 32], "a1").unwrap()
}

pub(crate) fn request(version: RoomVersion, preset: Preset) -> NewRoom {
    NewRoom {
        profile: Profile { displayname: Some("Alice".into()), avatar_url: None },
        ..NewRoom::new(version, user(ALICE), preset, 1_000)
    }
}

/// A room with one line of events.
pub(crate) struct Room {
    pub(crate) key: ServerKey,
    pub(crate) events: Vec<Pdu>,
    pub(crate) state: BTreeMap<StateKey, Pdu>,
    pub(crate) now: u64,
}

impl Room {
    pub(crate) fn new(version: RoomVersion, preset: Preset) -> Self {
        Self::from(&request(version, preset))
    }

    pub(crate) fn from(request: &NewRoom) -> Self {
        let key = key();
        let id = room_id_from_random(&[3; 18], key.server_name()).unwrap();
        let created = build_room(request.version, &request.templates().unwrap(), id, &key).unwrap();
        Self { key, events: created.events, state: created.state, now: 2_000 }
    }

    pub(crate) fn id(&self) -> &RoomId {
        self.events[0].room_id()
    }

    pub(crate) fn get(&self, kind: &str, key: &str) -> Option<Pdu> {
        self.state.get(&(kind.to_owned(), key.to_owned())).cloned()
    }

    pub(crate) fn levels(&self) -> PowerLevels {
        PowerLevels::read(&self.events[0], self.get("m.room.power_levels", "").as_ref())
    }

    pub(crate) fn membership(&self, user: &str) -> Option<MembershipState> {
        self.get("m.room.member", user).and_then(|event| event.membership())
    }

    /// Authors an event at the end of the room without keeping it.
    pub(crate) fn propose(&self, template: &EventTemplate) -> Result<Pdu, RoomError> {
        let head = Head::after(self.events.last().unwrap());
        author(template, &head, |kind, key| self.get(kind, key), &self.key)
    }

    pub(crate) fn send(&mut self, template: &EventTemplate) -> Result<Pdu, RoomError> {
        let pdu = self.propose(template)?;
        if let Some(state_key) = pdu.state_key() {
            self.state.insert((pdu.kind().to_owned(), state_key.to_owned()), pdu.clone());
        }
        self.events.push(pdu.clone());
        self.now += 1_000;
        Ok(pdu)
    }

    pub(crate) fn message(&mut self, sender: &str, kind: &str, content: Value) -> Result<Pdu, RoomError> {
        self.send(&EventTemplate::message(&user(sender), kind, raw(content), self.now))
    }

    pub(crate) fn set(&mut self, sender: &str, kind: &str, key: &str, content: Value) -> Result<Pdu, RoomError> {
        self.send(&EventTemplate::state(&user(sender), kind, key, raw(content), self.now))
    }

    pub(crate) fn change(&mut self, action: Action, sender: &str, target: &str) -> Result<Pdu, RoomError> {
        action.check(self.membership(target).as_ref())?;
        let (sender, target) = (user(sender), user(target));
        let rule = JoinRule::read(self.get("m.room.join_rules", "").as_ref());
        let levels = self.levels();
        let joined: Vec<OwnedUserId> = [ALICE, BOB, CAROL]
            .into_iter()
            .filter(|id| self.membership(id) == Some(MembershipState::Join))
            .map(user)
            .collect();
        let needs = action == Action::Join && rule.needs_voucher(self.membership(target.as_str()).as_ref());
        let voucher = restricted_join_voucher(&levels, joined.iter().map(|id| &**id)).filter(|_| needs);
        let change = Change {
            action,
            sender: &sender,
            target: &target,
            profile: Profile::default(),
            reason: None,
            is_direct: false,
            voucher,
            origin_server_ts: self.now,
        };
        self.send(&change.template())
    }

    pub(crate) fn join(&mut self, id: &str) -> Result<Pdu, RoomError> {
        self.change(Action::Join, id, id)
    }

    pub(crate) fn invite(&mut self, sender: &str, target: &str) -> Result<Pdu, RoomError> {
        self.change(Action::Invite, sender, target)
    }

    pub(crate) fn text(&mut self, sender: &str, body: &str) -> Pdu {
        self.message(sender, "m.room.message", json!({ "msgtype": "m.text", "body": body })).unwrap()
    }
}
