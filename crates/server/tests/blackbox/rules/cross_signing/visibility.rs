//! Who sees which signatures: five kinds, and no others.
//!
//! Every test here holds whole sets against each other, so one signature too many fails as well as one too few.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{by, device_keys, forged, identity, public, query, sign_well, signers, upload, with, without};
use crate::{
    harness::{
        Client, Server,
        keys::{CrossSigning, DeviceKeys, sign},
    },
    rules::dehydrated::{PATH, dehydrate_as},
};

/// A user with cross-signing keys and two devices with keys.
struct Person {
    phone: Client,
    tablet: Client,
    keys: CrossSigning,
    phone_keys: DeviceKeys,
    tablet_keys: DeviceKeys,
}

impl Person {
    async fn new(phone: &Client) -> Self {
        let tablet = phone.another_device().await;
        let (phone_keys, tablet_keys) = (device_keys(phone).await, device_keys(&tablet).await);
        Self { phone: phone.clone(), tablet, keys: identity(phone).await, phone_keys, tablet_keys }
    }

    fn id(&self) -> &str {
        self.phone.user_id()
    }

    /// Signs both devices, and the master key with both devices.
    async fn sign_all(&self) {
        let master = self.tablet_keys.sign(self.phone_keys.sign(self.keys.master_key()));
        let objects = json!({
            self.phone.device_id(): self.keys.sign_device(&self.phone_keys.signed()),
            self.tablet.device_id(): self.keys.sign_device(&self.tablet_keys.signed()),
            public(&self.keys.master): master,
        });
        sign_well(&self.phone, json!({self.id(): objects})).await;
    }

    async fn verify(&self, other: &Self) {
        let master = self.keys.sign_user(&other.keys.master_key());
        sign_well(&self.phone, json!({other.id(): {public(&other.keys.master): master}})).await;
    }

    fn by_device(&self, device: &Client) -> String {
        by(&self.phone, device.device_id())
    }

    fn by_master(&self) -> String {
        by(&self.phone, &public(&self.keys.master))
    }

    fn by_self_signing(&self) -> String {
        by(&self.phone, &public(&self.keys.self_signing))
    }

    fn by_user_signing(&self) -> String {
        by(&self.phone, &public(&self.keys.user_signing))
    }
}

/// What a user of `all` sees of another in the answer to some query of keys.
#[track_caller]
fn check(answer: &Value, asker: &Person, of: &Person, verified: bool, devices: &[&Client]) {
    let own = asker.id() == of.id();
    let what = format!("{} sees of {}: {answer}", asker.id(), of.id());
    let shown = answer["device_keys"][of.id()].as_object().unwrap();
    assert_eq!(shown.len(), devices.len(), "{what}");
    for device in devices {
        let expected = BTreeSet::from([of.by_device(device), of.by_self_signing()]);
        assert_eq!(signers(&shown[device.device_id()]), expected, "SIG-12: {what}");
    }
    let mut expected = BTreeSet::from([of.by_device(&of.phone), of.by_device(&of.tablet)]);
    if verified && !own {
        expected.insert(asker.by_user_signing());
    }
    assert_eq!(signers(&answer["master_keys"][of.id()]), expected, "SIG-10, SIG-11, SIG-14, SIG-15: {what}");
    assert_eq!(signers(&answer["self_signing_keys"][of.id()]), [of.by_master()].into(), "SIG-13: {what}");
    let user_signing = if own { [of.by_master()].into() } else { BTreeSet::new() };
    assert_eq!(signers(&answer["user_signing_keys"][of.id()]), user_signing, "{what}");
    assert_eq!(answer["user_signing_keys"][of.id()].is_object(), own, "KQ-9: {what}");
}

/// SIG-10, SIG-11, SIG-12, SIG-13, SIG-14, SIG-15, SIG-16, KQ-7, KQ-8, KQ-9: whoever asks for whom, and in whatever form,
/// sees exactly the signatures of the five kinds.
#[tokio::test]
async fn everybody_sees_what_they_may_and_nothing_else() {
    let clients: [Client; 3] = Server::shared().await.users(["alice", "bob", "carol"]).await;
    let [alice, bob, carol] = [&clients[0], &clients[1], &clients[2]];
    let all = [Person::new(alice).await, Person::new(bob).await, Person::new(carol).await];
    for person in &all {
        person.sign_all().await;
    }
    // Alice and Bob verified each other, Alice verified Carol.
    for (signer, signed) in [(0, 1), (1, 0), (0, 2)] {
        all[signer].verify(&all[signed]).await;
    }
    let verified = |asker: usize, of: usize| matches!((asker, of), (0, 1) | (1, 0) | (0, 2));

    for (number, asker) in all.iter().enumerate() {
        // Also from a device that signed nothing itself.
        for client in [&asker.phone, &asker.tablet] {
            let everyone: serde_json::Map<_, _> = all.iter().map(|of| (of.id().to_owned(), json!([]))).collect();
            let together = client.post("/keys/query", json!({"device_keys": everyone})).await.ok();
            let first: serde_json::Map<_, _> =
                all.iter().map(|of| (of.id().to_owned(), json!([of.phone.device_id()]))).collect();
            let first = client.post("/keys/query", json!({"device_keys": first})).await.ok();
            for (other, of) in all.iter().enumerate() {
                let ask = async |devices: Value| {
                    client.post("/keys/query", json!({"device_keys": {of.id(): devices}})).await.ok()
                };
                let (phone, tablet) = (of.phone.device_id(), of.tablet.device_id());
                let both = [&of.phone, &of.tablet];
                let check = |answer: &Value, devices: &[&Client]| {
                    check(answer, asker, of, verified(number, other), devices);
                };
                check(&together, &both);
                check(&first, &[&of.phone]);
                check(&ask(json!([])).await, &both);
                check(&ask(json!([tablet])).await, &[&of.tablet]);
                check(&ask(json!([phone, tablet, phone])).await, &both);
                check(&ask(json!(["NOPE"])).await, &[]);
            }
            // Nothing of who verified whom is anywhere in it but what the asker's own keys say.
            for of in all.iter().filter(|of| of.id() != asker.id()) {
                let key = public(&of.keys.user_signing);
                assert!(!together.to_string().contains(&key), "SIG-15: {together}");
            }
        }
    }
}

/// SIG-9, SIG-5, SIG-10, SIG-16: what else is smuggled in with keys is shown to nobody, and what one's own keys signed
/// to oneself.
#[tokio::test]
async fn smuggled_signatures_are_not_served() {
    let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
    let bobs = Person::new(&bob).await;
    let tablet = alice.another_device().await;
    let tablet_keys = device_keys(&tablet).await;
    let phone_keys = DeviceKeys::new(&alice);
    let keys = CrossSigning::new(alice.user_id());
    let (me, user_signing) = (alice.user_id(), public(&keys.user_signing));

    // Of everything something: by Bob's keys and devices, by own devices and keys that have no say here.
    let smuggle = |object: Value| {
        let object = sign(object, bob.user_id(), &bobs.keys.user_signing);
        let object = sign(object, bob.user_id(), &bobs.keys.self_signing);
        let object = bobs.phone_keys.sign(object);
        let object = tablet_keys.sign(object);
        let object = sign(object, me, &keys.user_signing);
        let object = sign(object, me, &keys.self_signing);
        let mut object = sign(object, me, &keys.master);
        object["signatures"]["@carol:elsewhere.example"] = json!({"ed25519:X": "AAAA"});
        object
    };
    let upload_keys = |object: &Value| alice.post("/keys/upload", json!({"device_keys": object}));
    // Before there are cross-signing keys, in the name of those to come; a forgery among them.
    let early = forged(smuggle(phone_keys.signed()), &alice, &public(&keys.self_signing));
    upload_keys(&early).await.ok();
    let body = json!({
        "master_key": forged(phone_keys.sign(smuggle(keys.master_key())), &alice, "GONE"),
        "self_signing_key": smuggle(keys.self_signing_key()),
        "user_signing_key": smuggle(keys.user_signing_key()),
    });
    upload(&alice, body).await.ok();

    let own_device = by(&alice, alice.device_id());
    let (by_master, by_self) = (by(&alice, &public(&keys.master)), by(&alice, &public(&keys.self_signing)));
    let (by_tablet, by_user) = (by(&alice, tablet.device_id()), by(&alice, &user_signing));
    let set = |names: &[&String]| names.iter().copied().cloned().collect::<BTreeSet<String>>();
    let others = [&bob, &carol];
    for asker in [&bob, &carol, &alice] {
        let answer = query(asker, &alice).await;
        assert_eq!(signers(&answer["device_keys"][me][alice.device_id()]), set(&[&own_device]), "{answer}");
        assert_eq!(signers(&answer["self_signing_keys"][me]), set(&[&by_master]), "{answer}");
        let master = signers(&answer["master_keys"][me]);
        // Alice's own keys on her own key are for her to see, if they are.
        let devices = set(&[&own_device, &by_tablet]);
        assert!(master.is_superset(&devices), "{answer}");
        let allowed = if asker.user_id() == me { set(&[&by_master, &by_self, &by_user]) } else { set(&[]) };
        assert!(master.difference(&devices).all(|name| allowed.contains(name)), "{answer}");
    }
    let own = query(&alice, &alice).await;
    assert_eq!(signers(&own["user_signing_keys"][me]), set(&[&by_master]));

    // The same once the keys are known: now some of it is true, which others still do not see.
    upload_keys(&smuggle(phone_keys.signed())).await.ok();
    let further = json!({me: {
        tablet.device_id(): sign(smuggle(tablet_keys.signed()), bob.user_id(), &bobs.keys.master),
    }});
    // Bob signs Alice's master key with what else he has in the same object.
    let master = smuggle(phone_keys.sign(keys.master_key()));
    sign_well(&bob, json!({me: {public(&keys.master): bobs.keys.sign_user(&keys.master_key())}})).await;
    for objects in [further, json!({me: {public(&keys.master): master}})] {
        let _ = super::sign_up(&alice, objects.clone()).await;
        let _ = super::sign_up(&bob, objects).await;
    }
    for asker in others {
        let answer = query(asker, &alice).await;
        let devices = &answer["device_keys"][me];
        assert_eq!(signers(&devices[alice.device_id()]), set(&[&own_device, &by_self]), "{answer}");
        let on_tablet = signers(&devices[tablet.device_id()]);
        assert!(on_tablet.is_subset(&set(&[&by_tablet, &by_self])), "{answer}");
        let mut expected = set(&[&own_device, &by_tablet]);
        if asker.user_id() == bob.user_id() {
            expected.insert(bobs.by_user_signing());
        }
        assert_eq!(signers(&answer["master_keys"][me]), expected, "{answer}");
        assert_eq!(signers(&answer["self_signing_keys"][me]), set(&[&by_master]), "{answer}");
    }
    let answer = query(&alice, &alice).await;
    let expected = set(&[&own_device, &by_self, &by_master, &by_user]);
    assert_eq!(signers(&answer["device_keys"][me][alice.device_id()]), expected, "{answer}");
    assert!(!answer.to_string().contains(bob.user_id()), "{answer}");
}

/// SIG-9, SIG-11, SIG-14: of a dehydrated device nothing more is shown, and it may sign the master key as others do.
#[tokio::test]
async fn a_dehydrated_device_smuggles_nothing() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let bobs = Person::new(&bob).await;
    let keys = identity(&alice).await;
    let device = DeviceKeys::dehydrated(&alice);
    let object = with(without(device.signed(), "signatures"), "dehydrated", json!(true));
    let signed = keys.sign_device(&device.sign(object));
    let smuggled = sign(signed.clone(), bob.user_id(), &bobs.keys.user_signing);
    let smuggled = sign(smuggled, alice.user_id(), &CrossSigning::new(alice.user_id()).self_signing);
    dehydrate_as(&alice, device.device_id(), smuggled).await.ok();
    for asker in [&alice, &bob] {
        assert_eq!(query(asker, &alice).await["device_keys"][alice.user_id()][device.device_id()], signed);
    }
    let master = device.sign(keys.master_key());
    sign_well(&alice, json!({alice.user_id(): {public(&keys.master): master}})).await;
    for asker in [&alice, &bob] {
        assert_eq!(query(asker, &alice).await["master_keys"][alice.user_id()], master);
    }
    // With the device its signature goes.
    alice.delete(PATH).await.ok();
    for asker in [&alice, &bob] {
        let master = query(asker, &alice).await["master_keys"][alice.user_id()].clone();
        assert_eq!(signers(&master), [].into());
        assert_eq!(master["keys"], keys.master_key()["keys"]);
    }
}

/// SIG-10, SIG-15: after a new user-signing key, what the old one signed is shown to nobody, and what the new one signs to
/// its owner alone.
#[tokio::test]
async fn only_the_current_user_signing_key_counts() {
    let clients: [Client; 2] = Server::shared().await.users(["alice", "bob"]).await;
    let (alice, bob) = (Person::new(&clients[0]).await, Person::new(&clients[1]).await);
    alice.verify(&bob).await;
    let mut next = CrossSigning::new(alice.id());
    next.master = vodozemac::Ed25519SecretKey::from_slice(&alice.keys.master.to_bytes());
    upload(&alice.phone, json!({"user_signing_key": next.user_signing_key()})).with_password().await.ok();
    assert_eq!(query(&alice.phone, &bob.phone).await["master_keys"][bob.id()], bob.keys.master_key());
    let signed = next.sign_user(&bob.keys.master_key());
    sign_well(&alice.phone, json!({bob.id(): {public(&bob.keys.master): signed}})).await;
    assert_eq!(query(&alice.tablet, &bob.phone).await["master_keys"][bob.id()], signed);
    assert_eq!(query(&bob.phone, &bob.phone).await["master_keys"][bob.id()], bob.keys.master_key());
}
