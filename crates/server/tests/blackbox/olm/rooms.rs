//! What one device has seen of its rooms.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// A decrypted message.
#[derive(Debug, Clone)]
pub struct Message {
    pub event_id: String,
    pub sender: String,
    pub body: String,
}

/// A part of a timeline that a sync left out.
pub(super) struct Gap {
    pub(super) room: String,
    pub(super) from: String,
    pub(super) to: String,
}

#[derive(Default)]
pub(super) struct Rooms {
    rooms: BTreeMap<String, Room>,
}

#[derive(Default)]
struct Room {
    encrypted: bool,
    members: BTreeMap<String, String>,
    /// How often each event came in a sync.
    deliveries: BTreeMap<String, usize>,
    waiting: Vec<Value>,
    messages: Vec<Message>,
}

impl Rooms {
    /// Takes in the joined rooms of a sync; what it left out.
    pub(super) fn take_in(&mut self, sync: &Value, since: Option<&str>) -> Vec<Gap> {
        let mut gaps = Vec::new();
        for (id, part) in sync["rooms"]["join"].as_object().into_iter().flatten() {
            let known = self.rooms.contains_key(id);
            let room = self.rooms.entry(id.clone()).or_default();
            for event in events(&part["state"]) {
                room.state(event);
            }
            let timeline = &part["timeline"];
            for event in events(timeline) {
                room.state(event);
                *room.deliveries.entry(event_id(event).to_owned()).or_default() += 1;
                room.wait_for_key(event);
            }
            if let (true, true, Some(from), Some(to)) =
                (known, timeline["limited"] == true, timeline["prev_batch"].as_str(), since)
            {
                gaps.push(Gap { room: id.clone(), from: from.to_owned(), to: to.to_owned() });
            }
        }
        gaps
    }

    /// Takes in a page of a gap; whether there may be more.
    pub(super) fn fill(&mut self, room: &str, page: &Value) -> bool {
        let room = self.rooms.entry(room.to_owned()).or_default();
        let mut more = false;
        for event in page["chunk"].as_array().into_iter().flatten() {
            more = !room.deliveries.contains_key(event_id(event));
            if !more {
                break;
            }
            room.deliveries.insert(event_id(event).to_owned(), 1);
            room.wait_for_key(event);
        }
        more
    }

    /// Encrypted events that are not decrypted yet, each with its room.
    pub(super) fn waiting(&self) -> Vec<(String, Value)> {
        let all = self.rooms.iter().flat_map(|(id, room)| room.waiting.iter().map(move |event| (id, event)));
        all.map(|(id, event)| (id.clone(), event.clone())).collect()
    }

    pub(super) fn decrypted(&mut self, room: &str, event: &Value) {
        let Some(room) = self.rooms.get_mut(room) else { return };
        let id = event_id(event);
        // Only one of them: an event that came twice was counted twice and is decrypted twice.
        if let Some(at) = room.waiting.iter().position(|waiting| event_id(waiting) == id) {
            room.waiting.remove(at);
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let sender = text(&event["sender"]);
        room.messages.push(Message { event_id: id.to_owned(), sender, body: text(&event["content"]["body"]) });
    }

    /// Who is given the keys of a room: joined and invited users.
    pub(super) fn recipients(&self, room: &str) -> BTreeSet<String> {
        self.rooms.get(room).map(Room::recipients).unwrap_or_default()
    }

    /// Everybody whose devices must be known.
    pub(super) fn encrypted_recipients(&self) -> BTreeSet<String> {
        self.rooms.values().filter(|room| room.encrypted).flat_map(Room::recipients).collect()
    }

    pub(super) fn messages(&self, room: &str) -> Vec<Message> {
        self.rooms.get(room).map(|room| room.messages.clone()).unwrap_or_default()
    }

    pub(super) fn deliveries(&self, room: &str) -> BTreeMap<String, usize> {
        self.rooms.get(room).map(|room| room.deliveries.clone()).unwrap_or_default()
    }

    pub(super) fn members(&self, room: &str) -> BTreeMap<String, String> {
        self.rooms.get(room).map(|room| room.members.clone()).unwrap_or_default()
    }

    pub(super) fn report(&self) -> String {
        let messages: usize = self.rooms.values().map(|room| room.messages.len()).sum();
        let waiting: usize = self.rooms.values().map(|room| room.waiting.len()).sum();
        let first = self.rooms.values().flat_map(|room| &room.waiting).next();
        let first = first.map_or_else(String::new, |event| {
            format!(" (the first from {}, session {})", event["sender"], event["content"]["session_id"])
        });
        format!("{messages} messages decrypted, {waiting} not{first}")
    }
}

impl Room {
    fn state(&mut self, event: &Value) {
        let Some(key) = event["state_key"].as_str() else { return };
        match event["type"].as_str() {
            Some("m.room.member") => {
                let membership = event["content"]["membership"].as_str().unwrap_or_default();
                self.members.insert(key.to_owned(), membership.to_owned());
            }
            Some("m.room.encryption") => self.encrypted = true,
            _ => {}
        }
    }

    fn wait_for_key(&mut self, event: &Value) {
        if event["type"] == "m.room.encrypted" {
            self.waiting.push(event.clone());
        }
    }

    fn recipients(&self) -> BTreeSet<String> {
        let present = |membership: &str| membership == "join" || membership == "invite";
        self.members.iter().filter(|(_, membership)| present(membership)).map(|(user, _)| user.clone()).collect()
    }
}

fn events(part: &Value) -> impl Iterator<Item = &Value> {
    part["events"].as_array().into_iter().flatten()
}

fn event_id(event: &Value) -> &str {
    event["event_id"].as_str().unwrap_or_default()
}
