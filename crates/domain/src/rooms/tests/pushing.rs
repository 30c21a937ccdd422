//! Push rules on events.

use ruma::push::{Action as Do, NewPatternedPushRule, NewPushRule, NewSimplePushRule, RuleKind};
use serde_json::json;

use super::*;
use crate::{
    error::ErrorKind,
    push::{Outcome, PushEvent, default_rules, delete_rule, put_rule, rules_of, set_actions, set_enabled},
};

const QUIET: Outcome = Outcome { notify: false, highlight: false };
const NOTIFY: Outcome = Outcome { notify: true, highlight: false };
const LOUD: Outcome = Outcome { notify: true, highlight: true };

fn outcome(room: &Room, pdu: &Pdu, who: &str, members: u64) -> Outcome {
    let levels = room.levels();
    PushEvent::new(pdu, members, Some(&levels)).evaluate(&user(who), "Bobby", &default_rules(&user(who)))
}

/// ENC-10.
#[test]
fn the_rules_for_encrypted_rooms_exist() {
    let rules = default_rules(&user(BOB));
    for id in [".m.rule.encrypted_room_one_to_one", ".m.rule.encrypted"] {
        assert!(rules.get(RuleKind::Underride, id).is_some(), "{id}");
    }
    let mut room = Room::new(RoomVersion::V12, Preset::Public);
    let pdu = room.message(ALICE, "m.room.encrypted", json!({ "ciphertext": "x" })).unwrap();
    assert_eq!(outcome(&room, &pdu, BOB, 2), NOTIFY);
    assert_eq!(outcome(&room, &pdu, BOB, 9), NOTIFY);
    assert_eq!(outcome(&room, &pdu, ALICE, 2), QUIET);
}

#[test]
fn mentions_highlight_if_power_allows() {
    let mut room = Room::new(RoomVersion::V12, Preset::Public);
    room.join(BOB).unwrap();
    let mention = json!({ "body": "x", "m.mentions": { "user_ids": [BOB] } });
    let pdu = room.message(ALICE, "m.room.message", mention).unwrap();
    assert_eq!(outcome(&room, &pdu, BOB, 3), LOUD);
    assert_eq!(outcome(&room, &pdu, CAROL, 3), NOTIFY);
    let everybody = json!({ "body": "x", "m.mentions": { "room": true } });
    let by_creator = room.message(ALICE, "m.room.message", everybody.clone()).unwrap();
    let by_user = room.message(BOB, "m.room.message", everybody).unwrap();
    assert_eq!(outcome(&room, &by_creator, CAROL, 3), LOUD);
    assert_eq!(outcome(&room, &by_user, CAROL, 3), NOTIFY);
    let notice = room.message(ALICE, "m.room.message", json!({ "msgtype": "m.notice", "body": "x" })).unwrap();
    assert_eq!(outcome(&room, &notice, BOB, 3), QUIET);
    let invite = room.invite(ALICE, CAROL).unwrap();
    assert_eq!(outcome(&room, &invite, CAROL, 3), NOTIFY);
    assert_eq!(outcome(&room, &invite, BOB, 3), QUIET);
}

#[test]
fn rules_are_added_changed_and_deleted() {
    let bob = user(BOB);
    let mut rules = default_rules(&bob);
    let word = |id: &str| NewPushRule::Content(NewPatternedPushRule::new(id.into(), "word".into(), vec![Do::Notify]));
    put_rule(&mut rules, word("one"), None, None).unwrap();
    put_rule(&mut rules, word("two"), None, None).unwrap();
    set_enabled(&mut rules, RuleKind::Content, "two", false).unwrap();
    // Moving the first behind the last is where the library alone would fail.
    put_rule(&mut rules, word("two"), Some("one"), None).unwrap();
    let order: Vec<&str> = rules.content.iter().map(|rule| rule.rule_id.as_str()).collect();
    assert_eq!(order, ["one", "two"]);
    assert!(!rules.get(RuleKind::Content, "two").unwrap().enabled());
    put_rule(&mut rules, word("two"), None, Some("one")).unwrap();
    let order: Vec<&str> = rules.content.iter().map(|rule| rule.rule_id.as_str()).collect();
    assert_eq!(order, ["two", "one"]);

    let before = serde_json::to_string(&rules).unwrap();
    assert_eq!(put_rule(&mut rules, word("new"), Some("none"), None).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(put_rule(&mut rules, word(".m"), None, None).unwrap_err().kind(), ErrorKind::InvalidParam);
    assert!(delete_rule(&mut rules, RuleKind::Underride, ".m.rule.message").is_err());
    assert_eq!(delete_rule(&mut rules, RuleKind::Content, "none").unwrap_err().kind(), ErrorKind::NotFound);
    assert!(set_actions(&mut rules, RuleKind::Content, "none", Vec::new()).is_err());
    assert_eq!(serde_json::to_string(&rules).unwrap(), before);

    delete_rule(&mut rules, RuleKind::Content, "one").unwrap();
    set_actions(&mut rules, RuleKind::Content, "two", Vec::new()).unwrap();
    let stored = raw(json!({ "global": rules }));
    let back = rules_of(&bob, Some(&stored));
    assert_eq!(serde_json::to_string(&back).unwrap(), serde_json::to_string(&rules).unwrap());
    let default = serde_json::to_string(&default_rules(&bob)).unwrap();
    assert_eq!(serde_json::to_string(&rules_of(&bob, None)).unwrap(), default);
    assert_eq!(serde_json::to_string(&rules_of(&bob, Some(&raw(json!(1))))).unwrap(), default);
}

#[test]
fn rooms_can_be_muted() {
    let mut room = Room::new(RoomVersion::V12, Preset::Public);
    let pdu = room.text(ALICE, "x");
    let mut rules = default_rules(&user(BOB));
    put_rule(&mut rules, NewPushRule::Room(NewSimplePushRule::new(room.id().to_owned(), Vec::new())), None, None)
        .unwrap();
    let mut event = PushEvent::new(&pdu, 5, None);
    assert_eq!(event.evaluate(&user(BOB), "", &rules), QUIET);
    assert_eq!(event.evaluate(&user(CAROL), "", &default_rules(&user(CAROL))), NOTIFY);
}
