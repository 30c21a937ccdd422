use olmstead_domain::{
    error::ErrorKind,
    json::RawJson,
    keys::{
        CrossSigningPublicKeys, DeviceKeys, KeysError, MAX_KEY_OBJECT_BYTES,
        device_keys::{DeviceKeysUpload, merge_upload},
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    json::any_json,
    support::{Key, User, device_id, parsed, raw, text},
};

fn alice() -> User {
    User::new("@alice:example.org", 10)
}

fn parse(value: &Value) -> Result<DeviceKeys, KeysError> {
    DeviceKeys::parse(&alice().id, device_id("A"), &raw(value))
}

fn without(mut value: Value, member: &str) -> Value {
    value.as_object_mut().unwrap().remove(member);
    value
}

fn with(mut value: Value, member: &str, new: Value) -> Value {
    value[member] = new;
    value
}

/// DK-3, DK-4, GEN-11
#[test]
fn refused() {
    let good = alice().device("A");
    assert!(parse(&good).is_ok());
    for member in ["user_id", "device_id", "algorithms", "keys", "signatures"] {
        assert_eq!(parse(&without(good.clone(), member)).unwrap_err().kind(), ErrorKind::BadJson, "{member}");
        assert_eq!(parse(&with(good.clone(), member, json!(1))).unwrap_err().kind(), ErrorKind::BadJson, "{member}");
    }
    for (member, value, kind) in [
        ("user_id", json!("@mallory:example.org"), ErrorKind::InvalidParam),
        ("device_id", json!("B"), ErrorKind::InvalidParam),
        ("algorithms", json!([1]), ErrorKind::BadJson),
        ("keys", json!({"ed25519:A": 1}), ErrorKind::BadJson),
        ("signatures", json!({"@alice:example.org": "x"}), ErrorKind::BadJson),
        ("signatures", json!({"@alice:example.org": {"ed25519:A": null}}), ErrorKind::BadJson),
        ("unknown", json!(1.5), ErrorKind::BadJson),
        ("unknown", json!("x".repeat(MAX_KEY_OBJECT_BYTES)), ErrorKind::TooLarge),
    ] {
        assert_eq!(parse(&with(good.clone(), member, value)).unwrap_err().kind(), kind, "{member}");
    }
    let repeated = good.to_string().replacen('{', r#"{"keys":{},"#, 1);
    let error = DeviceKeys::parse(&alice().id, device_id("A"), &text(&repeated)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadJson);
    assert!(DeviceKeys::parse(&alice().id, device_id("A"), &text("[]")).is_err());
}

/// DK-5, DK-6
#[test]
fn kept_as_uploaded() {
    let good = alice().device("A");
    let spaced = text(&serde_json::to_string_pretty(&good).unwrap());
    let keys = DeviceKeys::parse(&alice().id, device_id("A"), &spaced).unwrap();
    assert_eq!(keys.raw(), &spaced);
    assert!(keys.is_self_signed());

    let named = with(good.clone(), "unsigned", json!({"device_display_name": "not ours"}));
    let keys = parse(&named).unwrap();
    assert_eq!(parsed(keys.raw()), good);
    assert!(keys.is_self_signed());
    assert_eq!(keys.public_key("ed25519"), Some(alice().device_key("A").public.as_str()));
    assert_eq!(keys.public_keys().len(), 2);
    assert_eq!(keys.public_key("unknown"), None);
}

/// DK-11
#[test]
fn made_up_signatures_are_accepted() {
    let mut made_up = alice().device("A");
    made_up["signatures"] = json!({"@alice:example.org": {"ed25519:A": "made up"}});
    assert!(!parse(&made_up).unwrap().is_self_signed());
    made_up["signatures"] = json!({});
    made_up["keys"] = json!({});
    assert!(!parse(&made_up).unwrap().is_self_signed());
}

fn upload(stored: &Value, new: &Value) -> DeviceKeysUpload {
    merge_upload(&alice().id, device_id("A"), Some(&raw(stored)), &raw(new)).unwrap()
}

/// DK-8
#[test]
fn again_keeps_signatures() {
    let alice = alice();
    let bare = alice.device("A");
    let cross_signed = alice.self_signing.cross_sign(alice.id(), bare.clone());
    assert_eq!(upload(&cross_signed, &bare), DeviceKeysUpload::Unchanged);
    assert_eq!(upload(&bare, &bare), DeviceKeysUpload::Unchanged);
    let DeviceKeysUpload::SignaturesOnly(merged) = upload(&bare, &cross_signed) else { panic!() };
    assert_eq!(parsed(&merged), cross_signed);

    // The device's own signature may be corrected, a verified one by another key may not be replaced.
    let mut wrong = cross_signed.clone();
    wrong["signatures"][alice.id()] = json!({"ed25519:A": "wrong", (alice.self_signing.name()): "wrong"});
    let DeviceKeysUpload::SignaturesOnly(merged) = upload(&wrong, &bare) else { panic!() };
    assert_eq!(parsed(&merged)["signatures"][alice.id()]["ed25519:A"], bare["signatures"][alice.id()]["ed25519:A"]);
    let DeviceKeysUpload::SignaturesOnly(merged) = upload(&cross_signed, &wrong) else { panic!() };
    assert_eq!(
        parsed(&merged)["signatures"][alice.id()][alice.self_signing.name()],
        cross_signed["signatures"][alice.id()][alice.self_signing.name()]
    );
}

/// SIG-5, SIG-9: the device's own signatures stay, and good ones by the user's current cross-signing keys.
#[test]
fn only_good_signatures_stay() {
    let alice = alice();
    let bare = alice.device("A");
    let mut good = alice.self_signing.cross_sign(alice.id(), bare.clone());
    good["signatures"][alice.id()]["unknown:A"] = json!("the device's, whatever it means");
    let mut smuggled = good.clone();
    smuggled["signatures"][alice.id()][alice.master.name()] = json!("forged");
    smuggled = alice.device_key("B").sign(alice.id(), "B", smuggled);
    // Of a key to come.
    smuggled = Key::new(99).cross_sign(alice.id(), smuggled);
    smuggled["signatures"]["@bob:example.org"] = json!({"ed25519:A": "another's"});
    let keys = parse(&smuggled).unwrap();
    assert!(keys.has_further_signatures());
    assert_eq!(parsed(keys.with_good_signatures(&alice.public()).unwrap().raw()), good);
    let nothing_known = parse(&good).unwrap().with_good_signatures(&CrossSigningPublicKeys::default()).unwrap();
    assert!(!nothing_known.has_further_signatures());
    for untouched in [&bare, &good, &with(bare.clone(), "signatures", json!({}))] {
        let keys = parse(untouched).unwrap().with_good_signatures(&alice.public()).unwrap();
        assert_eq!(keys.raw(), &raw(untouched));
    }
    assert!(!parse(&bare).unwrap().has_further_signatures());
}

/// DK-12
#[test]
fn other_content_and_other_identity() {
    let alice = alice();
    let stored = alice.self_signing.cross_sign(alice.id(), alice.device("A"));
    let other = with(alice.device("A"), "algorithms", json!([]));
    assert_eq!(upload(&stored, &other), DeviceKeysUpload::Changed(raw(&other)));
    let mut other = alice.device("A");
    other["keys"]["curve25519:A"] = json!("another");
    assert_eq!(upload(&stored, &other), DeviceKeysUpload::NewIdentity(raw(&other)));
    let first = merge_upload(&alice.id, device_id("A"), None, &raw(&other)).unwrap();
    assert_eq!(first, DeviceKeysUpload::Changed(raw(&other)));
}

proptest! {
    /// DK-5: whatever else the object holds survives, and the signature with it.
    #[test]
    fn unknown_members_survive(extra in prop::collection::btree_map("[a-z.]{10,12}", any_json(), 0..4)) {
        let alice = alice();
        let mut object = without(alice.device("A"), "signatures");
        for (name, value) in extra {
            object[name] = value;
        }
        let object = alice.device_key("A").sign(alice.id(), "A", object);
        let keys = parse(&object).unwrap();
        prop_assert_eq!(parsed(keys.raw()), object.clone());
        prop_assert!(keys.is_self_signed());
        let cross_signed = alice.self_signing.cross_sign(alice.id(), object.clone());
        prop_assert_eq!(upload(&cross_signed, &object), DeviceKeysUpload::Unchanged);
        prop_assert!(
            matches!(upload(&object, &cross_signed), DeviceKeysUpload::SignaturesOnly(merged) if parsed(&merged) == cross_signed)
        );
    }

    #[test]
    fn nothing_panics(value in any_json()) {
        prop_assert!(parse(&value).is_err());
        let _ = RawJson::from_value(&value).unwrap();
    }
}
