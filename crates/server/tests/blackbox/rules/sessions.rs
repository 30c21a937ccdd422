//! Access and refresh tokens, soft logout, login tokens.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use crate::harness::{
    Call, Client, Clock, Server,
    keys::{CrossSigning, DeviceKeys},
    to_device, unique,
};

const GET_TOKEN: &str = "/_matrix/client/v1/login/get_token";
const LIFETIME: Duration = Duration::from_secs(60);

/// A server whose access tokens live for a minute of its clock.
async fn short_lived() -> Option<(Server, Arc<Clock>)> {
    let clock = Arc::new(Clock::default());
    let environment = clock.clone();
    let server = Server::with_settings(move |builder| {
        builder.without_limits().environment(environment).access_token_lifetime(LIFETIME)
    });
    Some((server.await?, clock))
}

fn refresh(by: &Client, token: &Value) -> Call {
    by.post("/refresh", json!({"refresh_token": token})).token(None)
}

/// The device with the access token of an answer.
fn with(device: &Client, answer: &Value) -> Client {
    device.with_token(answer["access_token"].as_str().expect("an access token"))
}

/// The device is gone, or the client may come back to it.
async fn told(device: &Client, soft_logout: bool) {
    let error = device.get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
    assert_eq!(error["soft_logout"], soft_logout, "{error}");
}

/// AUTH-1, AUTH-2: who comes with an expired token is told to come back, and finds the device as it was.
#[tokio::test]
async fn an_expired_token_leaves_the_device_as_it_is() {
    let Some((server, clock)) = short_lived().await else { return };
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let (phone, first) = alice.login_with(json!({"device_id": "PHONE", "refresh_token": true})).await;
    assert_eq!(first["expires_in_ms"], 60_000);
    let mut keys = DeviceKeys::new(&phone);
    keys.upload(&phone, 4, true).await;
    bob.send_to_device("io.example.waits", json!({alice.user_id(): {"PHONE": {}}})).await;
    clock.forward(LIFETIME / 2);
    phone.get("/account/whoami").await.ok();
    clock.forward(LIFETIME / 2);
    told(&phone, true).await;
    for call in [phone.post("/keys/upload", json!({})), phone.get("/sync"), phone.post("/logout", json!({}))] {
        assert_eq!(call.await.error(401, "M_UNKNOWN_TOKEN")["soft_logout"], true);
    }
    let query = json!({"device_keys": {alice.user_id(): ["PHONE"]}});
    let seen = bob.post("/keys/query", query).await.ok()["device_keys"][alice.user_id()]["PHONE"].clone();
    assert_eq!(seen["keys"]["ed25519:PHONE"], keys.ed25519());

    // Back by the password.
    let (back, _) = alice.login_with(json!({"device_id": "PHONE"})).await;
    let sync = back.sync(None).await;
    assert_eq!(to_device(&sync).len(), 1, "{sync}");
    assert_eq!(sync["device_one_time_keys_count"]["signed_curve25519"], 4, "{sync}");
    assert_eq!(sync["device_unused_fallback_key_types"], json!(["signed_curve25519"]));
    back.logout().await;
    told(&phone, false).await;
}

/// AUTH-1: no matter how a token came to its end, its client is not told to forget its keys while the device is there.
#[tokio::test]
async fn a_client_that_was_left_behind_may_come_back() {
    let Some((server, clock)) = short_lived().await else { return };
    let alice = server.user("alice").await;
    let (phone, first) = alice.login_with(json!({"device_id": "PHONE", "refresh_token": true})).await;
    let second = refresh(&alice, &first["refresh_token"]).await.ok();
    with(&phone, &second).get("/account/whoami").await.ok();
    // Replaced, and then expired too.
    told(&phone, true).await;
    let error = refresh(&alice, &first["refresh_token"]).await.error(401, "M_UNKNOWN_TOKEN");
    assert_eq!(error["soft_logout"], true, "{error}");
    clock.forward(LIFETIME * 2);
    told(&phone, true).await;
    told(&with(&phone, &second), true).await;
    // Another login to the device.
    let (again, _) = alice.login_with(json!({"device_id": "PHONE"})).await;
    told(&with(&phone, &second), true).await;
    // The end of the device is the end for all of them, also where its id is used again.
    again.logout().await;
    alice.login("PHONE").await;
    for gone in [&phone, &with(&phone, &second), &again] {
        told(gone, false).await;
    }
    let error = refresh(&alice, &first["refresh_token"]).await.error(401, "M_UNKNOWN_TOKEN");
    assert_eq!(error["soft_logout"], false);
    told(&phone.with_token("never-was"), false).await;
}

/// AUTH-3: refresh tokens are for who asks for them; all others keep one token that does not end.
#[tokio::test]
async fn refresh_tokens_are_given_when_asked_for() {
    let Some((server, clock)) = short_lived().await else { return };
    let alice = server.user("alice").await;
    for (asked, expected) in [(json!({"refresh_token": true}), true), (json!({"refresh_token": false}), false)] {
        let (_, answer) = alice.login_with(asked.clone()).await;
        assert_eq!(answer["refresh_token"].is_string(), expected, "{answer}");
        assert_eq!(answer["expires_in_ms"].is_u64(), expected, "{answer}");

        let mut body =
            json!({"username": format!("u{}", unique()), "password": "x", "auth": {"type": "m.login.dummy"}});
        body.as_object_mut().unwrap().extend(asked.as_object().unwrap().clone());
        let answer = server.anonymous().post("/register", body).await.ok();
        assert_eq!(answer["refresh_token"].is_string(), expected, "{answer}");
        assert_eq!(answer["expires_in_ms"].is_u64(), expected, "{answer}");
        if expected {
            refresh(&alice, &answer["refresh_token"]).await.ok();
        }
    }
    let (plain, answer) = alice.login_with(json!({})).await;
    assert!(answer.get("refresh_token").is_none() && answer.get("expires_in_ms").is_none(), "{answer}");
    clock.forward(Duration::from_secs(400 * 24 * 3600));
    plain.get("/account/whoami").await.ok();
}

/// AUTH-4, AUTH-7: a refresh needs nothing but its token, also when the access token has ended, and stays with its device.
#[tokio::test]
async fn a_refresh_stays_with_its_device() {
    let Some((server, clock)) = short_lived().await else { return };
    let alice = server.user("alice").await;
    let (phone, mut last) = alice.login_with(json!({"device_id": "PHONE", "refresh_token": true})).await;
    DeviceKeys::new(&phone).upload(&phone, 2, false).await;
    for path in ["/refresh", "/_matrix/client/v1/refresh", "/refresh"] {
        clock.forward(LIFETIME);
        told(&with(&phone, &last), true).await;
        let body = json!({"refresh_token": last["refresh_token"]});
        let next = alice.post(path, body).token(None).await.ok();
        assert_eq!(next["expires_in_ms"], 60_000);
        assert_ne!((&next["access_token"], &next["refresh_token"]), (&last["access_token"], &last["refresh_token"]));
        let device = with(&phone, &next);
        let whoami = device.get("/account/whoami").await.ok();
        assert_eq!((&whoami["user_id"], &whoami["device_id"]), (&json!(alice.user_id()), &json!("PHONE")));
        let counts = device.post("/keys/upload", json!({})).await.ok()["one_time_key_counts"].clone();
        assert_eq!(counts["signed_curve25519"], 2);
        last = next;
    }
    assert_eq!(alice.get("/devices").await.ok()["devices"].as_array().unwrap().len(), 2);
    // An access token is no refresh token, and the other way round.
    refresh(&alice, &last["access_token"]).await.error(401, "M_UNKNOWN_TOKEN");
    phone
        .with_token(last["refresh_token"].as_str().unwrap())
        .get("/account/whoami")
        .await
        .error(401, "M_UNKNOWN_TOKEN");
}

/// AUTH-5, AUTH-6: a lost answer to a refresh can be asked for again, until one of the new tokens is used.
#[tokio::test]
async fn a_refresh_can_be_repeated_until_it_is_used() {
    let alice = Server::shared().await.user("alice").await;
    for used in ["access_token", "refresh_token"] {
        let (phone, first) = alice.login_with(json!({"device_id": "PHONE", "refresh_token": true})).await;
        let lost = refresh(&alice, &first["refresh_token"]).await.ok();
        phone.get("/account/whoami").await.ok();
        let second = refresh(&alice, &first["refresh_token"]).await.ok();
        assert_ne!(lost["access_token"], second["access_token"]);
        phone.get("/account/whoami").await.ok();

        let living = if used == "access_token" {
            let device = with(&phone, &second);
            device.get("/account/whoami").await.ok();
            device
        } else {
            let third = refresh(&alice, &second["refresh_token"]).await.ok();
            with(&phone, &third)
        };
        refresh(&alice, &first["refresh_token"]).await.error(401, "M_UNKNOWN_TOKEN");
        refresh(&alice, &lost["refresh_token"]).await.error(401, "M_UNKNOWN_TOKEN");
        assert_eq!(living.get("/account/whoami").await.ok()["device_id"], "PHONE");
        for dead in [&first, &lost] {
            with(&phone, dead).get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
        }
    }
    for bad in [json!("no-such-token"), json!("")] {
        refresh(&alice, &bad).await.error(401, "M_UNKNOWN_TOKEN");
    }
    alice.post("/refresh", json!({})).token(None).await.error(400, "M_MISSING_PARAM");
}

/// GEN-20, AUTH-7: what a device did is remembered over a refresh.
#[tokio::test]
async fn transactions_are_remembered_over_a_refresh() {
    let alice = Server::shared().await.user("alice").await;
    let room = alice.encrypted_room(&[]).await;
    let (phone, first) = alice.login_with(json!({"device_id": "PHONE", "refresh_token": true})).await;
    let path = crate::harness::at!("/rooms/{}/send/m.room.encrypted/same", room);
    let event = phone.put(&path, json!({})).await.ok();
    let second = refresh(&alice, &first["refresh_token"]).await.ok();
    assert_eq!(with(&phone, &second).put(&path, json!({})).await.ok(), event);
}

/// DEV-15, AUTH-2: a login to a known device ends its old tokens and keeps its name, keys and inbox.
#[tokio::test]
async fn a_known_device_is_kept_over_a_login() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let login = json!({"device_id": "PHONE", "initial_device_display_name": "first", "refresh_token": true});
    let (old, answer) = alice.login_with(login).await;
    let mut keys = DeviceKeys::new(&old);
    keys.upload(&old, 4, true).await;
    bob.send_to_device("io.example.waits", json!({alice.user_id(): {"PHONE": {}}})).await;
    let login = json!({"device_id": "PHONE", "initial_device_display_name": "second"});
    let (new, _) = alice.login_with(login).await;

    old.get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
    refresh(&alice, &answer["refresh_token"]).await.error(401, "M_UNKNOWN_TOKEN");
    assert_eq!(new.get("/devices/PHONE").await.ok()["display_name"], "first");
    let sync = new.sync(None).await;
    assert_eq!(to_device(&sync).len(), 1);
    assert_eq!(sync["device_one_time_keys_count"]["signed_curve25519"], 4);
    assert_eq!(sync["device_unused_fallback_key_types"], json!(["signed_curve25519"]));
    let query = json!({"device_keys": {alice.user_id(): ["PHONE"]}});
    let seen = bob.post("/keys/query", query).await.ok()["device_keys"][alice.user_id()]["PHONE"].clone();
    assert_eq!(seen["keys"]["ed25519:PHONE"], keys.ed25519());
    alice.get("/account/whoami").await.ok();
}

/// AUTH-8, AUTH-9: the legacy login is on, and there is no OAuth beside it: metadata is where no client finds any.
#[tokio::test]
async fn the_way_to_log_in_is_the_legacy_one() {
    let server = Server::shared().await;
    let nobody = server.anonymous();
    for path in ["/_matrix/client/v1/auth_metadata", "/_matrix/client/unstable/org.matrix.msc2965/auth_metadata"] {
        nobody.get(path).await.error(404, "M_UNRECOGNIZED");
    }
    let flows = nobody.get("/login").await.ok()["flows"].as_array().unwrap().clone();
    let kinds: Vec<_> = flows.iter().map(|flow| flow["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["m.login.password", "m.login.token"]);
    assert_eq!(flows[1]["get_login_token"], true);
    server.user("alice").await.login("PHONE").await;
}

/// AUTH-16: a login token asks for the password each time, and logs in once.
#[tokio::test]
async fn a_login_token_works_once() {
    let alice = Server::shared().await.user("alice").await;
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let refused = alice.post(GET_TOKEN, json!({})).await;
        assert_eq!(refused.status, 401, "{refused}");
        assert!(refused.json()["flows"].is_array(), "{refused}");
        let answer = alice.post(GET_TOKEN, json!({})).with_password().await.ok();
        assert_eq!(answer["expires_in_ms"], 120_000);
        tokens.push(answer["login_token"].clone());
    }
    assert_ne!(tokens[0], tokens[1]);
    alice.post(GET_TOKEN, json!({})).token(None).await.error(401, "M_MISSING_TOKEN");
    for token in &tokens {
        let login = json!({"type": "m.login.token", "token": token});
        let answer = alice.post("/login", login.clone()).token(None).await.ok();
        assert_eq!(answer["user_id"], alice.user_id());
        assert_ne!(answer["device_id"], alice.device_id());
        with(&alice, &answer).get("/account/whoami").await.ok();
        alice.post("/login", login).token(None).await.error(403, "M_FORBIDDEN");
    }
    let login = json!({"type": "m.login.token", "token": "no-such-token"});
    alice.post("/login", login).token(None).await.error(403, "M_FORBIDDEN");
}

/// AUTH-16: of several logins with one login token at the same time one succeeds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_token_works_once_also_at_the_same_time() {
    let alice = Server::shared().await.user("alice").await;
    let token = alice.post(GET_TOKEN, json!({})).with_password().await.ok()["login_token"].clone();
    let logins = (0..8).map(|_| {
        let (alice, login) = (alice.clone(), json!({"type": "m.login.token", "token": token}));
        tokio::spawn(async move { alice.post("/login", login).token(None).await })
    });
    let mut statuses = Vec::new();
    for login in logins.collect::<Vec<_>>() {
        statuses.push(login.await.unwrap().status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 403, 403, 403, 403, 403, 403, 403]);
}

/// AUTH-16: a login token ends by itself, and is not spent on a login that is refused for another reason.
#[tokio::test]
async fn a_login_token_ends_by_itself_and_by_a_login_only() {
    let Some((server, clock)) = short_lived().await else { return };
    let alice = server.user("alice").await;
    let identity = CrossSigning::new(alice.user_id());
    alice.post("/keys/device_signing/upload", identity.upload()).await.ok();
    let get = async || alice.post(GET_TOKEN, json!({})).with_password().await.ok()["login_token"].clone();
    let token = get().await;
    let key = identity.master.public_key().to_base64();
    let login = |token: &Value, device: &str| {
        alice.post("/login", json!({"type": "m.login.token", "token": token, "device_id": device})).token(None)
    };
    login(&token, &key).await.error(403, "M_FORBIDDEN");
    login(&token, &"x".repeat(600)).await.error(400, "M_INVALID_PARAM");
    clock.forward(Duration::from_secs(60));
    login(&token, "GOOD").await.ok();
    let token = get().await;
    clock.forward(Duration::from_secs(121));
    login(&token, "LATE").await.error(403, "M_FORBIDDEN");
}
