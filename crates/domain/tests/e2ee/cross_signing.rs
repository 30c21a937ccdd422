use std::collections::BTreeMap;

use olmstead_domain::{
    error::ErrorKind,
    keys::{
        CrossSigningKey, CrossSigningKeys, CrossSigningUpload, KeyUsage, KeysError,
        cross_signing::{KeyChange, UploadAuth, UploadPlan, upload_plan},
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Key, User, device_id, parsed, raw, text};

fn alice() -> User {
    User::new("@alice:example.org", 10)
}

fn plan(stored: &CrossSigningKeys, upload: &CrossSigningUpload) -> Result<UploadPlan, KeysError> {
    let alice = alice();
    upload_plan(&alice.id, stored, upload, &alice.known_devices())
}

fn none() -> CrossSigningKeys {
    CrossSigningKeys::default()
}

fn kind(result: Result<UploadPlan, KeysError>) -> ErrorKind {
    result.unwrap_err().kind()
}

fn of(usage: KeyUsage, value: &Value) -> CrossSigningUpload {
    let mut upload = CrossSigningUpload::default();
    match usage {
        KeyUsage::Master => upload.master = Some(raw(value)),
        KeyUsage::SelfSigning => upload.self_signing = Some(raw(value)),
        KeyUsage::UserSigning => upload.user_signing = Some(raw(value)),
    }
    upload
}

/// XS-2, XS-17
#[test]
fn forms() {
    let alice = alice();
    let good = alice.master_object();
    let parse = |value: &Value| CrossSigningKey::parse(&alice.id, KeyUsage::Master, &raw(value));
    assert_eq!(parse(&good).unwrap().public_key(), alice.master.public);
    let name = alice.master.name();
    let other = Key::new(99);
    let bad = [
        ("user_id", json!("@mallory:example.org")),
        ("user_id", json!(1)),
        ("usage", json!([])),
        ("usage", json!("master")),
        ("usage", json!(["self_signing"])),
        ("usage", json!(["master", "self_signing"])),
        ("keys", json!({})),
        ("keys", json!([])),
        ("keys", json!({(name.clone()): other.public})),
        ("keys", json!({(name.clone()): alice.master.public, (other.name()): other.public})),
        ("keys", json!({(format!("{name}=")): format!("{}=", alice.master.public)})),
        ("keys", json!({"ed25519:short": "short"})),
        ("keys", json!({(alice.master.public.clone()): alice.master.public})),
        ("keys", json!({(format!("unknown:{}", alice.master.public)): alice.master.public})),
    ];
    for (member, value) in bad {
        let mut key = good.clone();
        key[member] = value;
        assert_eq!(parse(&key).unwrap_err().kind(), ErrorKind::InvalidParam, "{key}");
        key.as_object_mut().unwrap().remove(member);
        assert_eq!(parse(&key).unwrap_err().kind(), ErrorKind::InvalidParam, "{key}");
    }
    for (member, value) in [("signatures", json!([])), ("x", json!(0.5))] {
        let mut key = good.clone();
        key[member] = value;
        assert_eq!(parse(&key).unwrap_err().kind(), ErrorKind::BadJson, "{key}");
    }
    // XS-11
    let mut unknown = good.clone();
    unknown["org.example"] = json!({"b": [1], "a": null});
    unknown["unsigned"] = json!({"x": 1});
    let kept = parse(&unknown).unwrap();
    unknown.as_object_mut().unwrap().remove("unsigned");
    assert_eq!(parsed(kept.raw()), unknown);
    let spaced = text(&serde_json::to_string_pretty(&good).unwrap());
    assert_eq!(CrossSigningKey::parse(&alice.id, KeyUsage::Master, &spaced).unwrap().raw(), &spaced);
}

#[test]
fn body() {
    let body = r#"{"auth": {"session": "x"}, "master_key": {"a" : 1}, "self_signing_key": null}"#;
    let upload: CrossSigningUpload = serde_json::from_str(body).unwrap();
    assert_eq!(upload.master.unwrap().get(), r#"{"a" : 1}"#);
    assert!(upload.self_signing.is_none() && upload.user_signing.is_none());
}

/// XS-6
#[test]
fn first_keys_need_no_auth() {
    let alice = alice();
    let all = plan(&none(), &alice.upload()).unwrap();
    assert_eq!(all.auth, UploadAuth::NotNeeded);
    assert_eq!(all.keys, alice.stored());
    assert!(all.announces());
    let master = plan(&none(), &of(KeyUsage::Master, &alice.master_object())).unwrap();
    assert_eq!((master.auth, master.master), (UploadAuth::NotNeeded, KeyChange::Replaced));
    assert_eq!(master.keys.iter().count(), 1);
}

/// XS-4
#[test]
fn without_a_master_key() {
    let alice = alice();
    assert_eq!(kind(plan(&none(), &CrossSigningUpload::default())), ErrorKind::MissingParam);
    let upload = of(KeyUsage::SelfSigning, &alice.self_signing_object());
    assert_eq!(kind(plan(&none(), &upload)), ErrorKind::MissingParam);
}

/// XS-7
#[test]
fn the_same_keys_again() {
    let alice = alice();
    let stored = alice.stored();
    let whole = alice.upload();
    let mut some = whole.clone();
    some.user_signing = None;
    let mut one = some.clone();
    one.master = None;
    for upload in [whole, some, one, CrossSigningUpload::default()] {
        let again = plan(&stored, &upload).unwrap();
        assert_eq!(again.auth, UploadAuth::Unchanged);
        assert_eq!(again.keys, stored);
        assert!(!again.announces());
    }
    // Signatures the server holds already do not count as a change, and are not lost.
    let signed = alice.device_key("A").sign(alice.id(), "A", alice.master_object());
    let mut held = stored;
    held.master = held.master.map(|key| key.with_raw(raw(&signed)));
    let again = plan(&held, &alice.upload()).unwrap();
    assert_eq!((again.auth, &again.keys), (UploadAuth::Unchanged, &held));
}

/// XS-8, XS-14
#[test]
fn new_keys_need_auth() {
    let alice = alice();
    let stored = alice.stored();

    let mut next = User::new("@alice:example.org", 10);
    next.self_signing = Key::new(70);
    let change = plan(&stored, &of(KeyUsage::SelfSigning, &next.self_signing_object())).unwrap();
    assert_eq!((change.auth, change.self_signing), (UploadAuth::Needed, KeyChange::Replaced));
    assert_eq!((change.master, change.user_signing), (KeyChange::Kept, KeyChange::Kept));
    assert!(change.announces());

    let mut next = User::new("@alice:example.org", 10);
    next.user_signing = Key::new(70);
    let change = plan(&stored, &of(KeyUsage::UserSigning, &next.user_signing_object())).unwrap();
    assert_eq!(change.auth, UploadAuth::Needed);
    // XS-16
    assert!(!change.announces());

    let mut next = User::new("@alice:example.org", 10);
    next.master = Key::new(70);
    let change = plan(&stored, &of(KeyUsage::Master, &next.master_object())).unwrap();
    assert_eq!((change.auth, change.master), (UploadAuth::Needed, KeyChange::Replaced));
    assert_eq!((change.self_signing, change.user_signing), (KeyChange::Removed, KeyChange::Removed));
    assert_eq!(change.keys.iter().count(), 1);

    // The old self-signing key stays if the new master key signed it.
    let mut upload = of(KeyUsage::Master, &next.master_object());
    upload.self_signing = Some(raw(&next.self_signing_object()));
    let change = plan(&stored, &upload).unwrap();
    assert_eq!((change.self_signing, change.user_signing), (KeyChange::Signatures, KeyChange::Removed));
    assert!(change.keys.self_signing.unwrap().is_signed_by(&alice.id, &next.master.public));

    // The same public key with other content is a new key.
    let mut other = alice.master_object();
    other["x"] = json!(1);
    assert_eq!(plan(&stored, &of(KeyUsage::Master, &other)).unwrap().auth, UploadAuth::Needed);
}

/// XS-3
#[test]
fn bad_signatures() {
    let alice = alice();
    let unsigned = |value: &Value| {
        let mut value = value.clone();
        value.as_object_mut().unwrap().remove("signatures");
        value
    };
    let key = alice.self_signing_object();
    let mallory = Key::new(66);
    let mut wrong = key.clone();
    wrong["signatures"][alice.id()][alice.master.name()] = mallory.signature(&unsigned(&key)).into();
    let mut garbage = key.clone();
    garbage["signatures"][alice.id()][alice.master.name()] = "???".into();
    let other_user = alice.master.cross_sign("@bob:example.org", unsigned(&key));
    let other_key = mallory.cross_sign(alice.id(), unsigned(&key));
    for bad in [unsigned(&key), wrong, garbage, other_user, other_key] {
        for stored in [none(), alice.stored()] {
            let mut upload = of(KeyUsage::SelfSigning, &bad);
            upload.master = Some(raw(&alice.master_object()));
            assert_eq!(kind(plan(&stored, &upload)), ErrorKind::InvalidSignature, "{bad}");
        }
    }
    // Signed by the stored master key, but the request brings another.
    let mut next = User::new("@alice:example.org", 10);
    next.master = Key::new(70);
    let mut upload = of(KeyUsage::Master, &next.master_object());
    upload.user_signing = Some(raw(&alice.user_signing_object()));
    assert_eq!(kind(plan(&alice.stored(), &upload)), ErrorKind::InvalidSignature);
}

/// XS-5, XS-17
#[test]
fn keys_are_neither_devices_nor_each_other() {
    let alice = alice();
    for public in [&alice.master.public, &alice.self_signing.public, &alice.user_signing.public] {
        let devices = BTreeMap::from([(public.as_str().into(), None)]);
        let result = upload_plan(&alice.id, &none(), &alice.upload(), &devices);
        assert_eq!(kind(result), ErrorKind::Forbidden);
    }
    assert!(alice.stored().collide_with_device(device_id(&alice.self_signing.public)));
    assert!(!alice.stored().collide_with_device(device_id("A")));

    let mut twice = User::new("@alice:example.org", 10);
    twice.user_signing = Key::new(11);
    assert_eq!(kind(plan(&none(), &twice.upload())), ErrorKind::InvalidParam);
    let mut swapped = User::new("@alice:example.org", 10);
    swapped.master = Key::new(11);
    assert_eq!(kind(plan(&alice.stored(), &of(KeyUsage::Master, &swapped.master_object()))), ErrorKind::InvalidParam);
}

/// XS-15, SIG-5, SIG-9
#[test]
fn signatures_inside_uploaded_keys() {
    let alice = alice();
    let bare = alice.master_object();
    let good = alice.master.cross_sign(alice.id(), alice.device_key("A").sign(alice.id(), "A", bare.clone()));
    let mut smuggled = good.clone();
    smuggled["signatures"][alice.id()]["ed25519:B"] = "forged".into();
    smuggled["signatures"][alice.id()]["ed25519:GONE"] = "forged".into();
    smuggled["signatures"][alice.id()]["unknown:A"] = "forged".into();
    smuggled["signatures"]["@bob:example.org"]["ed25519:A"] = "forged".into();
    let first = plan(&none(), &of(KeyUsage::Master, &smuggled)).unwrap();
    assert_eq!(parsed(first.keys.master.unwrap().raw()), good);

    let spaced = text(&serde_json::to_string_pretty(&good).unwrap());
    let upload = CrossSigningUpload { master: Some(spaced.clone()), ..CrossSigningUpload::default() };
    assert_eq!(plan(&none(), &upload).unwrap().keys.master.unwrap().raw(), &spaced);

    // A known key with a new signature: stored, without authentication.
    let again = plan(&alice.stored(), &of(KeyUsage::Master, &good)).unwrap();
    assert_eq!((again.auth, again.master), (UploadAuth::NotNeeded, KeyChange::Signatures));
    assert_eq!(parsed(again.keys.master.unwrap().raw()), good);
    assert!(again.keys.self_signing.is_some());

    let mut key = alice.self_signing_object();
    key["signatures"]["@bob:example.org"]["ed25519:A"] = "forged".into();
    let mut upload = alice.upload();
    upload.self_signing = Some(raw(&key));
    let first = plan(&none(), &upload).unwrap();
    assert_eq!(parsed(first.keys.self_signing.unwrap().raw()), alice.self_signing_object());
}

/// A state or an upload: each role is absent or has one of two keys, signed by one of two master keys.
type State = (Option<u8>, Option<(u8, u8)>, Option<(u8, u8)>);

fn any_state() -> impl Strategy<Value = State> {
    let signed = || prop::option::of((0..2_u8, 0..2_u8));
    (prop::option::of(0..2_u8), signed(), signed())
}

fn build((master, self_signing, user_signing): State) -> CrossSigningUpload {
    let user = |own: u8, signed_by: u8| {
        let mut user = alice();
        user.master = Key::new(100 + signed_by);
        user.self_signing = Key::new(110 + own);
        user.user_signing = Key::new(120 + own);
        user
    };
    CrossSigningUpload {
        master: master.map(|n| raw(&user(0, n).master_object())),
        self_signing: self_signing.map(|(n, by)| raw(&user(n, by).self_signing_object())),
        user_signing: user_signing.map(|(n, by)| raw(&user(n, by).user_signing_object())),
    }
}

proptest! {
    /// XS-3, XS-6 to XS-8, XS-14 as invariants of every sequence of uploads.
    #[test]
    fn any_uploads(uploads in prop::collection::vec(any_state(), 1..6)) {
        let alice = alice();
        let mut stored = none();
        for upload in uploads {
            let upload = build(upload);
            let Ok(plan) = plan(&stored, &upload) else { continue };
            let master = plan.keys.master.as_ref().expect("a plan has a master key").public_key().to_owned();
            for (usage, key) in plan.keys.iter() {
                prop_assert!(usage == KeyUsage::Master || key.is_signed_by(&alice.id, &master));
            }
            let new_key = KeyUsage::ALL.iter().any(|usage| {
                plan.keys.get(*usage).is_some_and(|key| {
                    stored.get(*usage).is_none_or(|old| old.public_key() != key.public_key())
                })
            });
            match plan.auth {
                UploadAuth::Unchanged => prop_assert_eq!(&plan.keys, &stored),
                UploadAuth::NotNeeded => prop_assert!(stored.master.is_none() || !new_key),
                UploadAuth::Needed => prop_assert!(stored.master.is_some() && new_key),
            }
            // The retry of a request that was carried out is no new one.
            let again = self::plan(&plan.keys, &upload).unwrap();
            prop_assert_eq!(again.auth, UploadAuth::Unchanged);
            stored = plan.keys;
        }
    }
}
