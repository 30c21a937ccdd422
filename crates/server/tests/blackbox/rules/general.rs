//! What every endpoint has in common.

use http::Method;
use serde_json::json;

use crate::harness::Server;

/// GEN-1, GEN-2: unknown paths and methods.
#[tokio::test]
async fn what_is_not_there_is_unrecognized() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    for path in ["/no_such_thing", "/_matrix/client/v99/sync", "/_matrix/federation/v1/none", "/_matrix/nothing"] {
        let error = alice.get(path).await.error(404, "M_UNRECOGNIZED");
        assert!(error["error"].is_string());
    }
    alice.call(Method::PATCH, "/keys/upload").json(json!({})).await.error(405, "M_UNRECOGNIZED");
    alice.get("/keys/query").await.error(405, "M_UNRECOGNIZED");
}

/// GEN-3, GEN-4.
#[tokio::test]
async fn a_token_is_needed_in_the_header_or_the_query() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    alice.get("/account/whoami").token(None).await.error(401, "M_MISSING_TOKEN");
    alice.get("/account/whoami").token(Some("no-such-token")).await.error(401, "M_UNKNOWN_TOKEN");
    let token = alice.token().unwrap();
    alice.get("/account/whoami").token(None).query("access_token", token).await.ok();
}

/// GEN-5.
#[tokio::test]
async fn bad_bodies_are_told_apart() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    for body in ["{", "not json", "{\"a\":1} x", "\u{1}"] {
        alice.call(Method::POST, "/keys/query").bytes(body, "application/json").await.error(400, "M_NOT_JSON");
    }
    alice.post("/keys/query", json!([])).await.error(400, "M_BAD_JSON");
    alice.post("/keys/query", json!({})).await.error(400, "M_MISSING_PARAM");
    alice.get("/sync").query("timeout", "soon").await.error(400, "M_INVALID_PARAM");
}

/// GEN-8: preflight requests need nothing and run nothing; errors carry the headers too.
#[tokio::test]
async fn browsers_are_let_in() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    for path in ["/keys/upload", "/no_such_thing"] {
        let preflight = alice
            .call(Method::OPTIONS, path)
            .token(None)
            .header("origin", "https://app.example")
            .header("access-control-request-method", "POST")
            .await;
        assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (200, "*"), "{path}");
    }
    let error = alice.get("/no_such_thing").header("origin", "https://app.example").await;
    assert_eq!(error.header("access-control-allow-origin"), "*");
    assert_eq!(error.header("content-type"), "application/json", "GEN-7");
}

/// GEN-10: what is too large is refused.
#[tokio::test]
async fn an_oversized_body_is_refused() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let body = format!("{{\"x\":\"{}\"}}", "x".repeat(9 * 1024 * 1024));
    alice.call(Method::POST, "/keys/upload").bytes(body, "application/json").await.error(413, "M_TOO_LARGE");
}

/// GEN-21: what is encoded in a path is decoded once.
#[tokio::test]
async fn encoded_paths_name_the_right_thing() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    for kind in ["a/b", "a%2Fb", "a+b=c", "ä ö"] {
        let path = format!(
            "/user/{}/account_data/{}",
            crate::harness::segment(alice.user_id()),
            crate::harness::segment(kind)
        );
        alice.put(&path, json!({"kind": kind})).await.ok();
        assert_eq!(alice.get(&path).await.ok()["kind"], kind);
    }
}
