//! Which signatures a user may add to which keys.

use serde_json::{Value, json};
use vodozemac::Ed25519SecretKey;

use super::{by, device_keys, forged, identity, public, query, sign_up, sign_well, signers, upload, with, without};
use crate::harness::{
    Client, Server,
    keys::{CrossSigning, DeviceKeys, sign},
};

/// A user with cross-signing keys and one device with keys.
struct Person {
    client: Client,
    keys: CrossSigning,
    device: DeviceKeys,
}

impl Person {
    async fn new(client: &Client) -> Self {
        let device = device_keys(client).await;
        Self { client: client.clone(), keys: identity(client).await, device }
    }

    fn id(&self) -> &str {
        self.client.user_id()
    }

    /// The master key as everybody sees it.
    async fn master(&self, asker: &Client) -> Value {
        query(asker, &self.client).await["master_keys"][self.id()].clone()
    }

    /// The identity keys as everybody sees them.
    async fn device(&self, asker: &Client) -> Value {
        query(asker, &self.client).await["device_keys"][self.id()][self.client.device_id()].clone()
    }
}

async fn two() -> [Person; 2] {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    [Person::new(&alice).await, Person::new(&bob).await]
}

/// The errcode of one failure.
#[track_caller]
fn errcode(failures: &Value, user: &str, key: &str) -> String {
    let failure = &failures[user][key];
    assert!(failure["error"].is_string(), "{failures}");
    failure["errcode"].as_str().unwrap_or_default().to_owned()
}

/// SIG-1: devices go by their ids, and cross-signing keys, as if they were devices, by their public keys.
#[tokio::test]
async fn keys_are_named_by_id_or_public_key() {
    let [alice, bob] = two().await;
    let me = alice.id();
    let objects = json!({
        me: {
            alice.client.device_id(): alice.keys.sign_device(&alice.device.signed()),
            public(&alice.keys.master): alice.device.sign(alice.keys.master_key()),
            // Signed by the master key since they came: it is no news, and no mistake.
            public(&alice.keys.self_signing): alice.keys.self_signing_key(),
            public(&alice.keys.user_signing): alice.keys.user_signing_key(),
        },
        bob.id(): {public(&bob.keys.master): alice.keys.sign_user(&bob.keys.master_key())},
    });
    sign_well(&alice.client, objects).await;
    let self_signing = by(&alice.client, &public(&alice.keys.self_signing));
    assert!(signers(&alice.device(&bob.client).await).contains(&self_signing));
    assert!(signers(&alice.master(&bob.client).await).contains(&by(&alice.client, alice.client.device_id())));
    let user_signing = by(&alice.client, &public(&alice.keys.user_signing));
    assert!(signers(&bob.master(&alice.client).await).contains(&user_signing));
    // A master key can be asked for only among master keys: as a device it is not there.
    let asked = json!({"device_keys": {bob.id(): [public(&bob.keys.master)]}});
    let answer = alice.client.post("/keys/query", asked).await.ok();
    assert_eq!(answer["device_keys"][bob.id()], json!({}));
    assert!(signers(&answer["master_keys"][bob.id()]).contains(&user_signing));
}

/// SIG-2: the object is the stored one, as it came or as it was queried; anything else fails.
#[tokio::test]
async fn only_what_is_stored_can_be_signed() {
    let [alice, _] = two().await;
    let (me, id) = (alice.id(), alice.client.device_id());
    let stored = alice.device.signed();
    let key = &alice.keys.self_signing;
    let changed = [
        with(stored.clone(), "algorithms", json!(["m.other"])),
        with(stored.clone(), "org.example.added", json!(true)),
        without(stored.clone(), "algorithms"),
        with(stored.clone(), "keys", DeviceKeys::new(&alice.client).signed()["keys"].clone()),
        alice.keys.master_key(),
    ];
    for object in changed {
        let failures = sign_up(&alice.client, json!({me: {id: sign(object, me, key)}})).await;
        assert_eq!(errcode(&failures, me, id), "M_INVALID_PARAM", "{failures}");
    }
    for shape in [json!([]), json!("text"), json!(null)] {
        let failures = sign_up(&alice.client, json!({me: {id: shape}})).await;
        assert_eq!(errcode(&failures, me, id), "M_BAD_JSON");
    }
    assert_eq!(alice.device(&alice.client).await, stored, "nothing was added");
    alice.client.put(format!("/devices/{id}"), json!({"display_name": "Phone"})).await.ok();
    let queried = alice.device(&alice.client).await;
    assert_eq!(queried["unsigned"]["device_display_name"], "Phone");
    sign_well(&alice.client, json!({me: {id: sign(queried, me, key)}})).await;
    assert!(signers(&alice.device(&alice.client).await).contains(&by(&alice.client, &public(key))));
}

/// SIG-3: the answer is a 200 that names each bad entry with its reason, and the good ones are stored.
#[tokio::test]
async fn each_entry_stands_for_itself() {
    let [alice, bob] = two().await;
    let tablet = alice.client.another_device().await;
    let tablet_keys = device_keys(&tablet).await;
    let (me, keys) = (alice.id(), &alice.keys);
    let forged_name = public(&keys.self_signing);
    let failures = sign_up(
        &alice.client,
        json!({
            me: {
                alice.client.device_id(): keys.sign_device(&alice.device.signed()),
                tablet.device_id(): forged(tablet_keys.signed(), &alice.client, &forged_name),
                "NOPE": keys.sign_device(&alice.device.signed()),
                public(&keys.master): alice.device.sign(keys.master_key()),
            },
            bob.id(): {
                public(&bob.keys.master): keys.sign_user(&bob.keys.master_key()),
                bob.client.device_id(): sign(bob.device.signed(), me, &keys.user_signing),
            },
        }),
    )
    .await;
    let named = |user: &str| failures[user].as_object().map_or(0, serde_json::Map::len);
    assert_eq!((named(me), named(bob.id())), (2, 1), "{failures}");
    assert_eq!(errcode(&failures, me, tablet.device_id()), "M_INVALID_SIGNATURE");
    assert_eq!(errcode(&failures, me, "NOPE"), "M_NOT_FOUND");
    assert_eq!(errcode(&failures, bob.id(), bob.client.device_id()), "M_INVALID_SIGNATURE");

    let answer = query(&alice.client, &alice.client).await;
    let devices = &answer["device_keys"][me];
    assert!(signers(&devices[alice.client.device_id()]).contains(&by(&alice.client, &forged_name)));
    assert_eq!(devices[tablet.device_id()], tablet_keys.signed());
    assert!(signers(&answer["master_keys"][me]).contains(&by(&alice.client, alice.client.device_id())));
    let usk = by(&alice.client, &public(&keys.user_signing));
    assert!(signers(&bob.master(&alice.client).await).contains(&usk));
    assert_eq!(bob.device(&alice.client).await, bob.device.signed());
}

/// SIG-4: four kinds of signature are taken, and no others.
#[tokio::test]
async fn four_kinds_are_taken() {
    let [alice, bob] = two().await;
    let (me, you) = (alice.id(), bob.id());
    // Another device of Alice, so that a device signs what is not its own.
    let tablet = alice.client.another_device().await;
    let tablet_keys = device_keys(&tablet).await;
    let signers_of = [
        ("master", public(&alice.keys.master)),
        ("self-signing", public(&alice.keys.self_signing)),
        ("user-signing", public(&alice.keys.user_signing)),
        ("device", tablet.device_id().to_owned()),
    ];
    let signed = |kind: &str, object: Value| match kind {
        "master" => sign(object, me, &alice.keys.master),
        "self-signing" => sign(object, me, &alice.keys.self_signing),
        "user-signing" => sign(object, me, &alice.keys.user_signing),
        _ => tablet_keys.sign(object),
    };
    let targets = [
        ("own device", me, alice.client.device_id().to_owned(), alice.device.signed()),
        ("own master", me, public(&alice.keys.master), alice.keys.master_key()),
        ("other device", you, bob.client.device_id().to_owned(), bob.device.signed()),
        ("other master", you, public(&bob.keys.master), bob.keys.master_key()),
        ("other self-signing", you, public(&bob.keys.self_signing), bob.keys.self_signing_key()),
    ];
    let taken = [
        ("master", "own device"),
        ("self-signing", "own device"),
        ("master", "own master"),
        ("device", "own master"),
        ("user-signing", "other master"),
    ];
    for (kind, name) in &signers_of {
        for (what, owner, key, object) in &targets {
            let entry = json!({*owner: {key: signed(kind, object.clone())}});
            let failures = sign_up(&alice.client, entry).await;
            let answer = query(&alice.client, if *owner == me { &alice.client } else { &bob.client }).await;
            let shown = answer
                .to_string()
                .contains(&format!("{name}\":\"{}", signature_text(&signed(kind, object.clone()), me, name)));
            if taken.contains(&(*kind, *what)) {
                assert_eq!(failures, json!({}), "{kind} on {what}");
                assert!(shown, "{kind} on {what}");
            } else {
                assert_eq!(errcode(&failures, owner, key), "M_INVALID_SIGNATURE", "{kind} on {what}");
                assert!(!shown, "{kind} on {what}");
            }
        }
    }
    // On other's keys nothing of it is seen by them.
    let seen = query(&bob.client, &bob.client).await.to_string();
    assert!(!seen.contains(me), "{seen}");
}

fn signature_text(object: &Value, user: &str, key: &str) -> String {
    object["signatures"][user][format!("ed25519:{key}")].as_str().unwrap().to_owned()
}

/// SIG-5, SIG-3: what does not verify with the stored key of its name fails, also if the object came with it, and so does
/// what a key signed that is not in use any more.
#[tokio::test]
async fn every_signature_is_verified() {
    let [alice, bob] = two().await;
    let (me, id) = (alice.id(), alice.client.device_id());
    let (keys, you) = (&alice.keys, bob.id());
    let ssk = public(&keys.self_signing);
    let objects = [
        (me, id.to_owned(), alice.device.signed(), ssk.clone()),
        (me, public(&keys.master), keys.master_key(), id.to_owned()),
        (me, public(&keys.master), keys.master_key(), public(&keys.master)),
        (you, public(&bob.keys.master), bob.keys.master_key(), public(&keys.user_signing)),
    ];
    for (owner, key, object, signer) in objects {
        let entry = json!({owner: {&key: forged(object, &alice.client, &signer)}});
        assert_eq!(errcode(&sign_up(&alice.client, entry).await, owner, &key), "M_INVALID_SIGNATURE");
    }
    assert_eq!(alice.master(&alice.client).await, keys.master_key());
    assert_eq!(bob.master(&alice.client).await, bob.keys.master_key());

    // A device may bring anything with its keys. That makes a forgery neither shown nor accepted.
    let forgery = forged(alice.device.signed(), &alice.client, &ssk);
    alice.client.post("/keys/upload", json!({"device_keys": forgery})).await.ok();
    for asker in [&alice.client, &bob.client] {
        assert_eq!(alice.device(asker).await, alice.device.signed());
    }
    let failures = sign_up(&alice.client, json!({me: {id: forgery}})).await;
    assert_eq!(errcode(&failures, me, id), "M_INVALID_SIGNATURE");
    sign_well(&alice.client, json!({me: {id: keys.sign_device(&alice.device.signed())}})).await;
    assert_eq!(alice.device(&bob.client).await, keys.sign_device(&alice.device.signed()));

    // The key of yesterday.
    let mut next = CrossSigning::new(me);
    next.master = Ed25519SecretKey::from_slice(&keys.master.to_bytes());
    let body = json!({"self_signing_key": next.self_signing_key(), "user_signing_key": next.user_signing_key()});
    upload(&alice.client, body).with_password().await.ok();
    let tablet = alice.client.another_device().await;
    let tablet_keys = device_keys(&tablet).await;
    let late = json!({
        me: {tablet.device_id(): keys.sign_device(&tablet_keys.signed())},
        you: {public(&bob.keys.master): keys.sign_user(&bob.keys.master_key())},
    });
    let failures = sign_up(&alice.client, late).await;
    assert_eq!(errcode(&failures, me, tablet.device_id()), "M_INVALID_SIGNATURE");
    assert_eq!(errcode(&failures, you, &public(&bob.keys.master)), "M_INVALID_SIGNATURE");
}

/// SIG-6: signatures come to those that are there.
#[tokio::test]
async fn new_signatures_join_the_old() {
    let [alice, bob] = two().await;
    let me = alice.id();
    let tablet = alice.client.another_device().await;
    let tablet_keys = device_keys(&tablet).await;
    let master = public(&alice.keys.master);
    // Each with its own signature only, as clients send them.
    sign_well(&alice.client, json!({me: {&master: alice.device.sign(alice.keys.master_key())}})).await;
    sign_well(&tablet, json!({me: {&master: tablet_keys.sign(alice.keys.master_key())}})).await;
    let expected = tablet_keys.sign(alice.device.sign(alice.keys.master_key()));
    assert_eq!(alice.master(&bob.client).await, expected);
    let bare = without(alice.device.signed(), "signatures");
    sign_well(&alice.client, json!({me: {alice.client.device_id(): alice.keys.sign_device(&bare)}})).await;
    assert_eq!(alice.device(&bob.client).await, alice.keys.sign_device(&alice.device.signed()));
    // The device's own upload does not take them away, nor does it need them.
    alice.client.post("/keys/upload", json!({"device_keys": alice.device.signed()})).await.ok();
    assert_eq!(alice.device(&bob.client).await, alice.keys.sign_device(&alice.device.signed()));
}

/// SIG-7: what is not there is said to be not there, and so is what nobody else may know of.
#[tokio::test]
async fn unknown_targets_are_not_found() {
    let server = Server::shared().await;
    let [alice, bob] = two().await;
    let me = alice.id();
    let nobody = format!("@nobody-here:{}", server.name().await);
    let elsewhere = "@somebody:elsewhere.example";
    let signed = alice.keys.sign_device(&alice.device.signed());
    let other = public(&Ed25519SecretKey::new());
    let hidden = public(&bob.keys.user_signing);
    let keyless = alice.client.another_device().await;
    let failures = sign_up(
        &alice.client,
        json!({
            me: {"NOPE": signed, &other: signed, keyless.device_id(): signed},
            bob.id(): {
                &other: alice.keys.sign_user(&bob.keys.master_key()),
                &hidden: alice.keys.sign_user(&bob.keys.user_signing_key()),
            },
            &nobody: {"NOPE": signed},
            elsewhere: {&other: signed},
        }),
    )
    .await;
    let expected = [
        (me, "NOPE"),
        (me, other.as_str()),
        (me, keyless.device_id()),
        (bob.id(), other.as_str()),
        (bob.id(), hidden.as_str()),
        (nobody.as_str(), "NOPE"),
        (elsewhere, other.as_str()),
    ];
    for (user, key) in expected {
        assert_eq!(errcode(&failures, user, key), "M_NOT_FOUND", "{user} {key}");
    }
}

/// SIG-1, SIG-3: a request of another shape is refused as a whole, and stores nothing.
#[tokio::test]
async fn a_request_of_another_shape_is_refused() {
    let [alice, _] = two().await;
    let signed = alice.keys.sign_device(&alice.device.signed());
    for body in [json!([]), json!({"not a user": {"A": signed}}), json!({alice.id(): [signed]}), json!({alice.id(): 1})]
    {
        alice.client.post("/keys/signatures/upload", body).await.error(400, "M_BAD_JSON");
    }
    let many: serde_json::Map<_, _> = (0..1_001).map(|number| (format!("D{number}"), json!({}))).collect();
    let many = json!({alice.id(): many});
    alice.client.post("/keys/signatures/upload", many).await.error(413, "M_TOO_LARGE");
    sign_well(&alice.client, json!({})).await;
    assert_eq!(alice.device(&alice.client).await, alice.device.signed());
}
