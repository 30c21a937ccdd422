//! Accounts that are locked or suspended, and guests.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::endpoints;
use crate::harness::{
    Client, Server, at, deadline,
    keys::{CrossSigning, DeviceKeys, claim, count, device_keys},
    segment, timeline, to_device, within,
};

fn password_login(of: &Client) -> Value {
    json!({"type": "m.login.password", "identifier": {"type": "m.id.user", "user": of.user_id()},
        "password": of.password()})
}

/// Endpoints besides those of encryption, with requests that need not make sense.
fn others(of: &Client) -> Vec<(Method, String)> {
    let user = segment(of.user_id());
    let mut others: Vec<(Method, String)> = [
        (Method::POST, "/createRoom"),
        (Method::POST, "/join/!r:localhost"),
        (Method::POST, "/rooms/!r:localhost/invite"),
        (Method::POST, "/rooms/!r:localhost/leave"),
        (Method::PUT, "/rooms/!r:localhost/send/m.room.message/1"),
        (Method::GET, "/rooms/!r:localhost/messages"),
        (Method::GET, "/joined_rooms"),
        (Method::GET, "/capabilities"),
        (Method::GET, "/pushrules/"),
        (Method::GET, "/pushers"),
        (Method::GET, "/voip/turnServer"),
        (Method::GET, "/account/3pid"),
        (Method::POST, "/account/password"),
        (Method::POST, "/account/deactivate"),
        (Method::POST, "/user_directory/search"),
        (Method::POST, "/_matrix/media/v3/upload"),
        (Method::GET, "/_matrix/client/v1/media/config"),
        (Method::POST, "/_matrix/client/v1/login/get_token"),
    ]
    .map(|(method, path)| (method, path.to_owned()))
    .into();
    others.push((Method::PUT, format!("/profile/{user}/displayname")));
    others.push((Method::GET, format!("/user/{user}/account_data/org.example")));
    others.push((Method::POST, format!("/user/{user}/filter")));
    others.push((Method::GET, format!("/presence/{user}/status")));
    others
}

/// GEN-15: a locked account is told so wherever it asks, and has everything back when the lock ends.
#[tokio::test]
async fn a_locked_account_can_do_nothing_and_loses_nothing() {
    let server = Server::shared().await;
    let admin = server.admin().await;
    let [alice, bob] = server.users(["alice", "bob"]).await;
    DeviceKeys::new(&alice).upload(&alice, 3, true).await;
    let mut body = password_login(&alice);
    body["refresh_token"] = json!(true);
    let refreshable = alice.post("/login", body).token(None).await.ok();
    let refresh = json!({"refresh_token": refreshable["refresh_token"]});
    let endpoints = endpoints::of(&alice).await;

    admin.lock(&alice, true).await;
    let of_encryption = endpoints.iter().map(|endpoint| endpoint.call(&alice));
    let others = others(&alice).into_iter().map(|(method, path)| alice.call(method, path).json(json!({})));
    let without_a_token = [("/login", password_login(&alice)), ("/refresh", refresh.clone())];
    let without_a_token = without_a_token.into_iter().map(|(path, body)| alice.post(path, body).token(None));
    for call in of_encryption.chain(others).chain(without_a_token) {
        assert_eq!(call.await.error(401, "M_USER_LOCKED")["soft_logout"], true);
    }
    // Others still see the keys, and may claim them for what is to be read when the lock ends.
    assert!(device_keys(&bob, &alice).await.is_object());
    assert!(claim(&bob, &alice).await.is_object());

    admin.lock(&alice, false).await;
    assert_eq!(alice.get("/account/whoami").await.ok()["device_id"], alice.device_id());
    assert_eq!(count(&alice).await, 2);
    assert!(device_keys(&bob, &alice).await.is_object());
    let refreshed = alice.post("/refresh", refresh).token(None).await.ok();
    alice.with_token(refreshed["access_token"].as_str().unwrap()).get("/account/whoami").await.ok();
}

/// GEN-15: logging out is what a locked account can do.
#[tokio::test]
async fn a_locked_account_can_log_out() {
    let server = Server::shared().await;
    let admin = server.admin().await;
    let alice = server.user("alice").await;
    let [phone, tablet, laptop] =
        [alice.login("PHONE").await, alice.login("TABLET").await, alice.login("LAPTOP").await];
    admin.lock(&alice, true).await;
    phone.post("/logout", json!({})).await.ok();
    phone.get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
    tablet.get("/account/whoami").await.error(401, "M_USER_LOCKED");
    tablet.post("/logout/all", json!({})).await.ok();
    laptop.get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
    admin.lock(&alice, false).await;
    laptop.get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
}

/// GEN-15: a sync that waits for news is answered when the account is locked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_ends_a_sync_that_waits() {
    let server = Server::shared().await;
    let admin = server.admin().await;
    let alice = server.user("alice").await;
    let mut sync = alice.syncing();
    sync.now().await;
    sync.now().await;
    let wait = alice.get("/sync").query("since", sync.token()).query("timeout", 300_000).within(deadline());
    let waiting = tokio::spawn(async move { wait.await });
    // It is on its way before these are answered.
    for _ in 0..20 {
        alice.get("/account/whoami").await.ok();
    }
    assert!(!waiting.is_finished());
    admin.lock(&alice, true).await;
    let error = waiting.await.unwrap().error(401, "M_USER_LOCKED");
    assert_eq!(error["soft_logout"], true);
}

/// GEN-15: so is a sliding sync.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_ends_a_sliding_sync_that_waits() {
    let server = Server::shared().await;
    let admin = server.admin().await;
    let alice = server.user("alice").await;
    let mut sync = alice.sliding(json!({"lists": {"all": {"ranges": [[0, 9]], "timeline_limit": 1}}}));
    sync.now().await;
    sync.now().await;
    let waiting = tokio::spawn(async move { sync.ask(Duration::from_secs(300)).await });
    // It is on its way before these are answered.
    for _ in 0..20 {
        alice.get("/account/whoami").await.ok();
    }
    assert!(!waiting.is_finished());
    admin.lock(&alice, true).await;
    let answer = within("the lock is told", deadline(), waiting).await.unwrap();
    assert_eq!(answer.error(401, "M_USER_LOCKED")["soft_logout"], true);
}

/// GEN-16: a suspended account goes on reading, verifying and saving its keys.
#[tokio::test]
async fn a_suspended_account_keeps_its_encryption_going() {
    let server = Server::shared().await;
    let admin = server.admin().await;
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    let invited = bob.create_room(json!({"invite": [alice.user_id()]})).await;
    let mut sync = alice.syncing();
    sync.now().await;
    admin.suspend(&alice, true).await;

    for endpoint in endpoints::of(&alice).await {
        let answer = endpoint.call(&alice).await;
        let asks = answer.status == 401 && answer.json()["flows"].is_array();
        // There is no backup of that version.
        assert!(answer.status == 200 || asks || answer.errcode() == "M_NOT_FOUND", "{answer}");
    }
    // Verifying a new device of one's own.
    let mut keys = DeviceKeys::new(&alice);
    keys.upload(&alice, 2, true).await;
    let identity = CrossSigning::new(alice.user_id());
    alice.post("/keys/device_signing/upload", identity.upload()).with_password().await.ok();
    let signed = json!({alice.user_id(): {alice.device_id(): identity.sign_device(&keys.signed())}});
    assert_eq!(alice.post("/keys/signatures/upload", signed).await.ok()["failures"], json!({}));
    let phone = alice.login("PHONE").await;
    phone.send_to_device("m.key.verification.request", json!({alice.user_id(): {"*": {}}})).await;
    sync.until_to_device("m.key.verification.request").await;
    // The backup.
    let version = json!({"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": {"public_key": "abc"}});
    let version = alice.post("/room_keys/version", version).await.ok()["version"].as_str().unwrap().to_owned();
    let key = json!({"first_message_index": 0, "forwarded_count": 0, "is_verified": true, "session_data": {}});
    let path = at!("/room_keys/keys/{}/session", room);
    alice.put(&path, key.clone()).query("version", &version).await.ok();
    assert_eq!(phone.get(&path).query("version", &version).await.ok(), key);
    // Secret storage is account data.
    let path = at!("/user/{}/account_data/m.secret_storage.default_key", alice.user_id());
    alice.put(&path, json!({"key": "abc"})).await.ok();
    // Messages.
    bob.send_text(&room, "are you there?").await;
    let said = |sync: &Value| timeline(sync, &room).into_iter().find(|event| event["content"]["body"].is_string());
    sync.until("the message", said).await;
    alice.get(at!("/rooms/{}/messages", room)).query("dir", "b").await.ok();
    // Leaving, and saying no.
    alice.leave(&room).await;
    alice.leave(&invited).await;
    // Devices: by a token from this one, and their end.
    alice.post("/_matrix/client/v1/login/get_token", json!({})).with_password().await.ok();
    alice.delete("/devices/PHONE").with_password().await.ok();
    phone.get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
    alice.login("TABLET").await.logout().await;
    alice.post("/account/deactivate", json!({})).with_password().await.ok();
}

/// GEN-16: a suspended account is not heard.
#[tokio::test]
async fn a_suspended_account_cannot_reach_others() {
    let server = Server::shared().await;
    let admin = server.admin().await;
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let room = alice.create_room(json!({"preset": "public_chat"})).await;
    bob.join(&room).await;
    let (own, other) = (alice.send_text(&room, "mine").await, bob.send_text(&room, "yours").await);
    let own_too = alice.send_text(&room, "mine too").await;
    let invited = bob.create_room(json!({"invite": [alice.user_id()]})).await;
    let public = bob.create_room(json!({"preset": "public_chat"})).await;
    admin.suspend(&alice, true).await;

    let text = json!({"msgtype": "m.text", "body": "x"});
    for call in [
        alice.put(at!("/rooms/{}/send/m.room.message/1", room), text.clone()),
        alice.put(at!("/rooms/{}/send/m.room.encrypted/2", room), json!({"algorithm": "x"})),
        alice.put(at!("/rooms/{}/state/m.room.topic", room), json!({"topic": "x"})),
        alice.put(at!("/rooms/{}/redact/{}/3", room, other), json!({})),
        alice.put(at!("/rooms/{}/send/m.room.redaction/4", room), json!({"redacts": other})),
        alice.post(at!("/rooms/{}/invite", room), json!({"user_id": bob.user_id()})),
        alice.post(at!("/rooms/{}/join", invited), json!({})),
        alice.post(at!("/join/{}", public), json!({})),
        alice.post(at!("/knock/{}", public), json!({})),
        alice.post("/createRoom", json!({})),
        alice.put(at!("/profile/{}/displayname", alice.user_id()), json!({"displayname": "x"})),
        alice.call(Method::POST, "/_matrix/media/v3/upload").bytes("x", "text/plain"),
    ] {
        call.await.error(403, "M_USER_SUSPENDED");
    }
    // What it said itself it may take back.
    alice.put(at!("/rooms/{}/redact/{}/5", room, own), json!({})).await.ok();
    alice.put(at!("/rooms/{}/send/m.room.redaction/6", room), json!({"redacts": own_too})).await.ok();
    admin.suspend(&alice, false).await;
    alice.put(at!("/rooms/{}/send/m.room.message/7", room), text).await.ok();
}

/// GEN-17, GEN-18: guests use what encryption needs, and nothing that needs an account to keep.
#[tokio::test]
async fn guests_have_devices_and_no_identity() {
    let server = Server::shared().await;
    let (alice, guest) = (server.user("alice").await, server.guest().await);
    let token = guest.sync(None).await["next_batch"].as_str().unwrap().to_owned();
    for endpoint in endpoints::all(&guest, &token) {
        let answer = endpoint.call(&guest).await;
        if endpoint.guests {
            answer.ok();
        } else {
            answer.error(403, "M_GUEST_ACCESS_FORBIDDEN");
        }
    }

    DeviceKeys::new(&guest).upload(&guest, 2, true).await;
    assert!(device_keys(&alice, &guest).await.is_object());
    assert!(claim(&alice, &guest).await.is_object());
    DeviceKeys::new(&alice).upload(&alice, 1, false).await;
    assert!(device_keys(&guest, &alice).await.is_object());
    assert!(claim(&guest, &alice).await.is_object());

    let mut sync = guest.syncing();
    sync.now().await;
    alice.send_to_device("org.example", json!({guest.user_id(): {guest.device_id(): {"n": 1}}})).await;
    sync.until_to_device("org.example").await;
    guest.send_to_device("org.example", json!({alice.user_id(): {"*": {"n": 2}}})).await;
    assert_eq!(to_device(&alice.sync(None).await).len(), 1);

    let path = at!("/devices/{}", guest.device_id());
    guest.put(&path, json!({"display_name": "A guest's"})).await.ok();
    assert_eq!(guest.get(&path).await.ok()["display_name"], "A guest's");
    assert_eq!(guest.get("/devices").await.ok()["devices"].as_array().map(Vec::len), Some(1));
    let whoami = guest.get("/account/whoami").await.ok();
    assert_eq!((&whoami["user_id"], &whoami["is_guest"]), (&json!(guest.user_id()), &json!(true)));

    let upload = alice.call(Method::POST, "/_matrix/media/v3/upload").bytes("encrypted", "application/octet-stream");
    let uri = upload.await.ok()["content_uri"].as_str().unwrap().to_owned();
    let path = format!("/_matrix/client/v1/media/download/{}", uri.strip_prefix("mxc://").unwrap());
    let download = guest.get(&path).await;
    assert_eq!((download.status, download.text().as_str()), (200, "encrypted"));
}
