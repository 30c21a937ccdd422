//! Membership, power levels and the authorisation rules.

use serde_json::json;

use super::*;
use crate::{
    error::ErrorKind,
    rooms::{
        Level,
        auth::{auth_keys, needed_state},
        membership::{Step, check_forget},
    },
};

#[test]
fn people_come_and_go() {
    for version in RoomVersion::ALL {
        let mut room = Room::new(version, Preset::Private);
        assert_eq!(room.join(BOB).unwrap_err().kind(), ErrorKind::Forbidden);
        room.invite(ALICE, BOB).unwrap();
        room.join(BOB).unwrap();
        room.text(BOB, "hello");
        assert_eq!(room.invite(ALICE, BOB).unwrap_err().kind(), ErrorKind::Forbidden);
        assert_eq!(room.change(Action::Kick, BOB, ALICE).unwrap_err().kind(), ErrorKind::Forbidden);
        assert_eq!(room.change(Action::Ban, BOB, ALICE).unwrap_err().kind(), ErrorKind::Forbidden);
        room.change(Action::Kick, ALICE, BOB).unwrap();
        assert_eq!(room.membership(BOB), Some(MembershipState::Leave));
        assert_eq!(room.join(BOB).unwrap_err().kind(), ErrorKind::Forbidden);
        assert_eq!(room.change(Action::Kick, ALICE, BOB).unwrap_err().kind(), ErrorKind::Forbidden);
        assert_eq!(room.change(Action::Unban, ALICE, BOB).unwrap_err().kind(), ErrorKind::Forbidden);
        room.change(Action::Ban, ALICE, BOB).unwrap();
        assert_eq!(room.invite(ALICE, BOB).unwrap_err().kind(), ErrorKind::Forbidden);
        assert_eq!(room.change(Action::Leave, BOB, BOB).unwrap_err().kind(), ErrorKind::Forbidden);
        room.change(Action::Unban, ALICE, BOB).unwrap();
        room.invite(ALICE, BOB).unwrap();
        room.change(Action::Leave, BOB, BOB).unwrap();
        let error = room.message(BOB, "m.room.message", json!({})).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        assert!(error.to_string().starts_with("not allowed: "), "{error}");
    }
}

#[test]
fn knocking_asks_for_an_invitation() {
    let mut room = Room::new(RoomVersion::V12, Preset::Private);
    assert!(room.change(Action::Knock, BOB, BOB).is_err());
    room.set(ALICE, "m.room.join_rules", "", json!({ "join_rule": "knock" })).unwrap();
    room.change(Action::Knock, BOB, BOB).unwrap();
    assert!(room.join(BOB).is_err());
    room.invite(ALICE, BOB).unwrap();
    room.join(BOB).unwrap();
}

#[test]
fn restricted_rooms_need_somebody_to_vouch() {
    for version in RoomVersion::ALL {
        let mut room = Room::new(version, Preset::Private);
        let rules = json!({
            "join_rule": "restricted",
            "allow": [
                { "type": "m.room_membership", "room_id": "!other:here.example" },
                { "type": "org.example", "room_id": "!more:here.example" },
                "nonsense",
            ],
        });
        let event = room.set(ALICE, "m.room.join_rules", "", rules).unwrap();
        let rule = JoinRule::read(Some(&event));
        assert!(rule.is_restricted());
        assert_eq!(rule.allowed_rooms.len(), 1);
        assert!(rule.needs_voucher(None));
        assert!(!rule.needs_voucher(Some(&MembershipState::Invite)));
        let join = Change::own(Action::Join, &user(BOB), Profile::default(), room.now).template();
        assert_eq!(room.send(&join).unwrap_err().kind(), ErrorKind::Forbidden);
        let joined = room.join(BOB).unwrap();
        let voucher: String = joined.content_field("join_authorised_via_users_server").unwrap();
        assert_eq!(voucher, ALICE);
    }
    assert_eq!(JoinRule::read(None).rule, "invite");
}

#[test]
fn vouchers_must_be_able_to_invite() {
    let mut room = Room::new(RoomVersion::V11, Preset::Public);
    room.join(BOB).unwrap();
    let (alice, bob) = (user(ALICE), user(BOB));
    let levels = room.levels();
    assert_eq!(restricted_join_voucher(&levels, [&*bob]), None);
    assert_eq!(restricted_join_voucher(&levels, [&*bob, &*alice]), Some(&*alice));
}

#[test]
fn changes_are_checked_against_the_membership_before() {
    use MembershipState as M;
    let nothing = |action: Action, state: M| assert_eq!(action.check(Some(&state)).unwrap(), Step::Nothing);
    nothing(Action::Join, M::Join);
    nothing(Action::Leave, M::Leave);
    nothing(Action::Knock, M::Knock);
    for (action, state) in [
        (Action::Join, Some(M::Ban)),
        (Action::Leave, None),
        (Action::Leave, Some(M::Ban)),
        (Action::Kick, None),
        (Action::Kick, Some(M::Leave)),
        (Action::Kick, Some(M::Ban)),
        (Action::Unban, None),
        (Action::Unban, Some(M::Join)),
        (Action::Invite, Some(M::Join)),
        (Action::Invite, Some(M::Ban)),
        (Action::Knock, Some(M::Join)),
        (Action::Knock, Some(M::Invite)),
        (Action::Knock, Some(M::Ban)),
    ] {
        assert_eq!(action.check(state.as_ref()).unwrap_err().kind(), ErrorKind::Forbidden, "{action:?} {state:?}");
    }
    for state in [M::Join, M::Invite, M::Knock] {
        assert!(check_forget(Some(&state)).is_err());
    }
    assert!(check_forget(Some(&M::Leave)).is_ok());
    assert!(check_forget(Some(&M::Ban)).is_ok());
    assert!(check_forget(None).is_ok());
}

#[test]
fn power_levels_decide() {
    for version in RoomVersion::ALL {
        let mut room = Room::new(version, Preset::Public);
        room.join(BOB).unwrap();
        room.join(CAROL).unwrap();
        let error = room.set(BOB, "m.room.name", "", json!({ "name": "Bob's" })).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        let mut content = value(room.get("m.room.power_levels", "").unwrap().content());
        content["users"][BOB] = json!(50);
        room.set(ALICE, "m.room.power_levels", "", content.clone()).unwrap();
        room.set(BOB, "m.room.name", "", json!({ "name": "Bob's" })).unwrap();
        // ENC-1: encryption is ordinary state, and its level is 100.
        let encryption = json!({ "algorithm": "m.megolm.v1.aes-sha2" });
        assert!(room.set(BOB, "m.room.encryption", "", encryption.clone()).is_err());
        room.set(ALICE, "m.room.encryption", "", encryption).unwrap();
        room.set(ALICE, "m.room.encryption", "", json!({ "algorithm": "org.example" })).unwrap();

        let levels = room.levels();
        let (alice, bob, carol) = (user(ALICE), user(BOB), user(CAROL));
        assert_eq!(levels.user(&bob), Level::Int(50));
        assert_eq!(levels.user(&carol), Level::Int(0));
        assert!(levels.can_kick(&bob, &carol) && levels.can_ban(&bob, &carol) && levels.can_unban(&bob, &carol));
        assert!(!levels.can_kick(&bob, &alice) && !levels.can_kick(&bob, &bob) && !levels.can_ban(&carol, &bob));
        assert!(levels.can_invite(&bob) && !levels.can_invite(&carol));
        assert!(levels.can_notify(&bob, "room") && !levels.can_notify(&carol, "room"));
        assert_eq!(levels.needed_for("m.room.message", false), 0);
        assert_eq!(levels.needed_for("org.example", true), 50);

        content["users"][BOB] = json!(100);
        let grabbed = room.set(BOB, "m.room.power_levels", "", content);
        assert_eq!(grabbed.unwrap_err().kind(), ErrorKind::Forbidden);
    }
}

#[test]
fn creators_of_version_12_stand_above_all() {
    let mut room = Room::new(RoomVersion::V12, Preset::Public);
    room.join(BOB).unwrap();
    let mut content = value(room.get("m.room.power_levels", "").unwrap().content());
    content["users"][BOB] = json!(9_007_199_254_740_991_i64);
    room.set(ALICE, "m.room.power_levels", "", content.clone()).unwrap();
    let levels = room.levels();
    assert!(levels.user(&user(ALICE)) > levels.user(&user(BOB)));
    room.change(Action::Kick, ALICE, BOB).unwrap();
    content["users"][ALICE] = json!(1);
    let named = room.set(ALICE, "m.room.power_levels", "", content);
    assert_eq!(named.unwrap_err().kind(), ErrorKind::Forbidden);
}

#[test]
fn without_power_levels_the_creator_decides() {
    for version in RoomVersion::ALL {
        let room = Room::new(version, Preset::Private);
        let levels = PowerLevels::read(&room.events[0], None);
        let expected = if version == RoomVersion::V12 { Level::Infinite } else { Level::Int(100) };
        assert_eq!(levels.user(&user(ALICE)), expected);
        assert_eq!(levels.user(&user(BOB)), Level::Int(0));
        assert!(levels.can_notify(&user(ALICE), "room"));
        assert_eq!(levels.creators().iter().map(|u| u.as_str()).collect::<Vec<_>>(), [ALICE]);
    }
}

#[test]
fn malformed_content_of_special_events_is_bad_json() {
    let mut room = Room::new(RoomVersion::V12, Preset::Private);
    for (kind, key, content) in [
        ("m.room.member", ALICE, json!({})),
        ("m.room.member", ALICE, json!({ "membership": "visitor" })),
        ("m.room.member", ALICE, json!({ "membership": 1 })),
        ("m.room.join_rules", "", json!({ "join_rule": 1 })),
        ("m.room.power_levels", "", json!({ "ban": "50" })),
        ("m.room.power_levels", "", json!({ "events": [] })),
        ("m.room.power_levels", "", json!({ "events": { "x": "50" } })),
        ("m.room.power_levels", "", json!({ "users": { "bob": 50 } })),
        ("m.room.power_levels", "", json!({ "users": { BOB: null } })),
    ] {
        let error = room.set(ALICE, kind, key, content.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadJson, "{kind} {content}");
    }
}

#[test]
fn auth_events_are_selected() {
    let message = EventTemplate::message(&user(BOB), "m.room.message", raw(json!({})), 1);
    let invite = EventTemplate::state(&user(ALICE), "m.room.member", BOB, raw(json!({ "membership": "invite" })), 1);
    let names = |keys: Vec<StateKey>| {
        let mut names: Vec<String> = keys.into_iter().map(|(kind, key)| format!("{kind}{key}")).collect();
        names.sort();
        names
    };
    assert_eq!(
        names(auth_keys(RoomVersion::V11, &message).unwrap()),
        ["m.room.create", "m.room.member@bob:here.example", "m.room.power_levels"]
    );
    assert_eq!(
        names(auth_keys(RoomVersion::V12, &message).unwrap()),
        ["m.room.member@bob:here.example", "m.room.power_levels"]
    );
    assert_eq!(
        names(needed_state(RoomVersion::V12, &invite).unwrap()),
        [
            "m.room.create",
            "m.room.join_rules",
            "m.room.member@alice:here.example",
            "m.room.member@bob:here.example",
            "m.room.power_levels"
        ]
    );
}

#[test]
fn state_of_others_cannot_be_set() {
    let mut room = Room::new(RoomVersion::V12, Preset::Public);
    assert!(room.set(ALICE, "org.example", BOB, json!({})).is_err());
    assert!(room.set(ALICE, "org.example", ALICE, json!({})).is_ok());
}
