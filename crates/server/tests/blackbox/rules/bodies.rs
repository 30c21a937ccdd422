//! What a request's body and parameters must be.

use http::Method;
use serde_json::{Value, json};

use super::endpoints;
use crate::harness::{Raw, Server, keys::count};

/// The most that ordinary requests, and uploads to a backup, may be.
const LIMIT: usize = 8 * 1024 * 1024;
const BACKUP_LIMIT: usize = 96 * 1024 * 1024;

/// GEN-5: a body that is not JSON, and one that is no object.
#[tokio::test]
async fn a_body_is_a_json_object() {
    let alice = Server::shared().await.user("alice").await;
    // Deleting from a backup takes no body.
    let takes_a_body = |endpoint: &endpoints::Endpoint| {
        endpoint.body.is_some() && !(endpoint.method == Method::DELETE && endpoint.path.starts_with("/room_keys"))
    };
    for endpoint in endpoints::of(&alice).await.into_iter().filter(takes_a_body) {
        let send = |body: &[u8]| alice.call(endpoint.method.clone(), &endpoint.path).bytes(body, "application/json");
        let not_json: [&[u8]; 6] = [b"{", b"not json", b"{\"a\":1} x", b"\x01", b"{\"a\":\"\xff\"}", b"{'a':1}"];
        for body in not_json {
            send(body).await.error(400, "M_NOT_JSON");
        }
        let wrong_shape: [&[u8]; 6] = [b"[]", b"[{}]", b"\"text\"", b"1", b"true", b"null"];
        for body in wrong_shape {
            let answer = send(body).await;
            assert_eq!((answer.status, answer.errcode().as_str()), (400, "M_BAD_JSON"), "{:?} {answer}", str_of(body));
        }
    }
}

fn str_of(body: &[u8]) -> &str {
    std::str::from_utf8(body).unwrap_or_default()
}

/// GEN-5: members that are missing or of another type, and parameters that are missing or make no sense, each by its code.
#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_by_its_code() {
    let alice = Server::shared().await.user("alice").await;
    let post = |path: &str, body: Value| alice.post(path, body);
    for (path, missing, wrong) in [
        ("/keys/query", json!({}), json!({"device_keys": []})),
        ("/keys/query", json!({"timeout": 1}), json!({"device_keys": {alice.user_id(): "DEVICE"}})),
        ("/keys/claim", json!({}), json!({"one_time_keys": {alice.user_id(): ["DEVICE"]}})),
        ("/keys/claim", json!({"timeout": 1}), json!({"one_time_keys": "all"})),
        ("/delete_devices", json!({}), json!({"devices": "DEVICE"})),
    ] {
        post(path, missing).await.error(400, "M_MISSING_PARAM");
        post(path, wrong).await.error(400, "M_BAD_JSON");
    }
    alice.put("/sendToDevice/org.example/1", json!({"messages": []})).await.error(400, "M_BAD_JSON");
    for body in [json!({"device_keys": 1}), json!({"one_time_keys": []}), json!({"fallback_keys": "x"})] {
        post("/keys/upload", body).await.error(400, "M_BAD_JSON");
    }
    alice.get("/keys/changes").query("to", "x").await.error(400, "M_MISSING_PARAM");
    alice.get("/room_keys/keys").await.error(400, "M_MISSING_PARAM");
    for (name, value) in [("timeout", "soon"), ("timeout", "-1"), ("full_state", "maybe"), ("since", "yesterday")] {
        alice.get("/sync").query(name, value).await.error(400, "M_INVALID_PARAM");
    }
    let token = alice.sync(None).await["next_batch"].as_str().unwrap().to_owned();
    let changes = alice.get("/keys/changes").query("from", "yesterday").query("to", token);
    changes.await.error(400, "M_INVALID_PARAM");
}

/// GEN-10: a body that is announced to be too large is refused by its length alone, before any of it was sent.
#[tokio::test]
async fn a_body_announced_too_large_is_refused_unread() {
    let server = Server::shared().await;
    let alice = server.user("alice").await;
    for endpoint in endpoints::of(&alice).await {
        if endpoint.body.is_none() || endpoint.method == Method::DELETE && endpoint.path.starts_with("/room_keys") {
            continue;
        }
        let is_backup = endpoint.path.starts_with("/room_keys/keys");
        let length = if is_backup { BACKUP_LIMIT } else { LIMIT } + 1;
        let mut raw = Raw::open(&server).await;
        raw.head(&endpoint.method, &endpoint.path, &alice, &format!("Content-Length: {length}")).await;
        let (status, body) = raw.answer().await;
        assert_eq!((status, &body["errcode"]), (413, &json!("M_TOO_LARGE")), "{} {body}", endpoint.path);
    }
}

/// GEN-10: a body of a length nobody knows is refused when it gets too large, and not read to its end.
#[tokio::test]
async fn a_body_that_grows_too_large_is_refused() {
    let server = Server::shared().await;
    let alice = server.user("alice").await;
    let mut raw = Raw::open(&server).await;
    raw.head(&Method::POST, "/keys/upload", &alice, "Transfer-Encoding: chunked").await;
    let part = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    for _ in 0..=LIMIT / 0x10000 {
        raw.send(&part).await;
    }
    // The last part of the body is never sent.
    let (status, body) = raw.answer().await;
    assert_eq!((status, &body["errcode"]), (413, &json!("M_TOO_LARGE")), "{body}");
}

/// GEN-10: what is just not too large is read.
#[tokio::test]
async fn a_large_body_is_read_up_to_the_limit() {
    let alice = Server::shared().await.user("alice").await;
    let body = |length: usize| format!("{{{}}}", " ".repeat(length - 2));
    let upload = |length: usize| alice.call(Method::POST, "/keys/upload").bytes(body(length), "application/json");
    upload(LIMIT).await.ok();
    upload(LIMIT + 1).await.error(413, "M_TOO_LARGE");
    assert_eq!(count(&alice).await, 0);
}
