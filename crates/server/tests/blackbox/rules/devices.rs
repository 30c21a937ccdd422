//! Devices: their ids, their names, and who sees them.

use serde_json::{Value, json};

use crate::harness::{
    Client, Server, at, device_lists_changed,
    keys::{CrossSigning, DeviceKeys},
    to_device, unique,
};

async fn ids(of: &Client) -> Vec<String> {
    let devices = of.get("/devices").await.ok()["devices"].as_array().expect("a list").clone();
    devices.iter().map(|device| device["device_id"].as_str().expect("an id").to_owned()).collect()
}

async fn identity(of: &Client) -> CrossSigning {
    let keys = CrossSigning::new(of.user_id());
    of.post("/keys/device_signing/upload", keys.upload()).await.ok();
    keys
}

/// The public cross-signing keys of a user.
fn public(keys: &CrossSigning) -> [String; 3] {
    [&keys.master, &keys.self_signing, &keys.user_signing].map(|key| key.public_key().to_base64())
}

/// DEV-1: one sees one's own devices, with what is known of them, and no cross-signing keys among them.
#[tokio::test]
async fn the_list_has_ones_own_devices() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let login = json!({"device_id": "PHONE", "initial_device_display_name": "Alice's phone"});
    let (phone, _) = alice.login_with(login).await;
    phone.get("/account/whoami").await.ok();
    bob.login("OF-BOB").await;
    identity(&alice).await;

    let mut expected = vec![alice.device_id().to_owned(), "PHONE".to_owned()];
    expected.sort_unstable();
    assert_eq!(ids(&alice).await, expected);
    let devices = alice.get("/devices").await.ok()["devices"].as_array().unwrap().clone();
    let listed = devices.iter().find(|device| device["device_id"] == "PHONE").unwrap();
    assert_eq!(listed["display_name"], "Alice's phone");
    assert!(listed["last_seen_ts"].as_u64().is_some_and(|ts| ts > 1_600_000_000_000), "{listed}");
    assert!(listed["last_seen_ip"].as_str().is_some_and(|ip| ip.starts_with("127.")), "{listed}");
    assert_eq!(alice.get("/devices/PHONE").await.ok(), *listed);
}

/// DEV-2, DEV-3: a device has a name that its user may change; there is no other way to make a device.
#[tokio::test]
async fn a_device_is_renamed_and_none_is_made() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    alice.login_with(json!({"device_id": "PHONE", "initial_device_display_name": "first"})).await;
    let name = async || alice.get("/devices/PHONE").await.ok()["display_name"].clone();

    alice.put("/devices/PHONE", json!({"display_name": "second"})).await.ok();
    assert_eq!(name().await, "second");
    alice.put("/devices/PHONE", json!({})).await.ok();
    assert_eq!(name().await, "second", "absent is unchanged");
    for bad in [json!({"display_name": 7}), json!({"display_name": "x".repeat(1_000)}), json!([])] {
        let refused = alice.put("/devices/PHONE", bad).await;
        assert_eq!(refused.status, 400, "{refused}");
    }
    assert_eq!(name().await, "second");

    let before = ids(&alice).await;
    for unknown in ["NONE", "OF/BOB", ""] {
        bob.login("OF/BOB").await;
        let path = at!("/devices/{}", unknown);
        let reply = alice.put(&path, json!({"display_name": "x"})).await;
        assert_eq!(reply.status, 404, "{reply}");
        assert_eq!(alice.get(&path).await.status, 404);
    }
    alice.put("/devices/NONE", json!({"display_name": "x"})).await.error(404, "M_NOT_FOUND");
    alice.get("/devices/NONE").await.error(404, "M_NOT_FOUND");
    assert_eq!(ids(&alice).await, before);
}

/// DEV-12, DEV-16: who names no device gets one with an id; a guest always does.
#[tokio::test]
async fn the_server_makes_ids_of_devices() {
    let server = Server::shared().await;
    let alice = server.user("alice").await;
    let mut seen = vec![alice.device_id().to_owned()];
    for _ in 0..3 {
        let (device, answer) = alice.login_with(json!({})).await;
        let id = answer["device_id"].as_str().unwrap().to_owned();
        assert!(!id.is_empty() && !seen.contains(&id), "{id}");
        assert_eq!(device.get("/account/whoami").await.ok()["device_id"], id.as_str());
        seen.push(id);
    }

    let auth = json!({"type": "m.login.dummy"});
    let body = json!({"username": format!("u{}", unique()), "password": "secret-7", "auth": auth});
    let registered = server.anonymous().post("/register", body).await.ok();
    assert!(registered["device_id"].as_str().is_some_and(|id| !id.is_empty()), "{registered}");

    let wish = json!({"device_id": "MINE", "initial_device_display_name": "a guest's", "password": "secret-7"});
    let answer = server.anonymous().post("/register", wish).query("kind", "guest").await.ok();
    let id = answer["device_id"].as_str().expect("an id");
    assert!(id != "MINE" && !id.is_empty(), "{answer}");
    let guest = server.anonymous().with_token(answer["access_token"].as_str().unwrap());
    assert_eq!(guest.get("/account/whoami").await.ok()["device_id"], id);
}

/// DEV-13, DEV-14: none of the ways to a device leads to the id of one of the user's cross-signing keys.
#[tokio::test]
async fn no_device_has_the_id_of_a_cross_signing_key() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let keys = identity(&alice).await;
    let before = ids(&alice).await;
    for id in public(&keys) {
        let mut login = alice.password_login();
        login["device_id"] = json!(id);
        alice.post("/login", login).token(None).await.error(403, "M_FORBIDDEN");

        let path = "/_matrix/client/v1/login/get_token";
        let token = alice.post(path, json!({})).with_password().await.ok()["login_token"].clone();
        let mut login = json!({"type": "m.login.token", "token": token, "device_id": id});
        alice.post("/login", login.clone()).token(None).await.error(403, "M_FORBIDDEN");
        login["device_id"] = json!(format!("GOOD-{}", unique()));
        let answer = alice.post("/login", login).token(None).await.ok();
        assert_eq!(answer["user_id"], alice.user_id(), "the token was not spent on what was refused");
        alice.with_token(answer["access_token"].as_str().unwrap()).logout().await;

        let mut device = DeviceKeys::of(alice.user_id(), &id);
        let body = json!({"device_id": id, "device_data": {"algorithm": "x"}, "device_keys": device.signed(),
            "one_time_keys": device.one_time_keys(1)});
        let path = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device";
        alice.put(path, body).await.error(403, "M_FORBIDDEN");
        alice.get(path).await.error(404, "M_NOT_FOUND");

        alice.put(at!("/devices/{}", id), json!({"display_name": "x"})).await.error(404, "M_NOT_FOUND");
        let localpart = alice.user_id()[1..].split(':').next().unwrap().to_owned();
        let auth = json!({"type": "m.login.dummy"});
        let body = json!({"username": localpart, "password": "x", "device_id": id, "auth": auth});
        alice.post("/register", body).token(None).await.error(400, "M_USER_IN_USE");

        // It is no matter for other users.
        bob.login(&id).await.get("/account/whoami").await.ok();
    }
    assert_eq!(ids(&alice).await, before);
}

/// DEV-20: the same device id of two users is two devices.
#[tokio::test]
async fn users_may_have_the_same_device_id() {
    let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
    let (of_alice, of_bob) = (alice.login("SAME").await, bob.login("SAME").await);
    let mut keys = DeviceKeys::new(&of_alice);
    keys.upload(&of_alice, 3, false).await;
    carol.send_to_device("io.example.for-alice", json!({alice.user_id(): {"SAME": {}}})).await;

    let counts = of_bob.post("/keys/upload", json!({})).await.ok()["one_time_key_counts"].clone();
    assert_eq!(counts["signed_curve25519"].as_u64().unwrap_or(0), 0);
    assert!(to_device(&of_bob.sync(None).await).is_empty());
    let query = json!({"device_keys": {alice.user_id(): ["SAME"], bob.user_id(): ["SAME"]}});
    let answer = carol.post("/keys/query", query).await.ok()["device_keys"].clone();
    assert_eq!(answer[alice.user_id()]["SAME"]["keys"]["ed25519:SAME"], keys.ed25519());
    assert_eq!(answer[bob.user_id()]["SAME"], Value::Null);

    of_bob.put("/devices/SAME", json!({"display_name": "Bob's"})).await.ok();
    assert_ne!(of_alice.get("/devices/SAME").await.ok()["display_name"], "Bob's");
    of_bob.logout().await;
    assert_eq!(of_alice.get("/account/whoami").await.ok()["device_id"], "SAME");
    assert_eq!(to_device(&of_alice.sync(None).await).len(), 1);
    let claim = json!({"one_time_keys": {alice.user_id(): {"SAME": "signed_curve25519"}}});
    let claimed = carol.post("/keys/claim", claim).await.ok()["one_time_keys"].clone();
    assert!(claimed[alice.user_id()]["SAME"].is_object(), "{claimed}");
}

/// DEV-21: device ids have an end.
#[tokio::test]
async fn over_long_device_ids_are_refused() {
    let server = Server::shared().await;
    let alice = server.user("alice").await;
    // Characters count, not bytes.
    for fits in ["x".repeat(512), "é".repeat(512)] {
        let device = alice.login(&fits).await;
        assert_eq!(device.get("/account/whoami").await.ok()["device_id"], fits.as_str());
    }
    for id in ["x".repeat(513), "é".repeat(513)] {
        let mut login = alice.password_login();
        login["device_id"] = json!(id);
        alice.post("/login", login).token(None).await.error(400, "M_INVALID_PARAM");
        let name = format!("u{}", unique());
        let body = json!({"username": name, "password": "x", "device_id": id, "auth": {"type": "m.login.dummy"}});
        server.anonymous().post("/register", body).await.error(400, "M_INVALID_PARAM");
        let free = server.anonymous().get("/register/available").query("username", name).await.ok();
        assert_eq!(free["available"], true, "no account was made");
    }
    assert_eq!(ids(&alice).await.len(), 3);
}

/// DEV-22: a token says of which device it is.
#[tokio::test]
async fn whoami_names_the_device() {
    let alice = Server::shared().await.user("alice").await;
    let phone = alice.login("PHONE/1").await;
    for device in [&alice, &phone] {
        let whoami = device.get("/account/whoami").await.ok();
        assert_eq!((&whoami["user_id"], &whoami["device_id"]), (&json!(alice.user_id()), &json!(device.device_id())));
    }
}

/// DEV-23: without keys a device is nothing to others, when it comes, is renamed and goes.
#[tokio::test]
async fn a_device_without_keys_is_not_told_of() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    alice.encrypted_room(&[&bob]).await;
    let first = bob.sync(None).await["next_batch"].as_str().unwrap().to_owned();
    let mut since = first.clone();
    let mut phone = None;
    for step in ["login", "rename", "again", "logout"] {
        match step {
            "login" | "again" => phone = Some(alice.login("PHONE").await),
            "rename" => drop(alice.put("/devices/PHONE", json!({"display_name": "new"})).await.ok()),
            _ => phone.as_ref().expect("a device").logout().await,
        }
        let sync = bob.sync(Some(&since)).await;
        assert!(device_lists_changed(&sync).is_empty(), "{step}: {sync}");
        since = sync["next_batch"].as_str().unwrap().to_owned();
    }
    let changes = bob.get("/keys/changes").query("from", &first).query("to", &since).await.ok();
    assert_eq!(changes["changed"], json!([]));
    let query = json!({"device_keys": {alice.user_id(): []}});
    let answer = bob.post("/keys/query", query).await.ok()["device_keys"].clone();
    assert!(answer[alice.user_id()].as_object().is_none_or(serde_json::Map::is_empty), "{answer}");
}

/// What a path names is decoded once, and any text may be a device id.
#[tokio::test]
async fn any_text_may_be_a_device_id() {
    let alice = Server::shared().await.user("alice").await;
    for id in ["a/b", "a%2Fb", "+=", "ä 𝄞", "\u{7f}"] {
        let device = alice.login(id).await;
        let path = at!("/devices/{}", id);
        device.put(&path, json!({"display_name": id})).await.ok();
        assert_eq!(device.get(&path).await.ok()["device_id"], id);
        assert_eq!(alice.delete(&path).with_password().await.ok(), json!({}));
        device.get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
    }
}
