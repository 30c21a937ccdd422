use olmstead_domain::{
    backup::{
        BackupBody, BackupError, BackupVersion, KeyBackupData, check_writable, parse_room, parse_rooms, replaces,
    },
    error::ErrorKind,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    json::any_json,
    support::{parsed, raw, text},
};

fn data(is_verified: bool, first_message_index: u64, forwarded_count: u64, session: u64) -> KeyBackupData {
    let value = json!({
        "first_message_index": first_message_index, "forwarded_count": forwarded_count,
        "is_verified": is_verified, "session_data": {"ciphertext": session},
    });
    KeyBackupData::parse(raw(&value).as_raw()).unwrap()
}

/// BKP-19, BKP-20, BKP-31
#[test]
fn forms() {
    let good = r#"{"first_message_index":1,"forwarded_count":0,"is_verified":false,"session_data":{"b": 1.50,"a":[]}}"#;
    let key = KeyBackupData::parse(text(good).as_raw()).unwrap();
    assert_eq!(key.session_data.get(), r#"{"b": 1.50,"a":[]}"#);
    assert_eq!(serde_json::to_string(&key).unwrap(), good);

    let good: Value = serde_json::from_str(good).unwrap();
    let mut bad = Vec::new();
    for member in ["first_message_index", "forwarded_count", "is_verified", "session_data"] {
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove(member);
        bad.push(without);
        for wrong in [json!(null), json!("1"), json!(-1), json!(1.5), json!([])] {
            let mut value = good.clone();
            value[member] = wrong;
            bad.push(value);
        }
    }
    bad.push(json!([1, 2, true, {}]));
    for value in bad {
        let refused = |result: Result<(), BackupError>| result.unwrap_err().kind() == ErrorKind::BadJson;
        assert!(refused(KeyBackupData::parse(raw(&value).as_raw()).map(drop)), "{value}");
        let room = json!({"sessions": {"good": good, "bad": value}});
        assert!(refused(parse_room(raw(&room).as_raw()).map(drop)));
        let rooms = json!({"rooms": {"!a:x.org": room, "!b:x.org": {"sessions": {}}}});
        assert!(refused(parse_rooms(raw(&rooms).as_raw()).map(drop)));
    }
    let rooms = json!({"rooms": {"!a:x.org": {"sessions": {"a/+=%": good}}, "!b:x.org": {"sessions": {}}}});
    let rooms = parse_rooms(raw(&rooms).as_raw()).unwrap();
    assert_eq!(rooms.len(), 2);
    assert!(rooms.values().next().unwrap().contains_key("a/+=%"));
    for value in [json!({}), json!({"rooms": 1}), json!({"rooms": {"not a room": {"sessions": {}}}}), json!([])] {
        assert!(parse_rooms(raw(&value).as_raw()).is_err());
    }
    assert!(parse_room(raw(&json!({"sessions": {"": good}})).as_raw()).is_err());
    assert!(parse_room(text(&format!(r#"{{"sessions":{{"a":{good},"a":{good}}}}}"#)).as_raw()).is_err());
}

/// BKP-14 to BKP-18
#[test]
fn replace_rule() {
    let stored = data(false, 5, 5, 0);
    assert!(replaces(&stored, &data(true, 9, 9, 1)));
    assert!(!replaces(&data(true, 9, 9, 0), &data(false, 0, 0, 1)));
    assert!(replaces(&stored, &data(false, 4, 9, 1)));
    assert!(!replaces(&stored, &data(false, 6, 0, 1)));
    assert!(replaces(&stored, &data(false, 5, 4, 1)));
    assert!(!replaces(&stored, &data(false, 5, 6, 1)));
    assert!(!replaces(&stored, &data(false, 5, 5, 1)));
}

/// BKP-2, BKP-12, BKP-13
#[test]
fn versions() {
    assert_eq!("12".parse::<BackupVersion>().unwrap(), BackupVersion(12));
    for text in ["", "01", "+1", "-1", " 1", "1.0", "x", "18446744073709551616"] {
        assert_eq!(text.parse::<BackupVersion>().unwrap_err().kind(), ErrorKind::NotFound, "{text}");
    }
    // By number, not by text.
    assert!(BackupVersion(10) > BackupVersion(9));
    assert_eq!(BackupVersion(9).next(), BackupVersion(10));

    let (one, two) = (BackupVersion(1), BackupVersion(2));
    assert_eq!(check_writable(two, true, Some(two)), Ok(()));
    assert_eq!(check_writable(one, true, Some(two)), Err(BackupError::WrongVersion { current: two }));
    assert_eq!(check_writable(one, false, Some(two)), Err(BackupError::NotFound));
    assert_eq!(check_writable(one, false, None), Err(BackupError::NotFound));
}

/// BKP-1, BKP-6, BKP-7, BKP-34
#[test]
fn descriptions() {
    let body = |value: Value| BackupBody::parse(raw(&value).as_raw());
    let stored = body(json!({"algorithm": "org.example.new", "auth_data": {"b": 1, "a": {}}})).unwrap();
    assert_eq!(parsed(&stored.auth_data), json!({"b": 1, "a": {}}));
    assert_eq!(stored.check_update("org.example.new", BackupVersion(3)), Ok(()));
    assert_eq!(stored.check_update("other", BackupVersion(3)).unwrap_err().kind(), ErrorKind::InvalidParam);
    let versioned = body(json!({"algorithm": "a", "auth_data": {}, "version": "3"})).unwrap();
    assert_eq!(versioned.check_update("a", BackupVersion(3)), Ok(()));
    assert_eq!(versioned.check_update("a", BackupVersion(4)).unwrap_err().kind(), ErrorKind::InvalidParam);
    for bad in [
        json!({}),
        json!({"algorithm": "a"}),
        json!({"auth_data": {}}),
        json!({"algorithm": 1, "auth_data": {}}),
        json!({"algorithm": "a", "auth_data": []}),
        json!({"algorithm": "a", "auth_data": {}, "version": 3}),
    ] {
        assert_eq!(body(bad).unwrap_err().kind(), ErrorKind::BadJson);
    }
}

prop_compose! {
    fn any_data()(verified in any::<bool>(), index in 0..4_u64, forwarded in 0..4_u64, session in any::<u64>())
        -> KeyBackupData {
        data(verified, index, forwarded, session % 1000)
    }
}

fn rank(data: &KeyBackupData) -> (bool, u64, u64) {
    (data.is_verified, data.first_message_index, data.forwarded_count)
}

/// The key that is stored after putting all of these in turn.
fn winner(keys: &[KeyBackupData]) -> KeyBackupData {
    let mut keys = keys.iter();
    let mut stored = keys.next().unwrap();
    for new in keys {
        if replaces(stored, new) {
            stored = new;
        }
    }
    stored.clone()
}

proptest! {
    /// BKP-14 to BKP-18: a strict total order on what the rule reads.
    #[test]
    fn replaces_is_a_strict_order(a in any_data(), b in any_data(), c in any_data()) {
        prop_assert!(!replaces(&a, &a));
        prop_assert!(!(replaces(&a, &b) && replaces(&b, &a)));
        prop_assert_eq!(rank(&a) == rank(&b), !replaces(&a, &b) && !replaces(&b, &a));
        if replaces(&a, &b) && replaces(&b, &c) {
            prop_assert!(replaces(&a, &c));
        }
        // As the rule reads, term by term.
        let expected = match (a.is_verified, b.is_verified) {
            (false, true) => true,
            (true, false) => false,
            _ if b.first_message_index != a.first_message_index => b.first_message_index < a.first_message_index,
            _ => b.forwarded_count < a.forwarded_count,
        };
        prop_assert_eq!(replaces(&a, &b), expected);
    }

    /// BKP-29
    #[test]
    fn the_winner_does_not_depend_on_the_order(
        (keys, shuffled) in prop::collection::vec(any_data(), 1..8)
            .prop_flat_map(|keys| (Just(keys.clone()), Just(keys).prop_shuffle()))
    ) {
        prop_assert_eq!(rank(&winner(&keys)), rank(&winner(&shuffled)));
        prop_assert!(keys.iter().all(|key| !replaces(&winner(&keys), key)));
    }

    #[test]
    fn nothing_panics(value in any_json()) {
        let value = raw(&value);
        let _ = parse_rooms(value.as_raw());
        let _ = parse_room(value.as_raw());
        let _ = BackupBody::parse(value.as_raw());
        let _ = KeyBackupData::parse(value.as_raw());
    }
}
