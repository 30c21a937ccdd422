//! Devices, tokens and user-interactive authentication.

use serde_json::{Value, json};

use crate::harness::{Client, Server, keys::DeviceKeys};

/// DEV-5, DEV-10, UIA-1, UIA-2, UIA-5: a deletion asks for the password and takes everything along.
#[tokio::test]
async fn a_device_is_deleted_with_the_password_only() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let phone = alice.login("PHONE").await;
    DeviceKeys::new(&phone).upload(&phone, 2, true).await;
    let refused = alice.call(http::Method::DELETE, "/devices/PHONE").json(json!({})).await;
    assert_eq!(refused.status, 401);
    let session = refused.json()["session"].clone();
    assert_eq!(refused.json()["flows"], json!([{"stages": ["m.login.password"]}]));
    let auth = |password: &str| {
        json!({"auth": {"type": "m.login.password", "session": session, "password": password,
            "identifier": {"type": "m.id.user", "user": alice.user_id()}}})
    };
    let wrong = alice.call(http::Method::DELETE, "/devices/PHONE").json(auth("not the password")).await;
    assert_eq!((wrong.status, wrong.errcode().as_str()), (401, "M_FORBIDDEN"));
    phone.get("/account/whoami").await.ok();
    alice.call(http::Method::DELETE, "/devices/PHONE").json(auth(alice.password())).await.ok();
    phone.get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
    alice.get("/devices/PHONE").await.error(404, "M_NOT_FOUND");
    let answer = bob.post("/keys/query", json!({"device_keys": {alice.user_id(): []}})).await.ok();
    assert_eq!(answer["device_keys"][alice.user_id()]["PHONE"], Value::Null);
    let claim = json!({"one_time_keys": {alice.user_id(): {"PHONE": "signed_curve25519"}}});
    assert_eq!(bob.post("/keys/claim", claim).await.ok()["one_time_keys"], json!({}));
}

/// DEV-15, AUTH-2: a login to a known device ends its old token and keeps its keys.
#[tokio::test]
async fn a_known_device_keeps_its_keys_over_a_login() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let old = alice.login("PHONE").await;
    DeviceKeys::new(&old).upload(&old, 4, false).await;
    let new = alice.login("PHONE").await;
    old.get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
    let counts = new.post("/keys/upload", json!({})).await.ok();
    assert_eq!(counts["one_time_key_counts"]["signed_curve25519"], 4);
}

/// AUTH-4 to AUTH-7: a lost answer to a refresh can be asked for again, until the new token is used.
#[tokio::test]
async fn a_refresh_can_be_repeated_until_it_is_used() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let login = json!({"type": "m.login.password", "identifier": {"type": "m.id.user", "user": alice.user_id()},
        "password": alice.password(), "device_id": "PHONE", "refresh_token": true});
    let first = alice.post("/login", login).token(None).await.ok();
    let refresh = |token: &Value| alice.post("/refresh", json!({"refresh_token": token})).token(None);
    refresh(&first["refresh_token"]).await.ok();
    let second = refresh(&first["refresh_token"]).await.ok();
    assert_ne!(first["access_token"], second["access_token"]);
    let phone: Client = alice.with_token(second["access_token"].as_str().unwrap());
    assert_eq!(phone.get("/account/whoami").await.ok()["device_id"], "PHONE");
    refresh(&first["refresh_token"]).await.error(401, "M_UNKNOWN_TOKEN");
    alice
        .with_token(first["access_token"].as_str().unwrap())
        .get("/account/whoami")
        .await
        .error(401, "M_UNKNOWN_TOKEN");
}

/// DEV-17: a new password logs the other devices out.
#[tokio::test]
async fn a_new_password_logs_the_others_out() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let phone = alice.login("PHONE").await;
    alice.post("/account/password", json!({"new_password": "another-good-one-9"})).with_password().await.ok();
    alice.get("/account/whoami").await.ok();
    phone.get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
}

/// UIA-7: a session cannot be moved to another request.
#[tokio::test]
async fn an_authentication_is_for_one_request() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    alice.login("ONE").await;
    alice.login("TWO").await;
    let refused = alice.call(http::Method::DELETE, "/devices/ONE").json(json!({})).await;
    let auth = json!({"auth": {"type": "m.login.password", "session": refused.json()["session"],
        "password": alice.password(), "identifier": {"type": "m.id.user", "user": alice.user_id()}}});
    let moved = alice.call(http::Method::DELETE, "/devices/TWO").json(auth).await;
    assert!(matches!(moved.status, 401 | 403), "{}", moved.text());
    alice.get("/devices/TWO").await.ok();
}
