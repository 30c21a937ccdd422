//! What every endpoint has in common.

use std::{sync::Arc, time::Duration};

use http::Method;
use serde_json::json;

use super::endpoints;
use crate::harness::{Clock, Server, keys::DeviceKeys, unique};

/// GEN-1, GEN-7, GEN-8: whatever goes wrong, the answer is a JSON object with a code and a sentence, and browsers may
/// read it.
#[tokio::test]
async fn every_error_says_what_is_wrong() {
    let server = Server::shared().await;
    let alice = server.user("alice").await;
    let guest = server.guest().await;
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(9 * 1024 * 1024));
    let errors = [
        (alice.get("/no_such_thing"), 404, "M_UNRECOGNIZED"),
        (alice.get("/keys/upload"), 405, "M_UNRECOGNIZED"),
        (alice.get("/sync").token(None), 401, "M_MISSING_TOKEN"),
        (alice.get("/sync").token(Some("nothing")), 401, "M_UNKNOWN_TOKEN"),
        (alice.call(Method::POST, "/keys/upload").bytes("{", "application/json"), 400, "M_NOT_JSON"),
        (alice.post("/keys/upload", json!("text")), 400, "M_BAD_JSON"),
        (alice.post("/keys/query", json!({})), 400, "M_MISSING_PARAM"),
        (alice.get("/sync").query("timeout", "soon"), 400, "M_INVALID_PARAM"),
        (alice.get("/devices/%FF"), 400, "M_INVALID_PARAM"),
        (alice.get("/devices/NONE"), 404, "M_NOT_FOUND"),
        (alice.get("/room_keys/version"), 404, "M_NOT_FOUND"),
        (alice.get("/rooms/!none:localhost/messages").query("dir", "b"), 403, "M_FORBIDDEN"),
        (guest.post("/keys/signatures/upload", json!({})), 403, "M_GUEST_ACCESS_FORBIDDEN"),
        (alice.call(Method::POST, "/keys/upload").bytes(large, "application/json"), 413, "M_TOO_LARGE"),
    ];
    for (call, status, code) in errors {
        let answer = call.header("origin", "https://app.example").await;
        let body = answer.error(status, code);
        assert!(body["error"].as_str().is_some_and(|sentence| !sentence.is_empty()), "{answer}");
        assert_eq!(answer.header("content-type"), "application/json", "{answer}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{answer}");
    }
}

/// GEN-2: a path that is not there and a method that is not there are told apart by the status, whatever API the path is
/// of.
#[tokio::test]
async fn what_is_not_there_is_unrecognized() {
    let alice = Server::shared().await.user("alice").await;
    for path in [
        "/no_such_thing",
        "/keys/upload/",
        "/_matrix/client/v99/sync",
        "/_matrix/client/unstable/org.example.none",
        "/_matrix/media/v3/none",
        "/_matrix/federation/v1/none",
        "/_matrix/key/v2/none",
        "/_matrix/app/v1/transactions/1",
        "/_matrix/nothing",
    ] {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
            alice.call(method, path).await.error(404, "M_UNRECOGNIZED");
        }
    }
    for endpoint in endpoints::of(&alice).await {
        alice.call(Method::PATCH, &endpoint.path).json(json!({})).await.error(405, "M_UNRECOGNIZED");
    }
    alice.get("/keys/query").await.error(405, "M_UNRECOGNIZED");
}

/// GEN-3: no endpoint does anything without a token, with a made-up one, or with one that was logged out.
#[tokio::test]
async fn a_token_is_needed() {
    let alice = Server::shared().await.user("alice").await;
    let gone = alice.another_device().await;
    let endpoints = endpoints::of(&alice).await;
    gone.logout().await;
    for endpoint in endpoints {
        endpoint.call(&alice).token(None).await.error(401, "M_MISSING_TOKEN");
        for token in ["made-up", gone.token().unwrap()] {
            let error = endpoint.call(&alice).token(Some(token)).await.error(401, "M_UNKNOWN_TOKEN");
            assert_ne!(error["soft_logout"], true, "the device is not there any more");
        }
    }
}

/// GEN-3: a token that ended with time is refused too, and the device may go on with new ones.
#[tokio::test]
async fn an_expired_token_is_refused() {
    let clock = Arc::new(Clock::default());
    let environment = Arc::clone(&clock);
    let setting = move |builder: olmstead::ServerBuilder| builder.without_limits().environment(environment);
    let Some(server) = Server::with_settings(setting).await else { return };
    let alice = server.user("alice").await;
    let login = json!({"type": "m.login.password", "identifier": {"type": "m.id.user", "user": alice.user_id()},
        "password": alice.password(), "device_id": "PHONE", "refresh_token": true});
    let answer = alice.post("/login", login).token(None).await.ok();
    let phone = alice.with_token(answer["access_token"].as_str().unwrap());
    phone.post("/keys/upload", json!({})).await.ok();
    clock.forward(Duration::from_millis(answer["expires_in_ms"].as_u64().unwrap()));
    let error = phone.post("/keys/upload", json!({})).await.error(401, "M_UNKNOWN_TOKEN");
    assert_eq!(error["soft_logout"], true);
    let refreshed = phone.post("/refresh", json!({"refresh_token": answer["refresh_token"]})).token(None).await.ok();
    let phone = phone.with_token(refreshed["access_token"].as_str().unwrap());
    assert_eq!(phone.get("/account/whoami").await.ok()["device_id"], "PHONE");
}

/// GEN-4: the token may be in the header, whatever the case of its scheme, or in the query.
#[tokio::test]
async fn a_token_is_taken_from_the_header_or_the_query() {
    let alice = Server::shared().await.user("alice").await;
    let token = alice.token().unwrap();
    for endpoint in endpoints::of(&alice).await {
        let header = endpoint.call(&alice).token(None).header("authorization", &format!("bearer {token}")).await;
        let query = endpoint.call(&alice).token(None).query("access_token", token).await;
        for answer in [header, query] {
            assert!(!["M_MISSING_TOKEN", "M_UNKNOWN_TOKEN"].contains(&answer.errcode().as_str()), "{answer}");
        }
    }
    let whoami = alice.get("/account/whoami").token(None).query("access_token", token).await.ok();
    assert_eq!(whoami["device_id"], alice.device_id());
}

/// GEN-7: what is not ASCII comes as UTF-8.
#[tokio::test]
async fn answers_are_utf_8() {
    let alice = Server::shared().await.user("alice").await;
    let path = format!("/devices/{}", alice.device_id());
    alice.put(&path, json!({"display_name": "Töröö 🦀"})).await.ok();
    let answer = alice.get(&path).await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.ok()["display_name"], "Töröö 🦀");
    assert!(std::str::from_utf8(&answer.bytes).is_ok());
    for endpoint in endpoints::of(&alice).await {
        assert_eq!(endpoint.call(&alice).await.header("content-type"), "application/json", "{}", endpoint.path);
    }
}

/// GEN-8: a preflight request needs no token, runs nothing, and says what browsers may send, whatever the path.
#[tokio::test]
async fn preflight_requests_run_nothing() {
    let alice = Server::shared().await.user("alice").await;
    let mut paths: Vec<String> = endpoints::of(&alice).await.into_iter().map(|endpoint| endpoint.path).collect();
    paths.extend(["/logout", "/logout/all", "/no_such_thing", "/_matrix/client/versions"].map(str::to_owned));
    for path in paths {
        let plain = alice.call(Method::OPTIONS, &path).await;
        let asked = alice
            .call(Method::OPTIONS, &path)
            .token(None)
            .header("origin", "https://app.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization")
            .await;
        for answer in [plain, asked] {
            assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, "*"), "{answer}");
            let headers = answer.header("access-control-allow-headers").to_ascii_lowercase();
            assert!(["x-requested-with", "content-type", "authorization"].iter().all(|name| headers.contains(name)));
            let methods = answer.header("access-control-allow-methods");
            assert!(["GET", "POST", "PUT", "DELETE", "OPTIONS"].iter().all(|name| methods.contains(name)), "{methods}");
        }
    }
    alice.get("/account/whoami").await.ok();
}

/// GEN-9: the versions are those of the specification, with or without a token, and a feature that is named is one that
/// was not released.
#[tokio::test]
async fn versions_are_told_to_everyone() {
    // What is not in a release of the specification, and may be here.
    const UNRELEASED: [&str; 2] = ["org.matrix.simplified_msc3575", "org.matrix.msc3814"];
    let alice = Server::shared().await.user("alice").await;
    for token in [None, alice.token()] {
        let answer = alice.get("/_matrix/client/versions").token(token).await.ok();
        let versions: Vec<_> = answer["versions"].as_array().unwrap().iter().filter_map(|name| name.as_str()).collect();
        assert!(versions.contains(&"v1.1") && versions.contains(&"v1.11"), "{versions:?}");
        let known = |name: &&str| name.starts_with("v1.") || name.starts_with("r0.");
        assert!(versions.iter().all(known), "{versions:?}");
        for (name, works) in answer["unstable_features"].as_object().unwrap() {
            assert!(UNRELEASED.contains(&name.as_str()) && works.is_boolean(), "{name}");
        }
    }
}

/// GEN-14: any name a user could ever have had is taken in requests, even one with no characters.
#[tokio::test]
async fn historical_user_ids_are_accepted() {
    let server = Server::shared().await;
    let alice = server.user("alice").await;
    DeviceKeys::new(&alice).upload(&alice, 1, false).await;
    let here = server.name().await;
    for name in ["", "With Space", "UPPER", "a/b=c+d", "日本語", "a!b#c$d%e&f", "\u{1}\t\n", "🦀"] {
        let user = format!("@{name}:{here}");
        let query = json!({"device_keys": {&user: [], alice.user_id(): []}});
        let answer = alice.post("/keys/query", query).await.ok();
        assert!(answer["device_keys"][alice.user_id()][alice.device_id()].is_object(), "{answer}");
        assert_eq!(answer["failures"], json!({}), "{user:?}");
        let claim = json!({"one_time_keys": {&user: {"DEVICE": "signed_curve25519"}}});
        assert_eq!(alice.post("/keys/claim", claim).await.ok()["failures"], json!({}), "{user:?}");
        let messages = json!({"messages": {&user: {"*": {}}}});
        alice.put(format!("/sendToDevice/org.example/{}", unique()), messages).await.ok();
        let signed = json!({&user: {"DEVICE": {"user_id": user, "device_id": "DEVICE"}}});
        let answer = alice.post("/keys/signatures/upload", signed).await.ok();
        assert_eq!(answer["failures"][&user]["DEVICE"]["errcode"], "M_NOT_FOUND", "{answer}");
        // Of another server it is a matter of that server.
        let user = format!("@{name}:nowhere.invalid");
        let answer = alice.post("/keys/query", json!({"device_keys": {&user: []}})).await.ok();
        assert!(answer["failures"]["nowhere.invalid"].is_object(), "{answer}");
    }
    // The one character that no name may have.
    for user in [format!("@a\0b:{here}"), format!("@\0:{here}")] {
        alice.post("/keys/query", json!({"device_keys": {&user: []}})).await.error(400, "M_BAD_JSON");
        alice.post("/keys/claim", json!({"one_time_keys": {&user: {}}})).await.error(400, "M_BAD_JSON");
    }
}
