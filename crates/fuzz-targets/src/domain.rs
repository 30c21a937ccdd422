//! The parsers of `domain`.

use std::collections::{BTreeMap, BTreeSet};

use olmstead_domain::{
    backup::{self, BackupBody, BackupVersion, KeyBackupData},
    filter::{Filter, RoomEventFilter},
    identifiers,
    json::{self, Fields, RawJson},
    keys::{cross_signing, device_keys, fallback, one_time, signatures, visibility},
    position::{SlidingToken, SyncToken, TimelineToken},
    push,
    rooms::{client_event, pdu::Pdu, redact, relations::Relation, version::RoomVersion},
    to_device as messages,
};
use ruma::{DeviceId, OwnedDeviceId, UserId};
use serde_json::value::RawValue;

fn alice() -> &'static UserId {
    ruma::user_id!("@alice:localhost")
}

fn device() -> &'static DeviceId {
    ruma::device_id!("ALICE")
}

/// The bytes as JSON, if they are.
fn raw(data: &[u8]) -> Option<RawJson> {
    RawJson::from_text(std::str::from_utf8(data).ok()?.to_owned()).ok()
}

/// What is canonical stays as it is, is as long as was said, and has the members that were read.
pub(crate) fn json(data: &[u8]) {
    let Some(raw) = raw(data) else { return };
    let length = json::canonical_len(raw.as_raw());
    if let Ok(canonical) = json::canonical(raw.as_raw()) {
        let Ok(again) = RawJson::from_text(canonical.clone()) else {
            unreachable!("a canonical form is JSON");
        };
        assert_eq!(json::canonical(again.as_raw()).as_deref(), Ok(canonical.as_str()));
        if length.is_ok() {
            assert_eq!(json::canonical_len(again.as_raw()), Ok(canonical.len()));
        }
    }
    if let Ok(fields) = Fields::parse(raw.as_raw()) {
        let Ok(written) = fields.to_raw() else { unreachable!("members that were read can be written") };
        let again = Fields::parse(written.as_raw());
        assert!(again.is_ok_and(|again| {
            again
                .iter()
                .map(|(name, value)| (name.to_owned(), value.get().to_owned()))
                .eq(fields.iter().map(|(name, value)| (name.to_owned(), value.get().to_owned())))
        }));
        let names: BTreeSet<&str> = fields.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), fields.len());
    }
}

/// Identity keys are kept as they came but for what no signature covers, and no device sees a signature that was not there.
pub(crate) fn device_keys(data: &[u8]) {
    let Some(raw) = raw(data) else { return };
    let Ok(keys) = device_keys::DeviceKeys::parse(alice(), device(), &raw) else { return };
    let whole = json::object(raw.as_raw());
    assert!(whole.is_ok_and(|whole| json::equal_without(keys.object(), &whole, &["unsigned"])));
    assert!(keys.same_identity(&keys));
    let _ = (keys.public_keys(), keys.is_self_signed(), keys.has_further_signatures(), keys.upload_over(None));
    let none = cross_signing::CrossSigningPublicKeys::default();
    let _ = keys.clone().with_good_signatures(&none);
    let devices = BTreeSet::from([device().to_owned()]);
    let view =
        visibility::View { asker: None, asker_keys: &none, owner: alice(), owner_keys: &none, owner_devices: &devices };
    let shown = visibility::Shown::Device { device_id: device(), display_name: Some("phone") };
    if let Ok(Some(served)) = visibility::serve(&view, shown, &raw) {
        assert!(served.is_object());
    }
}

/// One-time and fallback keys have the names they were uploaded with.
pub(crate) fn one_time_keys(data: &[u8]) {
    let Some(raw) = raw(data) else { return };
    for parsed in [one_time::parse_one_time_keys(&raw), fallback::parse_fallback_keys(&raw)].into_iter().flatten() {
        let names: BTreeSet<String> = parsed.iter().map(one_time::OneTimeKey::name).collect();
        assert_eq!(names.len(), parsed.len());
        assert!(Fields::parse(raw.as_raw()).is_ok_and(|fields| names.iter().all(|name| fields.get(name).is_some())));
    }
    assert!(one_time::same_key(&raw, &raw) || !raw.is_object());
}

/// A cross-signing key has one public key and is served with it.
pub(crate) fn cross_signing(data: &[u8]) {
    let Some(raw) = raw(data) else { return };
    for usage in cross_signing::KeyUsage::ALL {
        if let Ok(key) = cross_signing::CrossSigningKey::parse(alice(), usage, &raw) {
            assert!(!key.public_key().is_empty());
            let _ = key.is_signed_by(alice(), key.public_key());
        }
    }
    let upload = cross_signing::CrossSigningUpload {
        master: Some(raw.clone()),
        self_signing: Some(raw.clone()),
        user_signing: None,
    };
    let _ = cross_signing::upload_plan(alice(), &Default::default(), &upload, &BTreeMap::new());
}

/// Signatures are only taken from who has the keys, and adding and leaving out keep the rest.
pub(crate) fn signatures(data: &[u8]) {
    let Some(raw) = raw(data) else { return };
    let devices: BTreeMap<OwnedDeviceId, RawJson> = BTreeMap::from([(device().to_owned(), raw.clone())]);
    let keys = cross_signing::CrossSigningPublicKeys {
        master: Some("nqOvzeuGWT/sRx3h7+MHoInYj3Uk2LD/unI9kDYcHwk".to_owned()),
        ..Default::default()
    };
    let signer = signatures::Signer { user_id: alice(), keys: &keys, devices: &devices };
    let _ = signatures::accept(&signer, alice(), Some(signatures::Target::Device(&raw)), &[], &raw);
    let new = BTreeMap::from([("ed25519:ALICE".to_owned(), "abc".to_owned())]);
    if let Ok(signed) = signatures::add_signatures(&raw, alice(), &new) {
        assert!(signed.get().contains("ed25519:ALICE"));
        let _ = signatures::without_device(&signed, alice(), device());
    }
    assert!(signatures::same_signatures(&raw, &raw));
}

/// Keys of a backup replace each other one way at most.
pub(crate) fn backup(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(version) = text.parse::<BackupVersion>()
    {
        assert_eq!(version.to_string().parse(), Ok(version));
    }
    let Some(raw) = raw(data) else { return };
    let _ = BackupBody::parse(raw.as_raw());
    let _ = KeyBackupData::parse(raw.as_raw());
    let room = backup::parse_room(raw.as_raw()).unwrap_or_default();
    let _ = backup::parse_rooms(raw.as_raw());
    for a in room.values() {
        assert!(!backup::replaces(a, a));
        for b in room.values() {
            assert!(!(backup::replaces(a, b) && backup::replaces(b, a)));
        }
    }
}

/// An event that is read has one id, whatever is asked of it, and a redaction keeps it.
pub(crate) fn pdu(data: &[u8]) {
    let Some(raw) = raw(data) else { return };
    let _ = Relation::in_content(raw.as_raw());
    for version in [RoomVersion::V10, RoomVersion::V11, RoomVersion::V12] {
        let Ok(event) = Pdu::from_raw(version, raw.as_raw()) else { continue };
        assert!(Pdu::from_raw(version, event.json()).is_ok_and(|again| again.event_id() == event.event_id()));
        let _ = (event.kind(), event.state_key(), event.membership(), event.prev_events(), event.auth_events());
        let _ = (event.depth(), event.redacts(), Relation::of(&event), client_event::stripped(&event));
        let told = client_event::client_event(&event, client_event::Form::Full, &client_event::Unsigned::default());
        assert!(told.get().starts_with('{'));
        if let Ok(redacted) = redact::redact(&event) {
            assert_eq!(redacted.event_id(), event.event_id());
        }
        let _ = push::PushEvent::new(&event, 2, None).evaluate(alice(), "Alice", &push::default_rules(alice()));
    }
}

/// A filter that is accepted can be applied.
pub(crate) fn filter(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let room = ruma::room_id!("!r:localhost");
    if let Ok(filter) = Filter::parse(text)
        && let Ok(event) = RawValue::from_string(r#"{"type":"m","content":{"body":"x","a":{"b.c":1}}}"#.to_owned())
    {
        assert!(raw(filter.cut_fields(event).get().as_bytes()).is_some());
    }
    if let Ok(filter) = RoomEventFilter::parse(text) {
        assert!((1..=olmstead_domain::filter::MAX_LIMIT).contains(&filter.limit()) || filter.limit() == 0);
        let _ = (filter.admits_room(room), filter.admits_kind(room, "m.room.message"), filter.admits_all());
    }
}

/// Rules that are stored in any form leave a set that can be judged by.
pub(crate) fn push_rules(data: &[u8]) {
    let stored = raw(data);
    let mut rules = push::rules_of(alice(), stored.as_ref().map(RawJson::as_raw));
    let text = r#"{"type":"m.room.message","room_id":"!r:localhost","sender":"@bob:localhost","content":{"body":"alice x"},
        "origin_server_ts":1,"prev_events":[],"auth_events":[],"depth":1,"hashes":{"sha256":""}}"#;
    if let Some(event) = raw(text.as_bytes()).and_then(|raw| Pdu::from_raw(RoomVersion::V11, raw.as_raw()).ok()) {
        let _ = push::PushEvent::new(&event, 2, None).evaluate(alice(), "alice", &rules);
    }
    if let Some(rule) = stored.and_then(|raw| raw.read::<ruma::push::PatternedPushRule>().ok()) {
        let new = ruma::push::NewPatternedPushRule::new(rule.rule_id, rule.pattern, rule.actions);
        let _ = push::put_rule(&mut rules, ruma::push::NewPushRule::Content(new), None, None);
    }
}

/// A token that is read is written as it was.
pub(crate) fn tokens(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(token) = text.parse::<SyncToken>() {
        assert_eq!(token.to_string().parse(), Ok(token));
    }
    if let Ok(token) = text.parse::<SlidingToken>() {
        assert_eq!(token.to_string().parse(), Ok(token));
    }
    if let Ok(token) = text.parse::<TimelineToken>() {
        assert_eq!(token.to_string().parse(), Ok(token));
    }
}

/// Messages that are accepted are objects, and not more than allowed.
pub(crate) fn to_device(data: &[u8]) {
    let Some(raw) = raw(data) else { return };
    if let Ok(sent) = messages::parse_messages(alice(), "org.example", "1", raw.as_raw()) {
        let all: Vec<_> = sent.iter().flat_map(|of_user| &of_user.messages).collect();
        assert!(all.len() <= messages::MAX_MESSAGES && all.iter().all(|(_, content)| content.is_object()));
    }
}

/// Names that are accepted are within their limits.
pub(crate) fn identifiers(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(user) = identifiers::parse_user_id(text) {
        assert!(user.as_str() == text && text.len() <= identifiers::MAX_ID_BYTES);
        let _ = identifiers::is_listable_user(&user);
    }
    if identifiers::check_device_id(text).is_ok() {
        assert!(text.chars().count() <= identifiers::MAX_DEVICE_ID_CHARS);
    }
    if let Ok((algorithm, id)) = identifiers::split_key_name(text) {
        assert_eq!(format!("{algorithm}:{id}"), text);
    }
    let _ = (identifiers::check_event_type(text), identifiers::check_transaction_id(text));
}
