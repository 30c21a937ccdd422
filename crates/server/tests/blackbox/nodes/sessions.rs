//! Whoever logs in, does so at all nodes.

use std::time::Duration;

use serde_json::json;

use super::support::Plan;
use crate::harness::{at, unique};

fn password_login(user: &str, password: &str) -> serde_json::Value {
    json!({"type": "m.login.password", "identifier": {"type": "m.id.user", "user": user}, "password": password})
}

/// What begins at one node goes on at another: user-interactive authentication, login tokens, OpenID tokens, refresh
/// tokens; and what ended at one node has ended at all.
#[tokio::test]
async fn sessions_begun_at_one_node_go_on_at_another() {
    let Some(nodes) = Plan::deaf(2).start().await else { return };
    let (a, b) = nodes.two();
    let alice = a.user("alice").await;

    let path = "/_matrix/client/v1/login/get_token";
    let challenge = alice.post(path, json!({})).await;
    assert_eq!(challenge.status, 401, "{challenge}");
    let auth = json!({
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": alice.user_id()},
        "password": alice.password(),
        "session": challenge.json()["session"],
    });
    let token = alice.via(b).post(path, json!({ "auth": auth.clone() })).await.ok()["login_token"].clone();
    let spent = alice.post(path, json!({ "auth": auth })).await;
    assert_eq!(spent.status, 401, "a session authorises one request: {spent}");
    let login = json!({"type": "m.login.token", "token": token});
    a.anonymous().post("/login", login.clone()).await.ok();
    b.anonymous().post("/login", login).await.error(403, "M_FORBIDDEN");

    let path = at!("/user/{}/openid/request_token", alice.user_id());
    let token = alice.post(path, json!({})).await.ok()["access_token"].as_str().unwrap().to_owned();
    let whose = b.anonymous().get("/_matrix/federation/v1/openid/userinfo").query("access_token", token).await.ok();
    assert_eq!(whose["sub"], alice.user_id());

    let mut body = password_login(alice.user_id(), alice.password());
    body["refresh_token"] = true.into();
    let first = a.anonymous().post("/login", body).await.ok();
    let refresh = |answer: &serde_json::Value| json!({"refresh_token": answer["refresh_token"]});
    let second = b.anonymous().post("/refresh", refresh(&first)).await.ok();
    let device = alice.with_token(second["access_token"].as_str().unwrap());
    device.get("/account/whoami").await.ok();
    b.anonymous().post("/refresh", refresh(&first)).await.error(401, "M_UNKNOWN_TOKEN");
    let old = alice.with_token(first["access_token"].as_str().unwrap());
    old.via(b).get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
    device.logout().await;
    device.via(b).get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
}

/// A registration in two steps, one at each node.
#[tokio::test]
async fn a_registration_goes_on_at_another_node() {
    let Some(nodes) = Plan::deaf(2).start().await else { return };
    let (a, b) = nodes.two();
    let mut body = json!({"username": format!("u{}", unique()), "password": "secret"});
    let challenge = a.anonymous().post("/register", body.clone()).await;
    assert_eq!(challenge.status, 401, "{challenge}");
    body["auth"] = json!({"type": "m.login.dummy", "session": challenge.json()["session"]});
    b.anonymous().post("/register", body.clone()).await.ok();
    a.anonymous().post("/register", body).await.error(400, "M_USER_IN_USE");
}

/// Wrong passwords are counted for the account, at whichever node they are tried.
#[tokio::test]
async fn wrong_passwords_are_counted_over_all_nodes() {
    let Some(nodes) = Plan::nodes(2).with_limits().start().await else { return };
    let (a, b) = nodes.two();
    let [alice, bob] = a.users(["alice", "bob"]).await;
    let wrong = password_login(alice.user_id(), "wrong");
    for number in 0..20 {
        let node = if number % 2 == 0 { a } else { b };
        node.anonymous().post("/login", wrong.clone()).await.error(403, "M_FORBIDDEN");
    }
    let right = password_login(alice.user_id(), alice.password());
    for node in [a, b] {
        let refused = node.anonymous().post("/login", right.clone()).await.error(429, "M_LIMIT_EXCEEDED");
        assert!(refused["retry_after_ms"].as_u64().is_some_and(|wait| wait > 60_000), "{refused}");
        node.anonymous().post("/login", password_login(bob.user_id(), bob.password())).await.ok();
        alice.via(node).get("/account/whoami").await.ok();
    }
    nodes.clock().forward(Duration::from_secs(5 * 60));
    b.anonymous().post("/login", right).await.ok();
}
