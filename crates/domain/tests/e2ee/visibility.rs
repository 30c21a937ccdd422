use olmstead_domain::{
    json::RawJson,
    keys::{
        CrossSigningPublicKeys,
        visibility::{Shown, View, serve},
    },
};
use proptest::prelude::*;
use ruma::{OwnedDeviceId, UserId};
use serde_json::{Value, json};

use crate::support::{User, device_id, parsed, raw, text};

struct Scene {
    alice: User,
    bob: User,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Asker {
    Alice,
    Bob,
    Server,
}

const ALL: [Asker; 3] = [Asker::Alice, Asker::Bob, Asker::Server];

impl Scene {
    fn new() -> Self {
        Self { alice: User::new("@alice:example.org", 10), bob: User::new("@bob:example.org", 20) }
    }

    /// Serves a key of Alice.
    fn serve(&self, asker: Asker, shown: Shown<'_>, stored: &RawJson) -> Option<RawJson> {
        let (alice_keys, bob_keys) = (self.alice.public(), self.bob.public());
        let (asker, asker_keys): (Option<&UserId>, _) = match asker {
            Asker::Alice => (Some(&self.alice.id), alice_keys.clone()),
            Asker::Bob => (Some(&self.bob.id), bob_keys),
            Asker::Server => (None, CrossSigningPublicKeys::default()),
        };
        let view = View {
            asker,
            asker_keys: &asker_keys,
            owner: &self.alice.id,
            owner_keys: &alice_keys,
            owner_devices: &self.alice.device_ids(),
        };
        serve(&view, shown, stored).unwrap()
    }

    /// The names of the signatures in what is served, as `user/name`.
    fn seen(&self, asker: Asker, shown: Shown<'_>, stored: &Value) -> Option<Vec<String>> {
        let served = parsed(&self.serve(asker, shown, &raw(stored))?);
        let users = served["signatures"].as_object().cloned().unwrap_or_default();
        let names = users
            .iter()
            .flat_map(|(user, names)| names.as_object().unwrap().keys().map(move |name| format!("{user}/{name}")));
        Some(names.collect())
    }

    /// An object of Alice with a signature by every key there is, and by some there are not.
    fn signed_by_all(&self, object: Value) -> Value {
        let mut object = object;
        for user in [&self.alice, &self.bob] {
            for key in [&user.master, &user.self_signing, &user.user_signing] {
                object = key.cross_sign(user.id(), object);
            }
            for (device, key) in &user.devices {
                object = key.sign(user.id(), device.as_str(), object);
            }
            object["signatures"][user.id()]["ed25519:GONE"] = "old".into();
            object["signatures"][user.id()]["unknown:A"] = "old".into();
        }
        object
    }
}

fn device() -> Shown<'static> {
    Shown::Device { device_id: device_id("A"), display_name: None }
}

fn master() -> Shown<'static> {
    Shown::Master { asker_signatures: &[] }
}

fn names(user: &User, mut ids: Vec<&str>) -> Option<Vec<String>> {
    ids.sort_unstable();
    Some(ids.into_iter().map(|id| format!("{}/ed25519:{id}", user.id())).collect())
}

/// SIG-9 to SIG-16, KQ-7 to KQ-9: an object with every signature there can be, for each asker.
#[test]
fn table() {
    let scene = Scene::new();
    let alice = &scene.alice;
    let own = [&alice.master.public, &alice.self_signing.public, &alice.user_signing.public].map(String::as_str);
    let sorted = |mut seen: Vec<String>| {
        seen.sort_unstable();
        seen
    };
    for asker in ALL {
        let mine = asker == Asker::Alice;
        let seen = |shown, object: &Value| scene.seen(asker, shown, object).map(sorted);

        let on_device = scene.signed_by_all(alice.device("A"));
        let mut expected = if mine { [own.as_slice(), &["A"]].concat() } else { vec!["A", own[1]] };
        expected.sort_unstable();
        let mut expected = names(alice, expected).unwrap();
        expected.push(format!("{}/unknown:A", alice.id()));
        expected.sort_unstable();
        assert_eq!(seen(device(), &on_device), Some(expected), "{asker:?}");

        let on_master = scene.signed_by_all(alice.master_object());
        let mut expected = names(alice, if mine { [own.as_slice(), &["A", "B"]].concat() } else { vec!["A", "B"] });
        expected.as_mut().unwrap().push(format!("{}/unknown:A", alice.id()));
        assert_eq!(seen(master(), &on_master), expected.map(sorted), "{asker:?}");

        let on_self_signing = scene.signed_by_all(alice.self_signing_object());
        let expected = names(alice, if mine { own.to_vec() } else { vec![own[0]] });
        assert_eq!(seen(Shown::SelfSigning, &on_self_signing), expected.map(sorted), "{asker:?}");

        let on_user_signing = scene.signed_by_all(alice.user_signing_object());
        let expected = if mine { names(alice, own.to_vec()) } else { None };
        assert_eq!(seen(Shown::UserSigning, &on_user_signing), expected.map(sorted), "{asker:?}");
    }
}

/// SIG-8, SIG-10, SIG-15: signatures kept beside the master key are for their signer.
#[test]
fn asker_signatures() {
    let scene = Scene::new();
    let stored = scene.alice.master_object();
    let rows = [(scene.bob.user_signing.name(), "good".to_owned()), ("ed25519:REPLACED".to_owned(), "old".to_owned())];
    let shown = Shown::Master { asker_signatures: &rows };
    let served = scene.serve(Asker::Bob, shown, &raw(&stored)).unwrap();
    let mut expected = stored.clone();
    expected["signatures"] = json!({(scene.bob.id()): {(scene.bob.user_signing.name()): "good"}});
    assert_eq!(parsed(&served), expected);
    for asker in [Asker::Alice, Asker::Server] {
        assert_eq!(scene.serve(asker, shown, &raw(&stored)).unwrap(), raw(&stored));
    }
}

/// XS-14
#[test]
fn after_a_new_master_key() {
    let old = Scene::new();
    let mut scene = Scene::new();
    scene.alice.master = crate::support::Key::new(70);
    for asker in ALL {
        let stored = raw(&old.alice.self_signing_object());
        assert_eq!(scene.serve(asker, Shown::SelfSigning, &stored), None);
        let stored = raw(&old.alice.user_signing_object());
        assert_eq!(scene.serve(asker, Shown::UserSigning, &stored), None);
    }
    // Signatures by a replaced self-signing key.
    scene.alice.self_signing = crate::support::Key::new(71);
    let signed = old.alice.self_signing.cross_sign(old.alice.id(), old.alice.device("A"));
    for asker in ALL {
        assert_eq!(scene.seen(asker, device(), &signed), names(&scene.alice, vec!["A"]));
    }
}

/// DK-5, KQ-5
#[test]
fn text_and_name() {
    let scene = Scene::new();
    let object = scene.alice.self_signing.cross_sign(scene.alice.id(), scene.alice.device("A"));
    let stored = text(&serde_json::to_string_pretty(&object).unwrap());
    for asker in ALL {
        // Nothing to leave out: the very text.
        assert_eq!(scene.serve(asker, device(), &stored).unwrap(), stored);
        let shown = Shown::Device { device_id: device_id("A"), display_name: Some("Alice's \"phone\"") };
        let mut expected = object.clone();
        expected["unsigned"] = json!({"device_display_name": "Alice's \"phone\""});
        assert_eq!(parsed(&scene.serve(asker, shown, &stored).unwrap()), expected);
        // `unsigned` is ours, whatever was stored.
        let mut named = object.clone();
        named["unsigned"] = json!({"device_display_name": "theirs", "x": 1});
        assert_eq!(parsed(&scene.serve(asker, shown, &raw(&named)).unwrap()), expected);
        assert_eq!(parsed(&scene.serve(asker, device(), &raw(&named)).unwrap()), object);
    }
    // Escaped text is understood.
    let escaped = text(&object.to_string().replace("@alice", "\\u0040alice").replace('/', "\\/"));
    assert_eq!(scene.serve(Asker::Bob, device(), &escaped).unwrap(), escaped);
    // Other forms of `signatures` are refused, not passed on.
    let view_of = scene.alice.public();
    let view = View {
        asker: None,
        asker_keys: &CrossSigningPublicKeys::default(),
        owner: &scene.alice.id,
        owner_keys: &view_of,
        owner_devices: &scene.alice.device_ids(),
    };
    for bad in [json!({"signatures": []}), json!({"signatures": {"@alice:example.org": {"ed25519:A": 1}}}), json!(1)] {
        assert!(serve(&view, device(), &raw(&bad)).is_err());
    }
}

fn any_shown() -> impl Strategy<Value = Shown<'static>> {
    prop_oneof![Just(device()), Just(master()), Just(Shown::SelfSigning), Just(Shown::UserSigning)]
}

proptest! {
    /// SIG-9, SIG-15, SIG-16: whatever lies in storage, nobody sees another user's entries or an unlisted kind, others
    /// see no more than the owner, servers see what strangers see, and nothing but `signatures` is touched.
    #[test]
    fn limits(picks in prop::collection::vec((0..2_usize, 0..7_usize), 0..10), shown in any_shown()) {
        let scene = Scene::new();
        let alice = &scene.alice;
        let mut object = match shown {
            Shown::Device { .. } => alice.device("A"),
            Shown::Master { .. } => alice.master_object(),
            Shown::SelfSigning => alice.self_signing_object(),
            Shown::UserSigning => alice.user_signing_object(),
        };
        for (user, key) in picks {
            let user = if user == 0 { alice } else { &scene.bob };
            let ids: Vec<OwnedDeviceId> = vec![
                user.master.public.as_str().into(), user.self_signing.public.as_str().into(),
                user.user_signing.public.as_str().into(), "A".into(), "B".into(), "GONE".into(), "".into(),
            ];
            object["signatures"][user.id()][format!("ed25519:{}", ids[key])] = "x".into();
        }
        let stored = raw(&object);
        let [by_alice, by_bob, by_server] = ALL.map(|asker| scene.seen(asker, shown, &object));
        prop_assert_eq!(&by_bob, &by_server);
        let owner = by_alice.unwrap();
        prop_assert!(owner.iter().all(|name| name.starts_with(alice.id())));
        for name in by_bob.iter().flatten() {
            prop_assert!(owner.contains(name));
            prop_assert!(!name.ends_with(&alice.user_signing.public));
        }
        for asker in ALL {
            if let Some(served) = scene.serve(asker, shown, &stored) {
                let (mut served, mut object) = (parsed(&served), object.clone());
                served.as_object_mut().unwrap().remove("signatures");
                object.as_object_mut().unwrap().remove("signatures");
                prop_assert_eq!(served, object);
            }
        }
    }
}
