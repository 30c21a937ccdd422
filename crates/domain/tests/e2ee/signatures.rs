use std::collections::BTreeMap;

use olmstead_domain::{
    error::ErrorKind,
    json::RawJson,
    keys::{
        KeyUsage, KeysError, Signer,
        signatures::{Target, accept, add_signatures},
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Key, User, parsed, raw};

struct Scene {
    alice: User,
    bob: User,
}

impl Scene {
    fn new() -> Self {
        Self { alice: User::new("@alice:example.org", 10), bob: User::new("@bob:example.org", 20) }
    }

    /// Alice uploads an object for a target of a user.
    fn accept(
        &self,
        of: &User,
        target: Option<(Option<KeyUsage>, &Value)>,
        uploaded: &Value,
    ) -> Result<BTreeMap<String, String>, KeysError> {
        self.accept_held(of, target, &[], uploaded)
    }

    fn accept_held(
        &self,
        of: &User,
        target: Option<(Option<KeyUsage>, &Value)>,
        held: &[(String, String)],
        uploaded: &Value,
    ) -> Result<BTreeMap<String, String>, KeysError> {
        let (keys, devices) = (self.alice.public(), self.alice.stored_devices());
        let signer = Signer { user_id: &self.alice.id, keys: &keys, devices: &devices };
        let stored = target.map(|(usage, stored)| (usage, raw(stored)));
        let target = stored.as_ref().map(|(usage, stored)| match usage {
            Some(usage) => Target::Key(*usage, stored),
            None => Target::Device(stored),
        });
        accept(&signer, &of.id, target, held, &raw(uploaded))
    }
}

fn unsigned(mut value: Value) -> Value {
    value.as_object_mut().unwrap().remove("signatures");
    value
}

/// SIG-4, SIG-5: the four kinds, and nothing else.
#[test]
fn four_kinds() {
    let scene = Scene::new();
    let (alice, bob) = (&scene.alice, &scene.bob);
    let signers: Vec<(&str, &Key, String)> = vec![
        ("master", &alice.master, alice.master.public.clone()),
        ("self_signing", &alice.self_signing, alice.self_signing.public.clone()),
        ("user_signing", &alice.user_signing, alice.user_signing.public.clone()),
        ("device", alice.device_key("B"), "B".to_owned()),
    ];
    let targets: Vec<(&str, &User, Option<KeyUsage>, Value)> = vec![
        ("own device", alice, None, alice.device("A")),
        ("own master", alice, Some(KeyUsage::Master), alice.master_object()),
        ("own user_signing", alice, Some(KeyUsage::UserSigning), unsigned(alice.user_signing_object())),
        ("other device", bob, None, bob.device("A")),
        ("other master", bob, Some(KeyUsage::Master), bob.master_object()),
        ("other self_signing", bob, Some(KeyUsage::SelfSigning), bob.self_signing_object()),
    ];
    let accepted = [
        ("master", "own device"),
        ("self_signing", "own device"),
        ("device", "own master"),
        ("master", "own master"),
        ("master", "own user_signing"),
        ("user_signing", "other master"),
    ];
    for (by, key, key_id) in &signers {
        for (on, of, usage, stored) in &targets {
            let uploaded = key.sign(alice.id(), key_id, stored.clone());
            let result = scene.accept(of, Some((*usage, stored)), &uploaded);
            if accepted.contains(&(*by, *on)) {
                let mut expected = BTreeMap::from([(format!("ed25519:{key_id}"), key.signature(stored))]);
                if *on == "own user_signing" {
                    expected.clear();
                }
                assert_eq!(result.unwrap(), expected, "{by} on {on}");
                // SIG-5: the same name with a signature by another key.
                let forged = Key::new(99).sign(alice.id(), key_id, stored.clone());
                let result = scene.accept(of, Some((*usage, stored)), &forged);
                assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidSignature, "forged {by} on {on}");
            } else {
                assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidSignature, "{by} on {on}");
            }
        }
    }
}

/// SIG-2, SIG-3, SIG-7
#[test]
fn refused() {
    let scene = Scene::new();
    let alice = &scene.alice;
    let stored = alice.device("A");
    let target = Some((None, &stored));
    let signed = alice.self_signing.cross_sign(alice.id(), stored.clone());

    assert_eq!(scene.accept(alice, None, &signed).unwrap_err().kind(), ErrorKind::NotFound);

    let mut other = stored.clone();
    other["algorithms"] = json!([]);
    let other = alice.self_signing.cross_sign(alice.id(), other);
    assert_eq!(scene.accept(alice, target, &other).unwrap_err().kind(), ErrorKind::InvalidParam);

    // No signature by the signer at all.
    let none = unsigned(stored.clone());
    assert_eq!(scene.accept(alice, target, &none).unwrap_err().kind(), ErrorKind::InvalidSignature);
    let by_bob = scene.bob.self_signing.cross_sign(scene.bob.id(), none.clone());
    assert_eq!(scene.accept(alice, target, &by_bob).unwrap_err().kind(), ErrorKind::InvalidSignature);
    let mut unknown = none.clone();
    unknown["signatures"][alice.id()]["unknown:A"] = "x".into();
    assert_eq!(scene.accept(alice, target, &unknown).unwrap_err().kind(), ErrorKind::InvalidSignature);

    // One bad signature spoils the entry.
    let mut spoiled = signed.clone();
    spoiled["signatures"][alice.id()][alice.master.name()] = "AAAA".into();
    assert_eq!(scene.accept(alice, target, &spoiled).unwrap_err().kind(), ErrorKind::InvalidSignature);

    // A forged one is no better for being stored already: device keys are taken with what they carry.
    let mut held = stored.clone();
    held["signatures"][alice.id()][alice.self_signing.name()] = "AAAA".into();
    assert_eq!(scene.accept(alice, Some((None, &held)), &held).unwrap_err().kind(), ErrorKind::InvalidSignature);
    assert_eq!(scene.accept(alice, Some((None, &held)), &signed).unwrap().len(), 1, "the good one takes its place");

    for shape in [json!([]), json!("x"), json!(null)] {
        assert_eq!(scene.accept(alice, target, &shape).unwrap_err().kind(), ErrorKind::BadJson);
    }
    let mut shape = signed.clone();
    shape["signatures"] = json!({"@alice:example.org": []});
    assert_eq!(scene.accept(alice, target, &shape).unwrap_err().kind(), ErrorKind::BadJson);
}

#[test]
fn what_came_from_a_query_goes_back() {
    let scene = Scene::new();
    let (alice, bob) = (&scene.alice, &scene.bob);
    let stored = alice.device("A");
    let mut queried = stored.clone();
    queried["unsigned"] = json!({"device_display_name": "Phone"});
    let signed = alice.self_signing.cross_sign(alice.id(), queried);
    let new = scene.accept(alice, Some((None, &stored)), &signed).unwrap();
    assert_eq!(new.keys().collect::<Vec<_>>(), [&alice.self_signing.name()]);

    // Held signatures are no news, whoever sends them again.
    let merged = alice.self_signing.cross_sign(alice.id(), stored.clone());
    assert!(scene.accept(alice, Some((None, &merged)), &signed).unwrap().is_empty());
    assert!(scene.accept(alice, Some((None, &merged)), &stored).unwrap().is_empty());

    // Bob's own signatures on his master key come along and are left alone; ours is kept beside it.
    let master = bob.device_key("A").sign(bob.id(), "A", bob.master_object());
    let signed = alice.user_signing.cross_sign(alice.id(), master);
    let target = Some((Some(KeyUsage::Master), bob.master_object()));
    let target = target.as_ref().map(|(usage, stored)| (*usage, stored));
    let new = scene.accept(bob, target, &signed).unwrap();
    assert_eq!(new.keys().collect::<Vec<_>>(), [&alice.user_signing.name()]);
    let held: Vec<_> = new.into_iter().collect();
    assert!(scene.accept_held(bob, target, &held, &signed).unwrap().is_empty());
}

/// SIG-1
#[test]
fn targets_are_found() {
    let alice = User::new("@alice:example.org", 10);
    let (keys, devices) = (alice.stored(), alice.stored_devices());
    assert_eq!(Target::find("A", &keys, &devices), Some(Target::Device(&raw(&alice.device("A")))));
    assert_eq!(
        Target::find(&alice.self_signing.public, &keys, &devices),
        Some(Target::Key(KeyUsage::SelfSigning, &raw(&alice.self_signing_object())))
    );
    assert_eq!(Target::find("C", &keys, &devices), None);
    assert_eq!(Target::find(&Key::new(99).public, &keys, &devices), None);
}

proptest! {
    /// SIG-6
    #[test]
    fn adding_keeps_what_is_there(
        held in prop::collection::btree_map("ed25519:[A-Z]{1,2}", "[a-z]{1,4}", 0..5),
        new in prop::collection::btree_map("ed25519:[A-Z]{1,2}", "[a-z]{1,4}", 0..5),
    ) {
        let alice = User::new("@alice:example.org", 10);
        let mut object = alice.master_object();
        object["signatures"] = json!({"@alice:example.org": held, "@bob:example.org": {"ed25519:A": "x"}});
        let added: RawJson = add_signatures(&raw(&object), &alice.id, &new).unwrap();
        let mut all = held.clone();
        all.extend(new);
        object["signatures"]["@alice:example.org"] = json!(all);
        prop_assert_eq!(parsed(&added), object);
    }
}
