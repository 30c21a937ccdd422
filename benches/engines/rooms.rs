//! Real rooms, authorised and signed, written in large appends.

use std::collections::BTreeMap;

use olmstead_benches::random::Random;
use olmstead_domain::{
    json::RawJson,
    rooms::{
        EventTemplate, Pdu, RoomVersion, ServerKey,
        auth::author,
        build::{Head, room_id_from_random},
        create::{NewRoom, Preset, build_room},
        membership::{Action, Change, Profile},
    },
};
use olmstead_storage::{
    SharedStorage,
    rooms::{Append, AppendOutcome, NewEvent},
};
use ruma::{OwnedRoomId, OwnedUserId, RoomVersionId, ServerName, UserId};

use crate::world::SERVER;

/// So many events go into one append.
const APPEND: usize = 500;

/// Writes rooms.
pub(crate) struct Writer {
    key: ServerKey,
}

/// A room of one writer.
pub(crate) struct Room {
    pub(crate) id: OwnedRoomId,
    head: Head,
    revision: u64,
    state: BTreeMap<(String, String), Pdu>,
    pub(crate) members: usize,
}

impl Writer {
    pub(crate) fn new() -> Self {
        let name = ServerName::parse(SERVER).unwrap();
        Self { key: ServerKey::from_seed(name, &[7; 32], "1").unwrap() }
    }

    /// A public encrypted room that these users joined; the first made it.
    pub(crate) async fn room(&self, storage: &SharedStorage, random: &mut Random, members: &[OwnedUserId]) -> Room {
        let creator = &members[0];
        // The id of a room is the hash of its first event, so no two may be alike.
        let room = NewRoom::new(RoomVersion::DEFAULT, creator.clone(), Preset::Public, random.number() >> 24);
        let id = room_id_from_random(&std::array::from_fn(|_| random.byte(52)), self.key.server_name()).unwrap();
        let built = build_room(room.version, &room.templates().unwrap(), id, &self.key).unwrap();
        let last = built.events.last().unwrap();
        let mut room = Room { id: built.room_id, head: Head::after(last), revision: 0, state: built.state, members: 1 };
        self.append(storage, &mut room, &built.events, true).await;
        let encryption = content(r#"{"algorithm":"m.megolm.v1.aes-sha2"}"#);
        self.send(storage, &mut room, &[EventTemplate::state(creator, "m.room.encryption", "", encryption, 1)]).await;
        self.join(storage, &mut room, &members[1..]).await;
        room
    }

    /// Users join.
    pub(crate) async fn join(&self, storage: &SharedStorage, room: &mut Room, users: &[OwnedUserId]) {
        for some in users.chunks(APPEND) {
            let join = |user: &OwnedUserId| Change::own(Action::Join, user, Profile::default(), 1).template();
            let templates: Vec<EventTemplate> = some.iter().map(join).collect();
            self.send(storage, room, &templates).await;
            room.members += some.len();
        }
    }

    /// An encrypted message.
    pub(crate) async fn speak(&self, storage: &SharedStorage, room: &mut Room, sender: &UserId) {
        let text = format!(r#"{{"algorithm":"m.megolm.v1.aes-sha2","ciphertext":"{}"}}"#, "A".repeat(400));
        self.send(storage, room, &[EventTemplate::message(sender, "m.room.encrypted", content(&text), 1)]).await;
    }

    async fn send(&self, storage: &SharedStorage, room: &mut Room, templates: &[EventTemplate]) {
        let mut pdus = Vec::with_capacity(templates.len());
        for template in templates {
            let pdu = {
                let lookup = |kind: &str, key: &str| room.state.get(&(kind.to_owned(), key.to_owned())).cloned();
                author(template, &room.head, lookup, &self.key).unwrap()
            };
            room.head = Head::after(&pdu);
            if let Some(key) = pdu.state_key() {
                room.state.insert((pdu.kind().to_owned(), key.to_owned()), pdu.clone());
            }
            pdus.push(pdu);
        }
        self.append(storage, room, &pdus, false).await;
    }

    async fn append(&self, storage: &SharedStorage, room: &mut Room, pdus: &[Pdu], is_new: bool) {
        let last = pdus.last().unwrap();
        let new = |pdu: &Pdu| NewEvent {
            updates_state: pdu.is_state(),
            in_timeline: true,
            pdu: pdu.clone(),
            transaction: None,
        };
        let append = Append {
            room_id: room.id.clone(),
            version: RoomVersionId::try_from(last.version().as_str()).unwrap(),
            expected_revision: (!is_new).then_some(room.revision),
            events: pdus.iter().map(new).collect(),
            extremities: vec![last.event_id().to_owned()],
            depth: last.depth(),
            alias: None,
            published: None,
        };
        match storage.append_events(append).await.unwrap() {
            AppendOutcome::Appended(_) => {}
            other => panic!("an append: {other:?}"),
        }
        // There is one writer; the engine says how it counts.
        room.revision = storage.room_head(&room.id).await.unwrap().unwrap().revision;
    }
}

fn content(text: &str) -> Box<serde_json::value::RawValue> {
    RawJson::from_text(text.to_owned()).unwrap().as_raw().to_owned()
}
