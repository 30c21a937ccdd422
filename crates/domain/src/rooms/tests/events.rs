//! Building, storing and redacting events.

use ruma::{
    CanonicalJsonObject,
    room_version_rules::RedactionRules,
    serde::Base64,
    signatures::{PublicKeyMap, PublicKeySet, Verified, reference_hash, verify_event},
};
use serde_json::json;

use super::*;
use crate::{
    error::ErrorKind,
    rooms::{
        build::build,
        pdu::{MAX_PDU_BYTES, nesting},
        redact,
    },
};

fn keys(key: &ServerKey) -> PublicKeyMap {
    let mut set = PublicKeySet::new();
    set.insert(key.key_id().to_owned(), Base64::parse(key.public_key()).unwrap());
    PublicKeyMap::from([(key.server_name().to_string(), set)])
}

#[test]
fn ids_are_reference_hashes_and_signatures_verify() {
    for version in RoomVersion::ALL {
        let mut room = Room::new(version, Preset::Public);
        room.join(BOB).unwrap();
        room.text(BOB, "hello");
        for pdu in &room.events {
            let object: CanonicalJsonObject = pdu.canonical().unwrap();
            let hash = reference_hash(&object, version.rules()).unwrap();
            assert_eq!(pdu.event_id().as_str(), format!("${hash}"));
            let verified = verify_event(&keys(&room.key), &object, version.rules()).unwrap();
            assert_eq!(verified, Verified::All);
            assert_eq!(Pdu::from_raw(version, pdu.json()).unwrap().event_id(), pdu.event_id());
            assert_eq!(pdu.room_id(), room.id());
        }
    }
}

#[test]
fn version_12_rooms_are_named_by_their_create_event() {
    let room = Room::new(RoomVersion::V12, Preset::Private);
    let create = &room.events[0];
    assert_eq!(room.id().as_str(), create.event_id().as_str().replacen('$', "!", 1));
    assert!(room.id().server_name().is_none());
    assert!(value(create.json()).get("room_id").is_none());
    for pdu in &room.events[1..] {
        assert!(!pdu.auth_events().iter().any(|id| id == create.event_id()));
    }
    let older = Room::new(RoomVersion::V11, Preset::Private);
    assert_eq!(older.id().server_name().unwrap(), "here.example");
    assert_eq!(older.events[1].auth_events(), [older.events[0].event_id().to_owned()]);
}

#[test]
fn storing_keeps_everything() {
    for version in RoomVersion::ALL {
        let room = Room::new(version, Preset::Private);
        for pdu in &room.events {
            let text = serde_json::to_string(pdu).unwrap();
            let back: Pdu = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&back).unwrap(), text);
            assert_eq!(back.event_id(), pdu.event_id());
            assert_eq!(back.room_id(), pdu.room_id());
            assert_eq!(back.depth(), pdu.depth());
            assert_eq!(back.prev_events(), pdu.prev_events());
            assert!(!back.rejected());
            let rejected = back.into_rejected().unwrap();
            let text = serde_json::to_string(&rejected).unwrap();
            assert!(serde_json::from_str::<Pdu>(&text).unwrap().rejected());
        }
    }
}

#[test]
fn unsigned_is_dropped_on_reading() {
    let room = Room::new(RoomVersion::V12, Preset::Private);
    let pdu = room.events.last().unwrap();
    let mut object = value(pdu.json());
    object["unsigned"] = json!({ "age": 1 });
    let read = Pdu::from_raw(RoomVersion::V12, &raw(object)).unwrap();
    assert_eq!(read.json().get(), pdu.json().get());
}

/// GEN-11.
#[test]
fn content_that_is_not_canonical_is_refused() {
    let mut room = Room::new(RoomVersion::V12, Preset::Private);
    for content in ["{\"a\":1.5}", "{\"a\":1e3}", "{\"a\":-0}", "{\"a\":9007199254740992}", "[]", "1"] {
        let content = RawValue::from_string(content.to_owned()).unwrap();
        let template = EventTemplate::message(&user(ALICE), "m.room.message", content, 1);
        assert_eq!(room.send(&template).unwrap_err().kind(), ErrorKind::BadJson);
    }
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(120), "]".repeat(120));
    let template = EventTemplate::message(&user(ALICE), "x", RawValue::from_string(deep).unwrap(), 1);
    assert_eq!(room.send(&template).unwrap_err().kind(), ErrorKind::BadJson);
    assert_eq!(nesting(r#"{"a":["[[[\"[["]}"#), 2);
}

/// ENC-8.
#[test]
fn sizes_are_limited() {
    let mut room = Room::new(RoomVersion::V12, Preset::Private);
    let fits = room.message(ALICE, "m.room.encrypted", json!({ "ciphertext": "" })).unwrap();
    let spare = MAX_PDU_BYTES - fits.json().get().len();
    // The next event's depth may have a digit more or less than that of the first.
    let largest = room.message(ALICE, "m.room.encrypted", json!({ "ciphertext": "x".repeat(spare) }));
    assert_eq!(largest.unwrap().json().get().len(), MAX_PDU_BYTES);
    let error = room.message(ALICE, "m.room.encrypted", json!({ "ciphertext": "x".repeat(spare + 1) })).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);

    let long = "x".repeat(256);
    assert_eq!(room.message(ALICE, &long, json!({})).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(room.set(ALICE, "x", &long, json!({})).unwrap_err().kind(), ErrorKind::TooLarge);
    assert!(room.set(ALICE, "x", &long[1..], json!({})).is_ok());
    assert!(room.message(ALICE, &long[1..], json!({})).is_ok());
}

#[test]
fn redactions_name_their_target_where_the_version_wants_it() {
    for version in RoomVersion::ALL {
        let mut room = Room::new(version, Preset::Private);
        let target = room.text(ALICE, "oops");
        let template = EventTemplate::redaction(&user(ALICE), target.event_id(), Some("typo"), room.now);
        let redaction = room.send(&template).unwrap();
        assert_eq!(redaction.redacts(), Some(target.event_id()));
        let json = value(redaction.json());
        let in_content = version.redacts_in_content();
        assert_eq!(json.get("redacts").is_some(), !in_content);
        assert_eq!(json["content"].get("redacts").is_some(), in_content);
        assert_eq!(json["content"]["reason"], "typo");
        assert!(redact::applies(&redaction, &target, &room.levels()));
    }
    // From version 11 on a client can send the event itself, but has to name a target.
    let mut room = Room::new(RoomVersion::V11, Preset::Private);
    let error = room.message(ALICE, "m.room.redaction", json!({})).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadJson);
}

/// ENC-3.
#[test]
fn redaction_strips_what_the_version_does_not_protect() {
    for version in RoomVersion::ALL {
        let mut room = Room::new(version, Preset::Private);
        let encryption =
            room.set(ALICE, "m.room.encryption", "", json!({ "algorithm": "m.megolm.v1.aes-sha2" })).unwrap();
        let redacted = redact::redact(&encryption).unwrap();
        assert_eq!(redacted.content().get(), "{}");
        assert_eq!(redacted.event_id(), encryption.event_id());
        assert_eq!(redacted.state_key(), Some(""));
        let hash = reference_hash(&redacted.canonical().unwrap(), version.rules()).unwrap();
        assert_eq!(redacted.event_id().as_str(), format!("${hash}"));

        let create = redact::redact(&room.events[0]).unwrap();
        assert_eq!(create.room_id(), room.id());
        assert_eq!(value(create.content()).get("room_version").is_some(), version >= RoomVersion::V11);
        let member = redact::redact(&room.events[1]).unwrap();
        assert_eq!(value(member.content()), json!({ "membership": "join" }));
        let levels = redact::redact(&room.get("m.room.power_levels", "").unwrap()).unwrap();
        assert_eq!(value(levels.content()).get("invite").is_some(), version >= RoomVersion::V11);
    }
}

#[test]
fn a_redaction_needs_power_or_the_same_server() {
    let mut room = Room::new(RoomVersion::V12, Preset::Public);
    let away = "@dora:there.example";
    room.join(BOB).unwrap();
    // Dora's events would come by federation; here her server's part is played by ours.
    room.join(away).unwrap();
    let target = room.text(BOB, "hi");
    let template = EventTemplate::redaction(&user(away), target.event_id(), None, room.now);
    let redaction = room.send(&template).unwrap();
    assert!(!redact::applies(&redaction, &target, &room.levels()));
    assert!(!room.levels().can_redact(&user(away), &user(BOB)));
    assert!(room.levels().can_redact(&user(BOB), &user(BOB)));
    assert!(room.levels().can_redact(&user(ALICE), &user(away)));
}

#[test]
fn the_place_must_fit_the_version() {
    let key = key();
    let create = EventTemplate::state(&user(ALICE), "m.room.create", "", raw(json!({ "room_version": "12" })), 1);
    let id = room_id_from_random(&[0; 18], key.server_name()).unwrap();
    assert!(build(&create, &Head::root(RoomVersion::V12, Some(id)), &[], &key).is_err());
    assert!(build(&create, &Head::root(RoomVersion::V11, None), &[], &key).is_err());
}

#[test]
fn malformed_events_are_refused() {
    let room = Room::new(RoomVersion::V12, Preset::Private);
    let good = value(room.events[3].json());
    for (field, bad) in [
        ("state_key", Value::Null),
        ("state_key", json!(1)),
        ("content", json!([])),
        ("content", json!("x")),
        ("sender", json!("alice")),
        ("depth", json!(-1)),
        ("prev_events", json!("x")),
        ("prev_events", json!(vec!["$a"; 21])),
        ("auth_events", json!(vec!["$a"; 11])),
        ("auth_events", json!([room.events[0].event_id()])),
        ("room_id", json!("x")),
        ("origin_server_ts", json!("now")),
    ] {
        let mut object = good.clone();
        object[field] = bad.clone();
        let error = Pdu::from_raw(RoomVersion::V12, &raw(object)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadJson, "{field} {bad}");
    }
    for field in ["type", "sender", "content", "depth", "prev_events", "auth_events", "room_id"] {
        let mut object = good.clone();
        object.as_object_mut().unwrap().remove(field);
        assert!(Pdu::from_raw(RoomVersion::V12, &raw(object)).is_err(), "{field}");
    }
    let mut create = value(room.events[0].json());
    create["room_id"] = json!("!x:y");
    assert!(Pdu::from_raw(RoomVersion::V12, &raw(create)).is_err());
}

#[test]
fn versions_are_known_or_refused() {
    for version in RoomVersion::ALL {
        assert_eq!(RoomVersion::parse(version.as_str()).unwrap(), version);
        assert_eq!(version.id().as_str(), version.as_str());
    }
    assert_eq!(RoomVersion::default(), RoomVersion::V12);
    for unknown in ["1", "9", "13", "", "org.example"] {
        let error = RoomVersion::parse(unknown).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnsupportedRoomVersion);
    }
}

#[test]
fn server_keys_are_made_from_seeds() {
    let name: ruma::OwnedServerName = "here.example".try_into().unwrap();
    // The seed and signature of the signing test vectors in the appendices.
    let seed =
        ruma::serde::Base64::<ruma::serde::base64::Standard>::parse("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1")
            .unwrap();
    let seed: [u8; 32] = seed.as_bytes().try_into().unwrap();
    let key = ServerKey::from_seed("domain".try_into().unwrap(), &seed, "1").unwrap();
    let mut object = CanonicalJsonObject::new();
    key.sign_json(&mut object).unwrap();
    assert_eq!(
        serde_json::to_string(&object).unwrap(),
        r#"{"signatures":{"domain":{"ed25519:1":"K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ"}}}"#
    );
    // And those of its events, which are of a room of the first version.
    let events = [
        (
            json!({"room_id": "!x:domain", "sender": "@a:domain", "origin": "domain", "origin_server_ts": 1_000_000,
                "signatures": {}, "hashes": {}, "type": "X", "content": {}, "prev_events": [], "auth_events": [],
                "depth": 3, "unsigned": {"age_ts": 1_000_000}}),
            "5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos",
            "KxwGjPSDEtvnFgU00fwFz+l6d2pJM6XBIaMEn81SXPTRl16AqLAYqfIReFGZlHi5KLjAWbOoMszkwsQma+lYAg",
        ),
        (
            json!({"content": {"body": "Here is the message content"}, "event_id": "$0:domain", "origin": "domain",
                "origin_server_ts": 1_000_000, "type": "m.room.message", "room_id": "!r:domain",
                "sender": "@u:domain", "signatures": {}, "unsigned": {"age_ts": 1_000_000}}),
            "onLKD1bGljeBWQhWZ1kaP9SorVmRQNdN5aM2JYU2n/g",
            "Wm+VzmOUOz08Ds+0NTWb1d4CZrVsJSikkeRxh6aCcUwu6pNC78FunoD7KNWzqFn241eYHYMGCA5McEiVPdhzBA",
        ),
    ];
    for (event, hash, signature) in events {
        let mut signed: CanonicalJsonObject = serde_json::from_value(event).unwrap();
        key.hash_and_sign(&mut signed, &RedactionRules::V1).unwrap();
        let signed = serde_json::to_value(signed).unwrap();
        assert_eq!(signed["hashes"]["sha256"], hash);
        assert_eq!(signed["signatures"]["domain"]["ed25519:1"], signature);
    }
    assert!(ServerKey::from_seed(name.clone(), &seed, "").is_err());
    assert!(ServerKey::from_seed(name, &seed, "a-b").is_err());
}
