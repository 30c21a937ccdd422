//! Real rooms: events that are authorised, hashed and signed, and a record of them to compare a store with.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use olmstead_domain::{
    position::{Cursor, Position},
    rooms::{
        EventTemplate, Pdu, RoomVersion, ServerKey,
        auth::author,
        build::{Head, room_id_from_random},
        create::{NewRoom, Preset, build_room},
        membership::{Action, Change, Profile},
    },
};
use olmstead_storage::{
    StorageError,
    rooms::{Append, AppendOutcome, Membership, NewEvent, RoomHead, StoredEvent},
    to_device::TransactionKey,
};
use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, RoomVersionId, ServerName, UserId};
use serde_json::{Value, json};

use super::{SERVER, unique};
use crate::Store;

/// Type and state key.
pub(crate) type StateKey = (String, String);

static KEY: LazyLock<ServerKey> =
    LazyLock::new(|| ServerKey::from_seed(ServerName::parse(SERVER).unwrap(), &[42; 32], "1").unwrap());

/// An event and its place.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) pdu: Pdu,
    pub(crate) cursor: Cursor,
}

impl Placed {
    pub(crate) fn id(&self) -> OwnedEventId {
        self.pdu.event_id().to_owned()
    }
}

/// A room of one writer, with all that it wrote.
#[derive(Debug, Clone)]
pub(crate) struct TestRoom {
    pub(crate) id: OwnedRoomId,
    pub(crate) version: RoomVersion,
    pub(crate) creator: OwnedUserId,
    /// All events in the order of the stream.
    pub(crate) log: Vec<Placed>,
    state: BTreeMap<StateKey, Pdu>,
}

/// A time that no other event has.
fn now() -> u64 {
    1_700_000_000_000 + unique()
}

/// A text message.
pub(crate) fn message(sender: &UserId, body: &str) -> EventTemplate {
    let content = json!({ "msgtype": "m.text", "body": body });
    EventTemplate::message(sender, "m.room.message", super::raw(content).as_raw().to_owned(), now())
}

/// Any message event.
pub(crate) fn message_of(sender: &UserId, kind: &str, content: Value) -> EventTemplate {
    EventTemplate::message(sender, kind, super::raw(content).as_raw().to_owned(), now())
}

/// Any state event.
pub(crate) fn state_of(sender: &UserId, kind: &str, state_key: &str, content: Value) -> EventTemplate {
    EventTemplate::state(sender, kind, state_key, super::raw(content).as_raw().to_owned(), now())
}

/// A change of membership.
pub(crate) fn membership(action: Action, sender: &UserId, target: &UserId) -> EventTemplate {
    Change {
        action,
        sender,
        target,
        profile: Profile::default(),
        reason: None,
        is_direct: false,
        voucher: None,
        origin_server_ts: now(),
    }
    .template()
}

/// An event as it is appended: state is state, and all is shown.
pub(crate) fn new_event(pdu: Pdu) -> NewEvent {
    NewEvent { updates_state: pdu.is_state(), in_timeline: true, pdu, transaction: None }
}

/// The events of an append on a head; the caller may change it before it is made.
pub(crate) fn append_of(pdus: &[Pdu], head: Option<&RoomHead>) -> Append {
    let last = pdus.last().unwrap();
    Append {
        room_id: last.room_id().to_owned(),
        version: version_id(last.version()),
        expected_revision: head.map(|head| head.revision),
        events: pdus.iter().cloned().map(new_event).collect(),
        extremities: vec![last.event_id().to_owned()],
        depth: last.depth(),
        alias: None,
        published: None,
    }
}

/// The version as the storage traits name it.
pub(crate) fn version_id(version: RoomVersion) -> RoomVersionId {
    RoomVersionId::try_from(version.as_str()).unwrap()
}

/// The ids of events.
pub(crate) fn ids(events: &[StoredEvent]) -> Vec<OwnedEventId> {
    events.iter().map(|event| event.pdu.event_id().to_owned()).collect()
}

/// A membership as the storage traits name it.
pub(crate) fn membership_of(pdu: &Pdu) -> Membership {
    match pdu.content_field::<String>("membership").as_deref() {
        Some("invite") => Membership::Invite,
        Some("join") => Membership::Join,
        Some("leave") => Membership::Leave,
        Some("ban") => Membership::Ban,
        Some("knock") => Membership::Knock,
        other => panic!("not a membership: {other:?}"),
    }
}

/// The events of a new public room, not stored yet.
pub(crate) fn new_room(creator: &UserId, version: RoomVersion) -> Vec<Pdu> {
    let room = NewRoom {
        power_level_content_override: Some(
            super::raw(json!({ "users_default": 50, "state_default": 0, "events": {} })).as_raw().to_owned(),
        ),
        name: Some(format!("room {}", unique())),
        ..NewRoom::new(version, creator.to_owned(), Preset::Public, now())
    };
    // Each byte makes one of 52 letters.
    let mut random = [0; 18];
    let mut rest = unique();
    for byte in &mut random {
        *byte = u8::try_from(rest % 52).unwrap();
        rest /= 52;
    }
    let id = room_id_from_random(&random, KEY.server_name()).unwrap();
    build_room(version, &room.templates().unwrap(), id, &KEY).unwrap().events
}

impl TestRoom {
    /// A new public room of the default version.
    pub(crate) async fn create(store: &Store, creator: &UserId) -> Self {
        Self::create_version(store, creator, RoomVersion::DEFAULT).await
    }

    /// A new public room.
    pub(crate) async fn create_version(store: &Store, creator: &UserId, version: RoomVersion) -> Self {
        let pdus = new_room(creator, version);
        let outcome = store.append_events(append_of(&pdus, None)).await.unwrap();
        Self::created(creator, &pdus, &outcome)
    }

    /// The record of a room that was made by appending `pdus`.
    pub(crate) fn created(creator: &UserId, pdus: &[Pdu], outcome: &AppendOutcome) -> Self {
        let first = pdus.first().unwrap();
        let mut room = Self {
            id: first.room_id().to_owned(),
            version: first.version(),
            creator: creator.to_owned(),
            log: Vec::new(),
            state: BTreeMap::new(),
        };
        room.note(pdus, outcome);
        room
    }

    /// Notes what was appended.
    pub(crate) fn note(&mut self, pdus: &[Pdu], outcome: &AppendOutcome) -> Position {
        let AppendOutcome::Appended(position) = outcome else { panic!("appended: {outcome:?}") };
        for (ordinal, pdu) in pdus.iter().enumerate() {
            let cursor = Cursor::new(*position, u32::try_from(ordinal).unwrap());
            self.log.push(Placed { pdu: pdu.clone(), cursor });
            if let Some(state_key) = pdu.state_key() {
                self.state.insert((pdu.kind().to_owned(), state_key.to_owned()), pdu.clone());
            }
        }
        *position
    }

    /// Builds events on a head, each on the one before.
    pub(crate) fn build(&self, head: &RoomHead, templates: &[EventTemplate]) -> Vec<Pdu> {
        let mut at = Head {
            version: self.version,
            room_id: Some(self.id.clone()),
            prev_events: head.extremities.clone(),
            prev_depth: head.depth,
        };
        let mut state = self.state.clone();
        let mut pdus = Vec::new();
        for template in templates {
            let pdu = {
                let lookup = |kind: &str, key: &str| state.get(&(kind.to_owned(), key.to_owned())).cloned();
                author(template, &at, lookup, &KEY).unwrap_or_else(|error| panic!("{template:?}: {error}"))
            };
            at = Head::after(&pdu);
            if let Some(state_key) = pdu.state_key() {
                state.insert((pdu.kind().to_owned(), state_key.to_owned()), pdu.clone());
            }
            pdus.push(pdu);
        }
        pdus
    }

    /// The head of the room in the store.
    pub(crate) async fn head(&self, store: &Store) -> RoomHead {
        store.room_head(&self.id).await.unwrap().expect("the room is there")
    }

    /// Appends events in one commit.
    pub(crate) async fn append(&mut self, store: &Store, templates: &[EventTemplate]) -> Vec<Placed> {
        let head = self.head(store).await;
        let pdus = self.build(&head, templates);
        let outcome = store.append_events(append_of(&pdus, Some(&head))).await.unwrap();
        self.note(&pdus, &outcome);
        self.log[self.log.len() - pdus.len()..].to_vec()
    }

    /// Appends one event.
    pub(crate) async fn send(&mut self, store: &Store, template: EventTemplate) -> Placed {
        self.append(store, &[template]).await.remove(0)
    }

    /// A text message.
    pub(crate) async fn say(&mut self, store: &Store, sender: &UserId, body: &str) -> Placed {
        self.send(store, message(sender, body)).await
    }

    /// A state event by the creator.
    pub(crate) async fn set(&mut self, store: &Store, kind: &str, state_key: &str, content: Value) -> Placed {
        let template = state_of(&self.creator.clone(), kind, state_key, content);
        self.send(store, template).await
    }

    /// Turns encryption on.
    pub(crate) async fn encrypt(&mut self, store: &Store) -> Placed {
        self.set(store, "m.room.encryption", "", json!({ "algorithm": "m.megolm.v1.aes-sha2" })).await
    }

    /// A user's own change of membership.
    pub(crate) async fn own(&mut self, store: &Store, action: Action, user: &UserId) -> Placed {
        self.send(store, membership(action, user, user)).await
    }

    /// The user joins.
    pub(crate) async fn join(&mut self, store: &Store, user: &UserId) -> Placed {
        self.own(store, Action::Join, user).await
    }

    /// The user leaves.
    pub(crate) async fn leave(&mut self, store: &Store, user: &UserId) -> Placed {
        self.own(store, Action::Leave, user).await
    }

    /// The creator changes a user's membership.
    pub(crate) async fn by_creator(&mut self, store: &Store, action: Action, user: &UserId) -> Placed {
        let template = membership(action, &self.creator.clone(), user);
        self.send(store, template).await
    }

    /// Appends an event by many writers: builds again on the new head after a lost race. It is not noted here.
    pub(crate) async fn append_in_race(
        &self,
        store: &Store,
        template: EventTemplate,
        transaction: Option<TransactionKey>,
    ) -> (Pdu, AppendOutcome) {
        loop {
            let head = self.head(store).await;
            let pdu = self.build(&head, std::slice::from_ref(&template)).remove(0);
            let mut append = append_of(std::slice::from_ref(&pdu), Some(&head));
            append.events[0].transaction = transaction.clone();
            match store.append_events(append).await {
                Err(StorageError::Conflict) => tokio::task::yield_now().await,
                outcome => return (pdu, outcome.unwrap()),
            }
        }
    }

    /// The state strictly before a place, as noted.
    pub(crate) fn state_before(&self, before: Cursor) -> BTreeMap<StateKey, OwnedEventId> {
        self.state_in(Cursor::START, before)
    }

    /// The last event of each state entry that was set in a span.
    pub(crate) fn state_in(&self, from: Cursor, to: Cursor) -> BTreeMap<StateKey, OwnedEventId> {
        let mut state = BTreeMap::new();
        for placed in self.log.iter().filter(|placed| placed.cursor >= from && placed.cursor < to) {
            if let Some(state_key) = placed.pdu.state_key() {
                state.insert((placed.pdu.kind().to_owned(), state_key.to_owned()), placed.id());
            }
        }
        state
    }

    /// The last member event of each user strictly before a place.
    pub(crate) fn members_before(&self, before: Cursor) -> BTreeMap<OwnedUserId, Placed> {
        let mut members = BTreeMap::new();
        for placed in self.log.iter().filter(|placed| placed.cursor < before && placed.pdu.kind() == "m.room.member") {
            members.insert(UserId::parse(placed.pdu.state_key().unwrap()).unwrap(), placed.clone());
        }
        members
    }

    /// All places that matter: that of each event, and one after the last.
    pub(crate) fn places(&self) -> Vec<Cursor> {
        let mut places: BTreeSet<Cursor> = self.log.iter().map(|placed| placed.cursor).collect();
        if let Some(last) = self.log.last() {
            places.insert(last.cursor.next());
        }
        places.insert(Cursor::START);
        places.insert(Cursor::END);
        places.into_iter().collect()
    }
}
