//! What is in neither the store nor the log: whatever lets somebody in.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::harness::{Client, Engine, Place, Server, Special, at, keys::DeviceKeys, unique};

/// Secrets with what they are.
#[derive(Default)]
struct Secrets(Vec<(String, String)>);

impl Secrets {
    fn note(&mut self, what: &str, secret: impl Into<String>) -> String {
        let secret = secret.into();
        assert!(secret.len() >= 8, "{what} is too short to be looked for");
        self.0.push((what.to_owned(), secret.clone()));
        secret
    }

    /// Notes the member of an answer.
    fn of(&mut self, answer: &Value, member: &str) -> String {
        let secret = answer[member].as_str().unwrap_or_else(|| panic!("{member} is not in {answer}"));
        self.note(member, secret)
    }

    /// Which are in these bytes.
    fn found_in(&self, bytes: &[u8]) -> Vec<&str> {
        self.0.iter().filter(|(_, secret)| contains(bytes, secret)).map(|(what, _)| what.as_str()).collect()
    }
}

/// Whether a text is there, plainly or in hexadecimal digits.
fn contains(bytes: &[u8], text: &str) -> bool {
    let in_hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    has(text.as_bytes()) || has(in_hex.as_bytes())
}

/// What is done in a day, and more mistakes than are made in one.
async fn a_day(server: &Server, secrets: &mut Secrets, token: &str) -> Client {
    let anonymous = server.anonymous();
    let password = secrets.note("password", format!("hunter-{}", unique()));
    let auth = json!({"type": "m.login.registration_token", "token": token});
    let begun = json!({"username": format!("alice-{}", unique()), "password": password});
    let mut body = begun.clone();
    body["auth"] = auth.clone();
    body["auth"]["token"] = json!(secrets.note("wrong registration token", format!("wrong-{}", unique())));
    assert_eq!(anonymous.post("/register", body).await.status, 401);
    let challenge = anonymous.post("/register", begun.clone()).await.json();
    let mut body = begun.clone();
    body["auth"] = auth;
    body["auth"]["session"] = challenge["session"].clone();
    let challenge = anonymous.post("/register", body).await.json();
    let mut body = begun;
    body["auth"] = json!({"type": "m.login.dummy", "session": challenge["session"]});
    let answer = anonymous.post("/register", body).await.ok();
    secrets.of(&answer, "access_token");
    let alice = anonymous.logged_in(&answer, password.clone());
    let valid = anonymous.get("/_matrix/client/v1/register/m.login.registration_token/validity");
    assert_eq!(valid.query("token", token).await.ok()["valid"], true);

    // Devices come and go.
    let (phone, answer) = alice.login_with(json!({"refresh_token": true})).await;
    let access = secrets.of(&answer, "access_token");
    let refresh = secrets.of(&answer, "refresh_token");
    let answer = anonymous.post("/refresh", json!({"refresh_token": refresh})).await.ok();
    secrets.of(&answer, "access_token");
    secrets.of(&answer, "refresh_token");
    let phone = phone.with_token(answer["access_token"].as_str().expect("a token"));
    anonymous.post("/refresh", json!({"refresh_token": refresh})).await;
    phone.with_token(&access).get("/account/whoami").await;
    let wrong = secrets.note("wrong password", format!("hunger-{}", unique()));
    let mut login = alice.password_login();
    login["password"] = json!(wrong);
    anonymous.post("/login", login).await.error(403, "M_FORBIDDEN");
    let answer = alice.post("/_matrix/client/v1/login/get_token", json!({})).with_password().await.ok();
    let once = secrets.of(&answer, "login_token");
    let login = json!({"type": "m.login.token", "token": once});
    secrets.of(&anonymous.post("/login", login.clone()).await.ok(), "access_token");
    anonymous.post("/login", login).await.error(403, "M_FORBIDDEN");
    let answer = alice.post(at!("/user/{}/openid/request_token", alice.user_id()), json!({})).await.ok();
    let openid = secrets.of(&answer, "access_token");
    anonymous.get("/_matrix/federation/v1/openid/userinfo").query("access_token", openid).await.ok();
    let admin = server.admin().await;
    secrets.note("access token of an administrator", admin.token().expect("a token"));
    secrets.note("password of an administrator", admin.password());

    // Tokens where they are seen most easily, and requests that are wrong around a secret.
    alice.get("/account/whoami").token(None).query("access_token", alice.token().expect("a token")).await.ok();
    alice.get(at!("/nowhere/{}", access)).query("access_token", &access).await.error(404, "M_UNRECOGNIZED");
    alice.post(at!("/rooms/{}/join", access), json!({})).await;
    for body in
        [json!({"password": [password]}), json!({"auth": {"type": password, "password": password}}), json!(password)]
    {
        for path in ["/login", "/register", "/account/password", "/delete_devices", "/refresh"] {
            alice.post(path, body.clone()).await;
        }
    }
    alice.call(Method::POST, "/login").bytes(format!("{{\"password\": \"{password}"), "application/json").await;

    // What all this is for.
    DeviceKeys::new(&alice).upload(&alice, 2, true).await;
    let room = alice.encrypted_room(&[]).await;
    alice.send_text(&room, "good morning").await;
    alice.send_to_device("org.example", json!({alice.user_id(): {"*": {"a": 1}}})).await;
    alice.sync(None).await;
    phone.sync(None).await;
    let new = secrets.note("new password", format!("hunted-{}", unique()));
    alice.post("/account/password", json!({"new_password": new, "logout_devices": false})).with_password().await.ok();
    let alice = alice.with_new_password(&new);
    alice.put(at!("/devices/{}", alice.device_id()), json!({"display_name": "canary of the store"})).await.ok();
    phone.logout().await;
    alice
}

/// Whoever reads the disk or the log, with everything logged, gets in nowhere.
#[tokio::test]
async fn neither_the_store_nor_the_log_has_secrets() {
    let place = Arc::new(crate::harness::in_place(|| Place::new(Engine::chosen())).await);
    let directory = tempdir().expect("a directory");
    let log = directory.path().join("log");
    let mut secrets = Secrets::default();
    let token = secrets.note("registration token", format!("registration-{}", unique()));
    secrets.note("shared secret", crate::harness::shared_secret());
    let special = Special {
        settings: vec![
            ("OLMSTEAD_LOG__FILTER", "trace".to_owned()),
            ("OLMSTEAD_REGISTRATION__MODE", "token".to_owned()),
            ("OLMSTEAD_REGISTRATION__TOKEN", token.clone()),
        ],
        log: Some(log.clone()),
        ..Special::default()
    };
    let Some(server) = Server::special_process(place.clone(), special).await else { return };
    let alice = a_day(&server, &mut secrets, &token).await;
    server.kill().await;

    let log = std::fs::read(&log).expect("the log");
    // Everything was logged, and what is looked for would be found.
    assert!(contains(&log, "TRACE") && contains(&log, "/_matrix/client/v3/login"), "the log is not whole");
    assert_eq!(secrets.found_in(&log), Vec::<&str>::new(), "these secrets are in the log");
    let stored = crate::harness::in_place(move || place.contents()).await;
    assert!(contains(&stored, "canary of the store") && contains(&stored, alice.user_id()), "the store is not whole");
    assert_eq!(secrets.found_in(&stored), Vec::<&str>::new(), "these secrets are in the store");
    assert!(contains(&stored, "$argon2id$"), "passwords are kept as Argon2id hashes");
}
