//! createRoom and upgrades.

use serde_json::json;

use super::*;
use crate::{
    error::ErrorKind,
    rooms::{
        create::InitialState,
        upgrade::{Upgrade, lock_down, predecessor, replacement, tombstone},
    },
};

fn kinds(events: &[Pdu]) -> Vec<&str> {
    events.iter().map(Pdu::kind).collect()
}

fn initial(kind: &str, content: Value) -> InitialState {
    InitialState { kind: kind.into(), state_key: String::new(), content: raw(content) }
}

/// ENC-5.
#[test]
fn events_come_in_the_order_of_the_specification() {
    for version in RoomVersion::ALL {
        let mut new = request(version, Preset::Private);
        new.name = Some("Name".into());
        new.topic = Some("Topic".into());
        new.alias = Some(ruma::RoomAliasId::parse("#pub:here.example").unwrap());
        new.invite = vec![(user(BOB), Profile::default()), (user(BOB), Profile::default())];
        new.is_direct = true;
        new.initial_state = vec![
            initial("m.room.encryption", json!({ "algorithm": "m.megolm.v1.aes-sha2" })),
            initial("m.room.guest_access", json!({ "guest_access": "forbidden" })),
        ];
        let room = Room::from(&new);
        assert_eq!(
            kinds(&room.events),
            [
                "m.room.create",
                "m.room.member",
                "m.room.power_levels",
                "m.room.canonical_alias",
                "m.room.join_rules",
                "m.room.history_visibility",
                "m.room.encryption",
                "m.room.guest_access",
                "m.room.name",
                "m.room.topic",
                "m.room.member",
            ]
        );
        let invite = room.events.last().unwrap();
        assert_eq!(value(invite.content()), json!({ "is_direct": true, "membership": "invite" }));
        assert_eq!(value(room.events[1].content()), json!({ "displayname": "Alice", "membership": "join" }));
        let create = value(room.events[0].content());
        assert_eq!(create["room_version"], version.as_str());
        assert_eq!(create.get("creator").is_some(), version == RoomVersion::V10);
        for (depth, pdu) in (1..).zip(&room.events) {
            assert_eq!(pdu.depth(), depth);
        }
    }
}

/// ENC-6.
#[test]
fn presets_do_not_encrypt() {
    for preset in [Preset::Private, Preset::TrustedPrivate, Preset::Public] {
        let room = Room::new(RoomVersion::V12, preset);
        assert!(room.get("m.room.encryption", "").is_none());
        let rule = JoinRule::read(room.get("m.room.join_rules", "").as_ref());
        assert_eq!(rule.is_public(), preset == Preset::Public);
    }
    assert_eq!(Preset::choose(None, true).unwrap(), Preset::Public);
    assert_eq!(Preset::choose(None, false).unwrap(), Preset::Private);
    assert_eq!(Preset::choose(Some("trusted_private_chat"), true).unwrap(), Preset::TrustedPrivate);
    assert!(Preset::choose(Some("other"), false).is_err());
}

#[test]
fn those_invited_to_a_trusted_room_are_as_powerful_as_the_creator() {
    for version in RoomVersion::ALL {
        let mut new = request(version, Preset::TrustedPrivate);
        new.invite = vec![(user(BOB), Profile::default())];
        let mut room = Room::from(&new);
        room.join(BOB).unwrap();
        let levels = room.levels();
        assert_eq!(levels.user(&user(ALICE)), levels.user(&user(BOB)));
        let create = value(room.events[0].content());
        if version == RoomVersion::V12 {
            assert_eq!(create["additional_creators"], json!([BOB]));
            assert_eq!(levels.user(&user(BOB)), super::super::Level::Infinite);
        } else {
            assert!(create.get("additional_creators").is_none());
        }
    }
}

#[test]
fn additional_creators_are_merged_and_checked() {
    let mut new = request(RoomVersion::V12, Preset::TrustedPrivate);
    new.creation_content = Some(raw(
        json!({ "additional_creators": [CAROL, ALICE, CAROL], "type": "m.space", "room_version": "1", "creator": BOB }),
    ));
    new.invite = vec![(user(CAROL), Profile::default()), (user(BOB), Profile::default())];
    let content = value(Room::from(&new).events[0].content());
    assert_eq!(content, json!({ "additional_creators": [CAROL, BOB], "type": "m.space", "room_version": "12" }));
    for bad in [json!("x"), json!(["x"]), json!([1])] {
        new.creation_content = Some(raw(json!({ "additional_creators": bad })));
        assert_eq!(new.templates().unwrap_err().kind(), ErrorKind::BadJson);
    }
    new.creation_content = Some(raw(json!([])));
    assert_eq!(new.templates().unwrap_err().kind(), ErrorKind::BadJson);
}

#[test]
fn power_levels_can_be_overridden() {
    for version in RoomVersion::ALL {
        let content = value(Room::new(version, Preset::Private).get("m.room.power_levels", "").unwrap().content());
        let tombstone = if version == RoomVersion::V12 { 150 } else { 100 };
        assert_eq!(content["events"]["m.room.tombstone"], tombstone);
        assert_eq!(content["events"]["m.room.encryption"], 100);
        assert_eq!(content["users"].get(ALICE).is_some(), version != RoomVersion::V12);

        let mut new = request(version, Preset::Private);
        new.power_level_content_override = Some(raw(json!({ "events": { "m.room.name": 0 }, "state_default": 160 })));
        let levels = value(Room::from_levels(&new).content());
        assert_eq!(levels["events"]["m.room.name"], 0);
        if version == RoomVersion::V12 {
            assert_eq!(levels["events"]["m.room.tombstone"], 161);
        }
        new.power_level_content_override = Some(raw(json!({ "users": { ALICE: 100, BOB: 50 } })));
        let result = new.templates();
        if version == RoomVersion::V12 {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::BadJson);
        } else {
            assert!(result.is_ok());
        }
        new.power_level_content_override = Some(raw(json!({ "ban": "50" })));
        let id = room_id_from_random(&[3; 18], key().server_name()).unwrap();
        let error = build_room(version, &new.templates().unwrap(), id, &key()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadJson);
    }
}

impl Room {
    /// The power levels event a request leads to, whether or not the room can be made.
    fn from_levels(new: &NewRoom) -> EventTemplateContent {
        let template = new.templates().unwrap().into_iter().find(|t| t.kind == "m.room.power_levels");
        EventTemplateContent(template.unwrap().content)
    }
}

struct EventTemplateContent(Box<RawValue>);

impl EventTemplateContent {
    fn content(&self) -> &RawValue {
        &self.0
    }
}

#[test]
fn impossible_rooms_are_refused() {
    let key = key();
    let id = room_id_from_random(&[3; 18], key.server_name()).unwrap();
    let fails =
        |new: &NewRoom| build_room(new.version, &new.templates().unwrap(), id.clone(), &key).unwrap_err().kind();
    // The creator gives away the power to name the room.
    let mut new = request(RoomVersion::V11, Preset::Private);
    new.name = Some("x".into());
    new.power_level_content_override = Some(raw(json!({ "users": {}, "events": { "m.room.name": 50 } })));
    assert_eq!(fails(&new), ErrorKind::InvalidRoomState);
    // Nobody can be invited who is in already.
    let mut new = request(RoomVersion::V12, Preset::Private);
    new.invite = vec![(user(ALICE), Profile::default())];
    assert_eq!(fails(&new), ErrorKind::InvalidRoomState);
    let mut new = request(RoomVersion::V12, Preset::Private);
    new.initial_state = vec![initial("m.room.create", json!({}))];
    assert_eq!(new.templates().unwrap_err().kind(), ErrorKind::BadJson);
    let mut new = request(RoomVersion::V12, Preset::Private);
    new.creation_content = Some(raw(json!({ "m.federate": "no" })));
    assert_eq!(fails(&new), ErrorKind::BadJson);
}

#[test]
fn power_levels_of_the_initial_state_replace_the_default() {
    let mut new = request(RoomVersion::V12, Preset::Private);
    new.initial_state = vec![initial("m.room.power_levels", json!({ "users": { BOB: 50 } }))];
    let room = Room::from(&new);
    let all = room.events.iter().filter(|pdu| pdu.kind() == "m.room.power_levels").count();
    assert_eq!(all, 1);
    assert_eq!(
        value(room.get("m.room.power_levels", "").unwrap().content()),
        json!({ "users": { BOB: 50 }, "events": { "m.room.tombstone": 150 } })
    );
}

fn upgrade(version: RoomVersion, room: &Room, sender: &str) -> Room {
    let request = Upgrade {
        version,
        sender: user(sender),
        profile: Profile::default(),
        old_room: room.id().to_owned(),
        last_event: (version != RoomVersion::V12).then(|| room.events.last().unwrap().event_id().to_owned()),
        additional_creators: vec![user(CAROL)],
        now: 9_000,
    };
    let bans: Vec<Pdu> =
        room.state.values().filter(|pdu| pdu.membership() == Some(MembershipState::Ban)).cloned().collect();
    let templates = request.templates(|kind, key| room.get(kind, key), &bans).unwrap();
    let key = key();
    let id = room_id_from_random(&[4; 18], key.server_name()).unwrap();
    let created = build_room(version, &templates, id, &key).unwrap();
    Room { key, events: created.events, state: created.state, now: 10_000 }
}

/// ENC-4.
#[test]
fn upgrades_copy_the_state_that_matters() {
    for old_version in RoomVersion::ALL {
        for version in RoomVersion::ALL {
            let mut new = request(old_version, Preset::Private);
            new.creation_content = Some(raw(json!({ "type": "m.space" })));
            new.name = Some("Old".into());
            let mut room = Room::from(&new);
            let encryption = json!({ "algorithm": "m.megolm.v1.aes-sha2", "rotation_period_msgs": 7 });
            room.set(ALICE, "m.room.encryption", "", encryption.clone()).unwrap();
            room.set(ALICE, "m.room.history_visibility", "", json!({ "history_visibility": "joined" })).unwrap();
            room.change(Action::Ban, ALICE, BOB).unwrap();

            let next = upgrade(version, &room, ALICE);
            assert_eq!(value(next.get("m.room.encryption", "").unwrap().content()), encryption);
            assert_eq!(
                value(next.get("m.room.history_visibility", "").unwrap().content()),
                json!({ "history_visibility": "joined" })
            );
            assert_eq!(next.membership(BOB), Some(MembershipState::Ban));
            assert_eq!(value(next.get("m.room.name", "").unwrap().content()), json!({ "name": "Old" }));
            let create = value(next.events[0].content());
            assert_eq!(create["type"], "m.space");
            assert_eq!(create.get("additional_creators").is_some(), version == RoomVersion::V12);
            let (old_room, event) = predecessor(&next.events[0]).unwrap();
            assert_eq!(old_room, room.id());
            assert_eq!(event.is_some(), version != RoomVersion::V12);
            assert!(next.levels().can_send(&user(ALICE), "m.room.tombstone", true));

            let stone = room.send(&tombstone(&user(ALICE), next.id(), room.now)).unwrap();
            assert_eq!(replacement(&stone).as_deref(), Some(next.id()));
            let levels = room.get("m.room.power_levels", "").unwrap();
            let locked = room.send(&lock_down(&user(ALICE), &levels, room.now).unwrap()).unwrap();
            assert!(lock_down(&user(ALICE), &locked, room.now).is_none());
            assert!(!room.levels().can_send(&user(CAROL), "m.room.message", false));
        }
    }
}

#[test]
fn a_moderator_can_upgrade_and_stays_a_moderator() {
    let mut room = Room::new(RoomVersion::V11, Preset::Public);
    room.join(BOB).unwrap();
    let mut levels = value(room.get("m.room.power_levels", "").unwrap().content());
    levels["users"][BOB] = json!(50);
    levels["events"]["m.room.tombstone"] = json!(50);
    room.set(ALICE, "m.room.power_levels", "", levels.clone()).unwrap();
    let next = upgrade(RoomVersion::V11, &room, BOB);
    assert_eq!(value(next.get("m.room.power_levels", "").unwrap().content()), levels);
    let next = upgrade(RoomVersion::V12, &room, BOB);
    assert_eq!(next.levels().user(&user(BOB)), super::super::Level::Infinite);
    assert_eq!(next.levels().user(&user(ALICE)), super::super::Level::Int(100));
}
