//! Dehydrated devices (MSC3814): a device without a session that receives keys while its user has no other.

use serde_json::{Value, json};

use crate::harness::{
    Call, Client, Server, device_lists_changed,
    keys::{CrossSigning, DeviceKeys},
    segment,
};

pub const PATH: &str = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device";

fn data(pickle: &str) -> Value {
    json!({"algorithm": "m.dehydration.v2", "device_pickle": pickle, "nonce": "n"})
}

fn body(keys: &Value, id: &str) -> Value {
    json!({"device_id": id, "device_data": data(id), "device_keys": keys})
}

/// Puts a dehydrated device with these identity keys.
pub fn dehydrate_as(user: &Client, id: &str, device_keys: Value) -> Call {
    user.put(PATH, body(&device_keys, id))
}

/// Puts a dehydrated device of this id.
pub fn dehydrate(user: &Client, id: &str) -> Call {
    dehydrate_as(user, id, DeviceKeys::of(user.user_id(), id).signed())
}

/// Puts a dehydrated device with so many one-time keys and a fallback key; its keys.
async fn put(user: &Client, one_time_keys: usize) -> DeviceKeys {
    let mut keys = DeviceKeys::dehydrated(user);
    let mut body = body(&keys.signed(), keys.device_id());
    body["one_time_keys"] = keys.one_time_keys(one_time_keys);
    body["fallback_keys"] = keys.fallback_keys();
    body["initial_device_display_name"] = json!("Dehydrated device");
    let answer = user.put(PATH, body).await.ok();
    assert_eq!(answer, json!({"device_id": keys.device_id()}));
    keys
}

async fn claim(by: &Client, of: &Client, id: &str) -> Value {
    let body = json!({"one_time_keys": {of.user_id(): {id: "signed_curve25519"}}});
    by.post("/keys/claim", body).await.ok()["one_time_keys"][of.user_id()][id].clone()
}

async fn devices(by: &Client, of: &Client) -> Value {
    by.post("/keys/query", json!({"device_keys": {of.user_id(): []}})).await.ok()["device_keys"][of.user_id()].clone()
}

fn events_of(user: &Client, id: &str) -> Call {
    user.get(format!("{PATH}/{}/events", segment(id)))
}

fn numbers(events: &Value) -> Vec<u64> {
    events["events"].as_array().unwrap().iter().map(|event| event["content"]["number"].as_u64().unwrap()).collect()
}

async fn send(by: &Client, to: &Client, id: &str, number: u64) {
    by.send_to_device("io.example.seq", json!({to.user_id(): {id: {"number": number}}})).await;
}

/// UNS-1: put, read, delete; where there is none, that is what clients hear, and not that nobody knows the path.
#[tokio::test]
async fn a_user_has_one_or_none() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    alice.get(PATH).await.error(404, "M_NOT_FOUND");
    alice.delete(PATH).await.error(404, "M_NOT_FOUND");
    let keys = put(&alice, 2).await;
    let stored = json!({"device_id": keys.device_id(), "device_data": data(keys.device_id())});
    // Any device of the user may rehydrate it, and nobody else.
    for device in [&alice, &alice.another_device().await] {
        assert_eq!(device.get(PATH).await.ok(), stored);
    }
    bob.get(PATH).await.error(404, "M_NOT_FOUND");
    bob.delete(PATH).await.error(404, "M_NOT_FOUND");
    alice.get(PATH).token(None).await.error(401, "M_MISSING_TOKEN");
    assert_eq!(alice.delete(PATH).await.ok(), json!({"device_id": keys.device_id()}));
    alice.get(PATH).await.error(404, "M_NOT_FOUND");
    alice.delete(PATH).await.error(404, "M_NOT_FOUND");
    assert_eq!(devices(&bob, &alice).await, json!({}));
    assert_eq!(claim(&bob, &alice, keys.device_id()).await, Value::Null);
}

/// UNS-1, UNS-3, DL-1: with one request the device is there for others: its identity keys with all their members, its
/// one-time keys and its fallback key.
#[tokio::test]
async fn it_is_a_device_to_others() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    alice.encrypted_room(&[&bob]).await;
    let identity = CrossSigning::new(alice.user_id());
    alice.post("/keys/device_signing/upload", identity.upload()).await.ok();
    let mut sync = bob.syncing();
    sync.now().await;

    let mut keys = DeviceKeys::dehydrated(&alice);
    let mut object = keys.signed();
    object.as_object_mut().unwrap().remove("signatures");
    object["dehydrated"] = json!(true);
    let signed = identity.sign_device(&keys.sign(object));
    let (one_time, fallback) = (keys.one_time_keys(1), keys.fallback_keys());
    let mut body = body(&signed, keys.device_id());
    body["one_time_keys"] = one_time.clone();
    body["fallback_keys"] = fallback.clone();
    body["initial_device_display_name"] = json!("Dehydrated device");
    alice.put(PATH, body).await.ok();

    let changed = device_lists_changed(&sync.now().await);
    assert!(changed.iter().any(|user| user == alice.user_id()), "{changed:?}");
    for asker in [&bob, &alice] {
        let mut shown = devices(asker, &alice).await[keys.device_id()].clone();
        let unsigned = shown.as_object_mut().unwrap().remove("unsigned").unwrap();
        assert_eq!(unsigned["device_display_name"], "Dehydrated device");
        assert_eq!(shown, signed);
    }
    assert_eq!(claim(&bob, &alice, keys.device_id()).await, one_time);
    assert_eq!(claim(&bob, &alice, keys.device_id()).await, fallback);
    assert_eq!(claim(&bob, &alice, keys.device_id()).await, fallback);

    // It has no session, and is none of the devices that a user manages.
    let listed = alice.get("/devices").await.ok();
    assert!(!listed.to_string().contains("Dehydrated device"), "{listed}");
    alice.delete(PATH).await.ok();
    let changed = device_lists_changed(&sync.now().await);
    assert!(changed.iter().any(|user| user == alice.user_id()), "{changed:?}");
}

/// UNS-1: a new one takes the place of the old, with all that was the old one's, also under the same id.
#[tokio::test]
async fn a_new_one_replaces_the_old() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let old = put(&alice, 3).await;
    send(&bob, &alice, old.device_id(), 1).await;
    let new = put(&alice, 1).await;
    assert_eq!(alice.get(PATH).await.ok()["device_id"], new.device_id());
    let shown = devices(&bob, &alice).await;
    assert_eq!(shown.as_object().unwrap().keys().collect::<Vec<_>>(), [new.device_id()]);
    assert_eq!(claim(&bob, &alice, old.device_id()).await, Value::Null);
    events_of(&alice, old.device_id()).await.error(403, "M_FORBIDDEN");
    send(&bob, &alice, old.device_id(), 2).await;
    assert_eq!(events_of(&alice, new.device_id()).await.ok()["events"], json!([]));

    send(&bob, &alice, new.device_id(), 3).await;
    dehydrate(&alice, new.device_id()).await.ok();
    assert_eq!(events_of(&alice, new.device_id()).await.ok()["events"], json!([]));
    assert_eq!(claim(&bob, &alice, new.device_id()).await, Value::Null, "neither one-time nor fallback keys are left");
    // An ordinary device of the user is nothing of it, and stays.
    alice.get("/account/whoami").await.ok();
}

/// UNS-1: all parts are stored or none, and then the old one stays.
#[tokio::test]
async fn a_bad_one_changes_nothing() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let old = put(&alice, 1).await;
    let before = (alice.get(PATH).await.ok(), devices(&bob, &alice).await);
    let mut keys = DeviceKeys::dehydrated(&alice);
    let id = keys.device_id().to_owned();
    let good = body(&keys.signed(), &id);
    let one_time = keys.one_time_keys(1);
    let with = |member: &str, value: Value| {
        let mut body = good.clone();
        body["one_time_keys"] = one_time.clone();
        body[member] = value;
        body
    };
    for member in ["device_id", "device_data", "device_keys"] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(member);
        alice.put(PATH, body).await.error(400, "M_MISSING_PARAM");
    }
    let two_fallbacks = {
        let mut two = keys.fallback_keys();
        two.as_object_mut().unwrap().extend(keys.fallback_keys().as_object().unwrap().clone());
        two
    };
    for body in [
        with("device_id", json!("ANOTHER")),
        with("device_id", json!("")),
        with("device_id", json!("x".repeat(513))),
        with("device_id", json!(1)),
        with("device_data", json!("text")),
        with("device_data", json!(null)),
        with("device_keys", json!(null)),
        with("device_keys", DeviceKeys::of(bob.user_id(), &id).signed()),
        with("one_time_keys", json!({"nocolon": {"key": "x"}})),
        with("one_time_keys", json!({"signed_curve25519:A": 1})),
        with("fallback_keys", two_fallbacks),
        with("fallback_keys", json!([])),
        json!([]),
    ] {
        let response = alice.put(PATH, body).await;
        assert_eq!(response.status, 400, "{response}");
        assert!(["M_BAD_JSON", "M_INVALID_PARAM"].contains(&response.errcode().as_str()), "{response}");
    }
    // Names that others have.
    dehydrate(&alice, alice.device_id()).await.error(403, "M_FORBIDDEN");
    assert_eq!((alice.get(PATH).await.ok(), devices(&bob, &alice).await), before);
    assert!(claim(&bob, &alice, old.device_id()).await.is_object());
    assert_eq!(claim(&bob, &alice, &id).await, Value::Null);
    // What other users call their devices is their business.
    dehydrate(&bob, alice.device_id()).await.ok();
}

/// UNS-2: its messages come in pages, in order, again and again, until there are none.
#[tokio::test]
async fn its_messages_can_be_read_again() {
    const COUNT: u64 = 130;
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let id = put(&alice, 0).await.device_id().to_owned();
    let nothing = events_of(&alice, &id).await.ok();
    assert_eq!(nothing["events"], json!([]));
    for number in 0..COUNT {
        if number % 10 == 0 {
            bob.send_to_device("io.example.seq", json!({alice.user_id(): {"*": {"number": number}}})).await;
        } else {
            send(&bob, &alice, &id, number).await;
        }
    }
    // An ordinary device and what it acknowledges have nothing to do with it.
    let sync = alice.sync(None).await;
    alice.sync(sync["next_batch"].as_str()).await;

    let tablet = alice.another_device().await;
    let all: Vec<u64> = (0..COUNT).collect();
    for (device, size) in [(&alice, 100), (&tablet, 100), (&tablet, 7), (&tablet, 65)] {
        let (mut seen, mut at) = (Vec::new(), None::<String>);
        loop {
            let mut call = events_of(device, &id);
            if let Some(from) = &at {
                call = call.query("from", from);
            }
            if size < 100 {
                call = call.query("limit", size);
            }
            let page = call.await.ok();
            seen.extend(numbers(&page));
            // Clients go on as long as there is a token, and stop when there is none.
            let left = all.len() - seen.len();
            assert_eq!(numbers(&page).len(), size.min(left + numbers(&page).len()), "{page}");
            assert_eq!(page["next_batch"].is_string(), left > 0, "{page}");
            match page["next_batch"].as_str() {
                Some(next) => at = Some(next.to_owned()),
                None => break,
            }
        }
        assert_eq!(seen, all, "another device begins anew");
    }
    let event = events_of(&alice, &id).await.ok()["events"][0].clone();
    assert_eq!(event, json!({"sender": bob.user_id(), "type": "io.example.seq", "content": {"number": 0}}));
}

/// UNS-2: older clients ask with `POST`, and go on until a page is empty, so to them each page names a next one.
#[tokio::test]
async fn its_messages_can_be_read_the_old_way() {
    const COUNT: u64 = 101;
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let id = put(&alice, 0).await.device_id().to_owned();
    for number in 0..COUNT {
        send(&bob, &alice, &id, number).await;
    }
    let path = format!("{PATH}/{}/events", segment(&id));
    let all: Vec<u64> = (0..COUNT).collect();
    let mut end = json!(null);
    for _ in 0..2 {
        let (mut seen, mut body) = (Vec::new(), json!({}));
        loop {
            let page = alice.post(&path, body).await.ok();
            assert!(page["next_batch"].is_string() && numbers(&page).len() <= 100, "{page}");
            if page["events"] == json!([]) {
                end = page["next_batch"].clone();
                break;
            }
            seen.extend(numbers(&page));
            body = json!({"next_batch": page["next_batch"]});
        }
        assert_eq!(seen, all);
    }
    // What comes later is after the token that was the last, which both ways take.
    send(&bob, &alice, &id, COUNT).await;
    assert_eq!(numbers(&alice.post(&path, json!({"next_batch": end})).await.ok()), [COUNT]);
    assert_eq!(numbers(&events_of(&alice, &id).query("from", end.as_str().unwrap()).await.ok()), [COUNT]);
}

/// UNS-2: only the user's own dehydrated device can be asked for, and only with tokens that were given out.
#[tokio::test]
async fn messages_of_other_devices_are_refused() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    // There is none.
    events_of(&alice, "NOPE").await.error(403, "M_FORBIDDEN");
    let id = put(&alice, 0).await.device_id().to_owned();
    let theirs = put(&bob, 0).await.device_id().to_owned();
    for other in ["NOPE", alice.device_id(), &theirs] {
        events_of(&alice, other).await.error(403, "M_FORBIDDEN");
        let path = format!("{PATH}/{}/events", segment(other));
        alice.post(&path, json!({})).await.error(403, "M_FORBIDDEN");
    }
    events_of(&bob, &id).await.error(403, "M_FORBIDDEN");
    for token in ["nonsense", "d", "d1", "d1.x", "s1_2", "d-1.0"] {
        events_of(&alice, &id).query("from", token).await.error(400, "M_INVALID_PARAM");
        let path = format!("{PATH}/{}/events", segment(&id));
        alice.post(&path, json!({"next_batch": token})).await.error(400, "M_INVALID_PARAM");
    }
    events_of(&alice, &id).token(None).await.error(401, "M_MISSING_TOKEN");
}

/// UNS-1: it outlives the device that made it, for that is what it is for.
#[tokio::test]
async fn it_stays_when_its_maker_logs_out() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let id = put(&alice, 1).await.device_id().to_owned();
    alice.logout().await;
    send(&bob, &alice, &id, 1).await;
    assert!(claim(&bob, &alice, &id).await.is_object());
    let again = alice.another_device().await;
    assert_eq!(numbers(&events_of(&again, &id).await.ok()), [1]);
    // A deletion of other devices is none of its business.
    let phone = again.another_device().await;
    again.post("/delete_devices", json!({"devices": [phone.device_id()]})).with_password().await.ok();
    assert_eq!(numbers(&events_of(&again, &id).await.ok()), [1]);
}

/// UNS-1, DEV-9, DEV-17, DEV-18: who deletes all devices deletes it, too; who names it deletes it as any other.
#[tokio::test]
async fn it_goes_as_other_devices_go() {
    let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
    let mut device = alice.clone();
    for way in 0..4 {
        let id = put(&device, 1).await.device_id().to_owned();
        match way {
            0 => {
                device.delete(format!("/devices/{}", segment(&id))).with_password().await.ok();
            }
            1 => {
                let body = json!({"devices": ["NOPE", id]});
                device.post("/delete_devices", body).with_password().await.ok();
            }
            2 => {
                device.post("/logout/all", json!({})).await.ok();
                device = alice.another_device().await;
            }
            _ => {
                let body = json!({"new_password": "another-good-one-9"});
                device.post("/account/password", body).with_password().await.ok();
            }
        }
        device.get(PATH).await.error(404, "M_NOT_FOUND");
        assert_eq!(devices(&bob, &alice).await, json!({}), "way {way}");
        assert_eq!(claim(&bob, &alice, &id).await, Value::Null, "way {way}");
    }
    let id = put(&carol, 1).await.device_id().to_owned();
    carol.post("/account/deactivate", json!({})).with_password().await.ok();
    assert_eq!(devices(&bob, &carol).await, json!({}));
    assert_eq!(claim(&bob, &carol, &id).await, Value::Null);
}

/// UNS-1: a login under its id makes an ordinary device of that id, which has nothing of it.
#[tokio::test]
async fn a_login_under_its_id_takes_its_place() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let id = put(&alice, 2).await.device_id().to_owned();
    send(&bob, &alice, &id, 1).await;
    let device = alice.login(&id).await;
    alice.get(PATH).await.error(404, "M_NOT_FOUND");
    assert_eq!(devices(&bob, &alice).await, json!({}));
    assert_eq!(claim(&bob, &alice, &id).await, Value::Null);
    assert_eq!(device.sync(None).await["to_device"]["events"].as_array().map_or(0, Vec::len), 0);
}

/// UNS-1: of many at once one is left, whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_one_is_left() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let puts = (0..8).map(|_| {
        let alice = alice.clone();
        tokio::spawn(async move { put(&alice, 1).await })
    });
    let mut all = Vec::new();
    for put in puts.collect::<Vec<_>>() {
        all.push(put.await.unwrap());
    }
    let left = alice.get(PATH).await.ok()["device_id"].as_str().unwrap().to_owned();
    let shown = devices(&bob, &alice).await;
    assert_eq!(shown.as_object().unwrap().keys().collect::<Vec<_>>(), [&left]);
    for keys in all {
        let claimed = claim(&bob, &alice, keys.device_id()).await;
        assert_eq!(claimed.is_object(), keys.device_id() == left, "{claimed}");
    }
    assert_eq!(alice.get(PATH).await.ok()["device_data"], data(&left));
}
