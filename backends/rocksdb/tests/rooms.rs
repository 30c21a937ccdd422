//! Rooms and all that hangs on them, end to end on a store in a directory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use bytes::Bytes;
use olmstead_domain::{
    json::RawJson,
    position::{Cursor, Position},
    rooms::{RoomVersion, pdu::Pdu},
};
use olmstead_rocksdb::{Options, RocksStore};
use olmstead_storage::{
    AccountData, Accounts, Changes, Directory, Ephemeral, Media, Rooms, StorageError, SyncReads,
    account_data::Pusher,
    accounts::Account,
    changes::{ChangeKey, Changed},
    devices::{DeviceRef, NewSession},
    ephemeral::{Presence, Receipt},
    media::MediaInfo,
    rooms::{Append, AppendOutcome, Direction, Membership, NewEvent, RelationQuery, StateSelection},
    sync::SyncQuery,
    to_device::TransactionKey,
};
use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, RoomVersionId, room_id, user_id};
use serde_json::{Value, json};
use tempfile::TempDir;

struct Fixture {
    store: Arc<RocksStore>,
    room_id: OwnedRoomId,
    revision: Option<u64>,
    extremities: Vec<OwnedEventId>,
    depth: u64,
    _directory: TempDir,
}

fn alice() -> OwnedUserId {
    user_id!("@alice:example.org").to_owned()
}

fn bob() -> OwnedUserId {
    user_id!("@bob:example.org").to_owned()
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = RocksStore::open(directory.path(), Options::default()).unwrap();
        let room_id = room_id!("!room:example.org").to_owned();
        Self { store, room_id, revision: None, extremities: Vec::new(), depth: 0, _directory: directory }
    }

    fn event(&mut self, sender: &str, kind: &str, state_key: Option<&str>, content: Value) -> NewEvent {
        self.depth += 1;
        let mut event = json!({
            "type": kind, "room_id": self.room_id, "sender": sender, "content": content, "origin_server_ts": 1,
            "prev_events": self.extremities, "auth_events": [], "depth": self.depth, "hashes": {"sha256": "aa"},
            "signatures": {},
        });
        if let Some(state_key) = state_key {
            event["state_key"] = state_key.into();
        }
        let raw = serde_json::value::to_raw_value(&event).unwrap();
        let pdu = Pdu::from_raw(RoomVersion::V11, &raw).unwrap();
        self.extremities = vec![pdu.event_id().to_owned()];
        NewEvent { pdu, updates_state: state_key.is_some(), in_timeline: true, transaction: None }
    }

    fn member(&mut self, user: &str, membership: &str) -> NewEvent {
        self.event(user, "m.room.member", Some(user), json!({"membership": membership}))
    }

    fn message(&mut self, text: &str) -> NewEvent {
        self.event("@alice:example.org", "m.room.message", None, json!({"body": text}))
    }

    fn append_of(&self, events: Vec<NewEvent>) -> Append {
        Append {
            room_id: self.room_id.clone(),
            version: RoomVersionId::V11,
            expected_revision: self.revision,
            events,
            extremities: self.extremities.clone(),
            depth: self.depth,
            alias: None,
            published: None,
        }
    }

    async fn append(&mut self, events: Vec<NewEvent>) -> Position {
        let outcome = self.store.append_events(self.append_of(events)).await.unwrap();
        self.revision = Some(self.store.room_head(&self.room_id).await.unwrap().unwrap().revision);
        match outcome {
            AppendOutcome::Appended(position) => position,
            other => panic!("{other:?}"),
        }
    }

    /// A room of alice with bob invited.
    async fn room(&mut self) -> Position {
        let create = self.event("@alice:example.org", "m.room.create", Some(""), json!({"room_version": "11"}));
        let join = self.member("@alice:example.org", "join");
        let name = self.event("@alice:example.org", "m.room.name", Some(""), json!({"name": "one"}));
        let invite = self.event(
            "@alice:example.org",
            "m.room.member",
            Some("@bob:example.org"),
            json!({"membership": "invite"}),
        );
        self.append(vec![create, join, name, invite]).await
    }

    async fn device(&self, user_id: OwnedUserId) -> DeviceRef {
        let account = Account::new(user_id.clone(), None, 0);
        let session = NewSession {
            device_id: "DEVICE".into(),
            initial_display_name: None,
            access: [user_id.as_str().len().try_into().unwrap(); 32],
            access_expires_at: None,
            refresh: None,
            now: 0,
            most_devices: usize::MAX,
        };
        let access = session.access;
        assert!(self.store.create_account(account, Some(session)).await.unwrap());
        olmstead_storage::Devices::session(&*self.store, &access).await.unwrap().unwrap().device
    }

    async fn horizon(&self) -> Position {
        self.store.horizon().await.unwrap().position
    }
}

fn ids(events: &[olmstead_storage::rooms::StoredEvent]) -> Vec<String> {
    events.iter().map(|event| event.pdu.kind().to_owned()).collect()
}

#[tokio::test]
async fn an_append_is_a_compare_and_swap() {
    let mut fixture = Fixture::new();
    let position = fixture.room().await;
    let head = fixture.store.room_head(&fixture.room_id).await.unwrap().unwrap();
    assert_eq!((head.revision, head.joined_count, head.invited_count, head.encrypted_at), (1, 1, 1, None));
    assert_eq!(head.extremities, fixture.extremities);

    let again = Append { expected_revision: None, ..fixture.append_of(Vec::new()) };
    assert_eq!(fixture.store.append_events(again).await.unwrap(), AppendOutcome::RoomExists);
    let event = fixture.message("late");
    let late = Append { expected_revision: Some(0), ..fixture.append_of(vec![event.clone()]) };
    assert!(matches!(fixture.store.append_events(late).await, Err(StorageError::Conflict)));
    assert_eq!(fixture.store.events(&fixture.extremities).await.unwrap().len(), 1);
    assert!(fixture.store.events(&fixture.extremities).await.unwrap()[0].is_none());

    let join = fixture.member("@bob:example.org", "join");
    let to = fixture.append(vec![join]).await.next();
    let head = fixture.store.room_head(&fixture.room_id).await.unwrap().unwrap();
    assert_eq!((head.revision, head.joined_count, head.invited_count), (2, 2, 0));
    let Changed::Keys(keys) = fixture.store.changed(position.next(), to).await.unwrap() else { panic!() };
    assert!(keys.contains(&ChangeKey::Room(fixture.room_id.clone())));
    assert!(keys.contains(&ChangeKey::Membership(fixture.room_id.clone(), bob())));
    assert!(keys.contains(&ChangeKey::User(bob())));
}

#[tokio::test]
async fn a_transaction_is_seen_once() {
    let mut fixture = Fixture::new();
    fixture.room().await;
    let device = fixture.device(alice()).await;
    let key = TransactionKey { device, scope: "send/m.room.message".to_owned(), transaction_id: "1".to_owned() };
    let mut event = fixture.message("hello");
    event.transaction = Some(key.clone());
    fixture.append(vec![event.clone()]).await;
    let event_id = event.pdu.event_id().to_owned();
    assert_eq!(fixture.store.transaction_event(&key).await.unwrap(), Some(event_id.clone()));
    let stored = fixture.store.events(std::slice::from_ref(&event_id)).await.unwrap().pop().unwrap().unwrap();
    assert_eq!(stored.transaction, Some((key.device.device_id.clone(), key.device.generation, "1".to_owned())));
    let retry = Append { expected_revision: Some(0), ..fixture.append_of(vec![event]) };
    assert_eq!(fixture.store.append_events(retry).await.unwrap(), AppendOutcome::SeenBefore(event_id));
}

#[tokio::test]
async fn state_is_read_at_any_place() {
    let mut fixture = Fixture::new();
    let created = fixture.room().await;
    let encryption = fixture.event(
        "@alice:example.org",
        "m.room.encryption",
        Some(""),
        json!({"algorithm": "m.megolm.v1.aes-sha2"}),
    );
    let name = fixture.event("@alice:example.org", "m.room.name", Some(""), json!({"name": "two"}));
    let join = fixture.member("@bob:example.org", "join");
    let second = fixture.append(vec![encryption, name.clone(), join]).await;
    let store = &fixture.store;
    let room_id = &fixture.room_id;

    let now = store.state(room_id, None, StateSelection::All).await.unwrap();
    assert_eq!(now.len(), 5);
    let but = store.state(room_id, None, StateSelection::AllButMembers).await.unwrap();
    assert_eq!(ids(&but), ["m.room.create", "m.room.encryption", "m.room.name"]);
    let before = store.state(room_id, Some(Cursor::at(second)), StateSelection::All).await.unwrap();
    assert_eq!(ids(&before), ["m.room.create", "m.room.member", "m.room.member", "m.room.name"]);
    assert_eq!(before[3].pdu.content_field::<String>("name").unwrap(), "one");
    let wanted = vec![("m.room.name".to_owned(), String::new()), ("m.room.topic".to_owned(), String::new())];
    let at = |cursor| store.state(room_id, Some(cursor), StateSelection::These(wanted.clone()));
    assert_eq!(at(Cursor::new(created, 2)).await.unwrap().len(), 0);
    assert_eq!(at(Cursor::new(created, 3)).await.unwrap().len(), 1);
    assert_eq!(at(Cursor::new(second, 2)).await.unwrap()[0].pdu.event_id(), name.pdu.event_id());
    assert!(at(Cursor::new(second, 2)).await.unwrap()[0].replaces.is_some());
    let types = StateSelection::Types(vec!["m.room.member".to_owned()]);
    assert_eq!(store.state(room_id, Some(Cursor::at(second)), types).await.unwrap().len(), 2);

    let between = store.state_between(room_id, Cursor::START, Cursor::END).await.unwrap();
    assert_eq!(between.len(), 5);
    assert_eq!(store.state_history(room_id, "m.room.name", "").await.unwrap().len(), 2);
    let head = store.room_head(room_id).await.unwrap().unwrap();
    assert_eq!(head.encrypted_at, Some(Cursor::new(second, 0)));

    let members = store.members(room_id, Some(Cursor::at(second))).await.unwrap();
    assert_eq!(members[1].membership, Membership::Invite);
    assert_eq!(store.members(room_id, None).await.unwrap()[1].membership, Membership::Join);
    assert_eq!(store.joined_members(room_id).await.unwrap(), [alice(), bob()]);
    let changes = store.membership_changes(room_id, second, second.next()).await.unwrap();
    assert_eq!((changes[0].from, changes[0].to), (Some(Membership::Invite), Membership::Join));

    let as_of = store.memberships(&bob(), Position::END, second).await.unwrap();
    assert_eq!((as_of[0].membership, as_of[0].encrypted_at), (Membership::Invite, None));
    assert!(store.memberships(&bob(), Position::END, created).await.unwrap().is_empty());
    let now = store.memberships(&bob(), Position::END, second.next()).await.unwrap();
    assert_eq!((now[0].membership, now[0].last_event, now[0].last_membership), (Membership::Join, second, second));

    let strangers = [user_id!("@carol:example.org").to_owned(), bob()];
    assert_eq!(store.sharing_rooms(&alice(), &strangers, true, false).await.unwrap(), [bob()]);
    assert!(store.sharing_rooms(strangers[0].as_ref(), &[bob()], false, true).await.unwrap().is_empty());
}

#[tokio::test]
async fn timelines_page_both_ways() {
    let mut fixture = Fixture::new();
    let created = fixture.room().await;
    let mut sent = Vec::new();
    for index in 0..5 {
        let event = fixture.message(&format!("message {index}"));
        sent.push(event.pdu.event_id().to_owned());
        fixture.append(vec![event]).await;
    }
    let from = Cursor::at(created.next());
    let page = fixture.store.timeline(&fixture.room_id, from, Cursor::END, 2, Direction::Backward).await.unwrap();
    let got: Vec<_> = page.events.iter().map(|event| event.pdu.event_id().to_owned()).collect();
    assert_eq!(got, [sent[4].clone(), sent[3].clone()]);
    assert!(page.more);
    let to = page.events[1].cursor;
    let page = fixture.store.timeline(&fixture.room_id, from, to, 3, Direction::Forward).await.unwrap();
    assert_eq!(page.events.iter().map(|event| event.pdu.event_id().to_owned()).collect::<Vec<_>>(), sent[..3]);
    assert!(!page.more);
}

#[tokio::test]
async fn relations_and_redactions_are_kept() {
    let mut fixture = Fixture::new();
    fixture.room().await;
    let parent = fixture.message("parent");
    let parent_id = parent.pdu.event_id().to_owned();
    let reaction = fixture.event(
        "@alice:example.org",
        "m.reaction",
        None,
        json!({"m.relates_to": {"rel_type": "m.annotation", "event_id": parent_id, "key": "+"}}),
    );
    let redaction = fixture.event("@alice:example.org", "m.room.redaction", None, json!({"redacts": parent_id}));
    fixture.append(vec![parent, reaction.clone(), redaction.clone()]).await;
    let stored = fixture.store.events(std::slice::from_ref(&parent_id)).await.unwrap().pop().unwrap().unwrap();
    assert_eq!(stored.redacted_by.unwrap().event_id(), redaction.pdu.event_id());
    for (rel_type, count) in [(None, 1), (Some("m.annotation"), 1), (Some("m.thread"), 0)] {
        let query = RelationQuery { rel_type: rel_type.map(str::to_owned), event_type: None };
        let page = fixture
            .store
            .relations(&fixture.room_id, &parent_id, &query, Cursor::START, Cursor::END, 5, Direction::Backward)
            .await
            .unwrap();
        assert_eq!(page.events.len(), count);
    }
}

#[tokio::test]
async fn a_room_is_forgotten_until_the_next_invite() {
    let mut fixture = Fixture::new();
    fixture.room().await;
    assert!(!fixture.store.forget_room(&fixture.room_id, &bob()).await.unwrap());
    let leave = fixture.member("@bob:example.org", "leave");
    fixture.append(vec![leave]).await;
    assert!(fixture.store.forget_room(&fixture.room_id, &bob()).await.unwrap());
    assert!(fixture.store.forget_room(&fixture.room_id, &bob()).await.unwrap());
    assert!(fixture.store.memberships(&bob(), Position::END, Position::END).await.unwrap().is_empty());
    assert!(fixture.store.membership(&fixture.room_id, &bob()).await.unwrap().is_none());
    let invite =
        fixture.event("@alice:example.org", "m.room.member", Some("@bob:example.org"), json!({"membership": "invite"}));
    fixture.append(vec![invite]).await;
    let standing = fixture.store.membership(&fixture.room_id, &bob()).await.unwrap().unwrap();
    assert_eq!((standing.membership, standing.previous), (Membership::Invite, Some(Membership::Leave)));
    assert_eq!(standing.sender, alice());
}

#[tokio::test]
async fn a_sync_reads_all_in_one_view() {
    let mut fixture = Fixture::new();
    let device = fixture.device(alice()).await;
    fixture.room().await;
    let content = RawJson::from_text("{\"a\":1}".to_owned()).unwrap();
    fixture.store.set_account_data(&alice(), None, "org.example", content).await.unwrap();
    let query = SyncQuery { device: device.clone(), since: None, inbox_from: Cursor::START, inbox_limit: 100 };
    let first = fixture.store.sync_facts(&query).await.unwrap().unwrap();
    assert_eq!((first.memberships.len(), first.account_data.len()), (1, 1));
    assert_eq!(first.horizon.position, fixture.horizon().await);

    let query = SyncQuery { since: Some(first.horizon.position), ..query };
    let second = fixture.store.sync_facts(&query).await.unwrap().unwrap();
    assert!(second.account_data.is_empty() && second.memberships[0].last_event < first.horizon.position);

    let gone = DeviceRef { generation: device.generation + 1, ..device };
    assert!(fixture.store.sync_facts(&SyncQuery { device: gone, ..query }).await.unwrap().is_none());
}

#[tokio::test]
async fn what_passes_is_found_at_its_newest_position() {
    let fixture = Fixture::new();
    let (store, room_id) = (&fixture.store, &fixture.room_id);
    let receipt = |event: &str, kind: &str| Receipt {
        user_id: alice(),
        kind: kind.to_owned(),
        thread_id: None,
        event_id: event.try_into().unwrap(),
        at: 1,
        position: Position::START,
    };
    store.set_receipts(room_id, vec![receipt("$a", "m.read"), receipt("$a", "m.read.private")]).await.unwrap();
    let middle = fixture.horizon().await;
    store.set_receipts(room_id, vec![receipt("$b", "m.read")]).await.unwrap();
    assert_eq!(store.receipts_of(room_id, &alice()).await.unwrap().len(), 2);
    let old = store.receipts_between(room_id, Position::START, middle).await.unwrap();
    assert_eq!(old.iter().map(|receipt| receipt.kind.as_str()).collect::<Vec<_>>(), ["m.read.private"]);
    assert_eq!(store.receipts_between(room_id, middle, Position::END).await.unwrap()[0].event_id, "$b");

    store.set_typing(room_id, &alice(), Some(100)).await.unwrap();
    assert_eq!(store.typing(room_id, 50).await.unwrap().0, [alice()]);
    assert!(store.typing(room_id, 100).await.unwrap().0.is_empty());
    let (_, started) = store.typing(room_id, 50).await.unwrap();
    store.set_typing(room_id, &alice(), None).await.unwrap();
    assert!(store.typing(room_id, 50).await.unwrap().1 > started);

    let mut presence = Presence {
        user_id: alice(),
        presence: "online".to_owned(),
        status_msg: None,
        last_active_at: 1,
        position: Position::START,
    };
    store.set_presence(presence.clone()).await.unwrap();
    presence.presence = "offline".to_owned();
    store.set_presence(presence).await.unwrap();
    let all = store.presence_between(Position::START, Position::END).await.unwrap();
    assert_eq!(all.iter().map(|presence| presence.presence.as_str()).collect::<Vec<_>>(), ["offline"]);
}

#[tokio::test]
async fn account_data_filters_profiles_and_pushers_are_kept() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let device = fixture.device(alice()).await;
    let json = |text: &str| RawJson::from_text(text.to_owned()).unwrap();
    let room = Some(&*fixture.room_id);
    store.set_account_data(&alice(), room, "m.tag", json("{}")).await.unwrap();
    store.set_account_data(&alice(), None, "m.tag", json("{}")).await.unwrap();
    assert!(!store.replace_account_data(&alice(), room, "m.tag", None, json("{\"b\":1}")).await.unwrap());
    assert!(store.replace_account_data(&alice(), room, "m.tag", Some(&json("{}")), json("{\"b\":1}")).await.unwrap());
    let entries = store.account_data_between(&alice(), Position::START, Position::END).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.room_id.is_some()).collect::<Vec<_>>(), [false, true]);
    assert_eq!(store.account_data(&alice(), room, "m.tag").await.unwrap().unwrap().get(), "{\"b\":1}");

    let one = store.put_filter(&alice(), json("{\"a\":1}")).await.unwrap();
    let two = store.put_filter(&alice(), json("{\"a\":2}")).await.unwrap();
    assert_eq!(store.put_filter(&alice(), json("{\"a\":1}")).await.unwrap(), one);
    assert_eq!(store.filter(&alice(), &two).await.unwrap().unwrap().get(), "{\"a\":2}");
    assert!(store.filter(&alice(), "+0").await.unwrap().is_none());

    assert_eq!(store.profile(&bob()).await.unwrap(), None);
    store.set_profile_field(&alice(), "displayname", Some(json("\"Wonder\""))).await.unwrap();
    assert_eq!(store.profile(&alice()).await.unwrap().unwrap().len(), 1);
    assert_eq!(store.search_users("wonder", 5).await.unwrap(), [alice()]);
    store.set_profile_field(&alice(), "displayname", None).await.unwrap();
    assert!(store.search_users("wonder", 5).await.unwrap().is_empty());

    let other = fixture.device(user_id!("@bobby:example.org").to_owned()).await;
    let pusher = |device: &DeviceRef| Pusher {
        app_id: "app".to_owned(),
        pushkey: "key".to_owned(),
        device: device.clone(),
        data: json("{}"),
    };
    store.set_pusher(pusher(&other), false).await.unwrap();
    store.set_pusher(pusher(&device), true).await.unwrap();
    assert_eq!(store.pushers(&other.user_id).await.unwrap().len(), 1);
    store.set_pusher(pusher(&device), false).await.unwrap();
    assert!(store.pushers(&other.user_id).await.unwrap().is_empty());
    store.delete_pusher(&alice(), "app", "key").await.unwrap();
    assert!(store.pushers(&alice()).await.unwrap().is_empty());
}

#[tokio::test]
async fn rooms_are_found_by_alias_and_in_the_list() {
    let mut fixture = Fixture::new();
    let create = fixture.event("@alice:example.org", "m.room.create", Some(""), json!({"room_version": "11"}));
    let join = fixture.member("@alice:example.org", "join");
    let alias: ruma::OwnedRoomAliasId = "#room:example.org".try_into().unwrap();
    let append = Append {
        alias: Some((alias.clone(), alice())),
        published: Some(true),
        ..fixture.append_of(vec![create, join])
    };
    let store = &fixture.store;
    let other = room_id!("!other:example.org");
    assert!(store.create_alias(&alias, other, &bob()).await.unwrap());
    assert_eq!(store.append_events(append.clone()).await.unwrap(), AppendOutcome::AliasTaken);
    assert!(store.room_head(&fixture.room_id).await.unwrap().is_none());
    assert!(store.delete_alias(&alias).await.unwrap() && !store.delete_alias(&alias).await.unwrap());
    assert!(matches!(store.append_events(append).await.unwrap(), AppendOutcome::Appended(_)));
    assert_eq!(store.alias(&alias).await.unwrap(), Some((fixture.room_id.clone(), alice())));
    assert_eq!(store.room_aliases(&fixture.room_id).await.unwrap(), [alias]);
    assert_eq!(store.published_rooms().await.unwrap(), [(fixture.room_id.clone(), 1)]);
    store.set_published(&fixture.room_id, false).await.unwrap();
    assert!(!store.published(&fixture.room_id).await.unwrap());
}

#[tokio::test]
async fn media_is_kept_byte_for_byte() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let content = Bytes::from(vec![0xa5; 100_000]);
    let info = MediaInfo {
        user_id: alice(),
        content_type: None,
        file_name: None,
        size: 100_000,
        created_at: 0,
        uploaded: true,
        unauthenticated: false,
    };
    assert!(store.put_media("id", info.clone(), None).await.unwrap());
    assert!(!store.media_info("id").await.unwrap().unwrap().uploaded);
    assert!(store.put_media("id", info.clone(), Some(content.clone())).await.unwrap());
    assert!(!store.put_media("id", info.clone(), Some(content.clone())).await.unwrap());
    assert_eq!(store.media_info("id").await.unwrap(), Some(info));
    assert_eq!(store.media_content("id").await.unwrap(), Some(content));
}
