//! Server-side key backups.

use serde_json::{Value, json};

use crate::harness::{Client, Server, segment};

const ROOM: &str = "!room:example.org";

async fn new_version(of: &Client) -> String {
    let body = json!({"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": {"public_key": "abc"}});
    of.post("/room_keys/version", body).await.ok()["version"].as_str().unwrap().to_owned()
}

fn key(first: u64, forwarded: u64, verified: bool) -> Value {
    json!({
        "first_message_index": first, "forwarded_count": forwarded, "is_verified": verified,
        "session_data": {"ciphertext": format!("{first}-{forwarded}-{verified}")},
    })
}

fn path(session: &str) -> String {
    format!("/room_keys/keys/{}/{}", segment(ROOM), segment(session))
}

async fn put(of: &Client, version: &str, session: &str, key: &Value) -> Value {
    of.put(path(session), key.clone()).query("version", version).await.ok()
}

async fn get(of: &Client, version: &str, session: &str) -> Value {
    of.get(path(session)).query("version", version).await.ok()
}

/// BKP-14 to BKP-18, BKP-23: the better key stays, and the etag changes exactly when the content does.
#[tokio::test]
async fn the_better_key_stays() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let version = new_version(&alice).await;
    // From worst to best.
    let ladder =
        [key(9, 9, false), key(9, 3, false), key(2, 5, false), key(8, 8, true), key(8, 1, true), key(0, 7, true)];
    for (place, worse) in ladder.iter().enumerate() {
        for better in &ladder[place..] {
            let session = format!("s{place}/+={}", better["session_data"]["ciphertext"]);
            let first = put(&alice, &version, &session, worse).await;
            let second = put(&alice, &version, &session, better).await;
            assert_eq!(get(&alice, &version, &session).await, *better);
            assert_eq!(first["etag"] == second["etag"], worse == better, "BKP-23");
            let third = put(&alice, &version, &session, worse).await;
            assert_eq!(get(&alice, &version, &session).await, *better);
            assert_eq!(second, third, "a worse key changes nothing");
        }
    }
}

/// BKP-12, BKP-13, BKP-11.
#[tokio::test]
async fn only_the_newest_version_is_written() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let old = new_version(&alice).await;
    put(&alice, &old, "s", &key(1, 1, true)).await;
    let new = new_version(&alice).await;
    assert_ne!(old, new);
    let refused = alice.put(path("s"), key(0, 0, true)).query("version", &old).await;
    assert_eq!(refused.error(403, "M_WRONG_ROOM_KEYS_VERSION")["current_version"], json!(new));
    alice.put(path("s"), key(0, 0, true)).query("version", "4711").await.error(404, "M_NOT_FOUND");
    alice.put(path("s"), key(0, 0, true)).await.error(400, "M_MISSING_PARAM");
    assert_eq!(get(&alice, &old, "s").await, key(1, 1, true), "BKP-26");
}

/// BKP-2, BKP-3, BKP-8, BKP-9, BKP-10: more than ten versions, in the order of numbers.
#[tokio::test]
async fn versions_come_and_go_in_order() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    alice.get("/room_keys/version").await.error(404, "M_NOT_FOUND");
    let mut versions = Vec::new();
    for _ in 0..12 {
        versions.push(new_version(&alice).await);
        assert_eq!(alice.get("/room_keys/version").await.ok()["version"], *versions.last().unwrap());
    }
    while let Some(last) = versions.pop() {
        alice.delete(format!("/room_keys/version/{last}")).await.ok();
        alice.delete(format!("/room_keys/version/{last}")).await.ok();
        alice.get(format!("/room_keys/version/{last}")).await.error(404, "M_NOT_FOUND");
        match versions.last() {
            Some(newest) => assert_eq!(alice.get("/room_keys/version").await.ok()["version"], *newest),
            None => drop(alice.get("/room_keys/version").await.error(404, "M_NOT_FOUND")),
        }
    }
    alice.delete("/room_keys/version/4711").await.error(404, "M_NOT_FOUND");
    assert_eq!(new_version(&alice).await, "13");
}

/// BKP-31, BKP-19: one malformed key, and none is stored.
#[tokio::test]
async fn a_bulk_upload_is_stored_whole_or_not_at_all() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let version = new_version(&alice).await;
    let mut bad = key(0, 0, true);
    bad["first_message_index"] = json!("0");
    let body = json!({"rooms": {ROOM: {"sessions": {"good": key(0, 0, true), "bad": bad}}}});
    let response = alice.put("/room_keys/keys", body).query("version", &version).await;
    assert_eq!(response.status, 400, "{}", response.text());
    assert_eq!(alice.get("/room_keys/keys").query("version", &version).await.ok(), json!({"rooms": {}}), "BKP-24");
    let body = json!({"rooms": {ROOM: {"sessions": {"a": key(0, 0, true), "b": key(1, 0, false)}}}});
    let answer = alice.put("/room_keys/keys", body.clone()).query("version", &version).await.ok();
    assert_eq!(answer["count"], 2, "BKP-22");
    assert_eq!(alice.get("/room_keys/keys").query("version", &version).await.ok(), body);
    bob.get("/room_keys/keys").query("version", &version).await.error(404, "M_NOT_FOUND");
}

/// BKP-29: parallel uploads of one session end with the best, whatever the order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_uploads_end_with_the_best() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let version = new_version(&alice).await;
    let uploads = (0..24).map(|index| {
        let (alice, version) = (alice.clone(), version.clone());
        tokio::spawn(async move { put(&alice, &version, "s", &key(index, 0, index % 3 == 0)).await })
    });
    for upload in uploads.collect::<Vec<_>>() {
        upload.await.unwrap();
    }
    assert_eq!(get(&alice, &version, "s").await, key(0, 0, true));
    assert_eq!(alice.get("/room_keys/version").await.ok()["count"], 1);
}

/// BKP-5, BKP-6, BKP-7.
#[tokio::test]
async fn only_auth_data_can_be_changed() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let version = new_version(&alice).await;
    let path = format!("/room_keys/version/{version}");
    let stored = alice.get(&path).await.ok();
    let mut body = json!({"algorithm": stored["algorithm"], "auth_data": {"public_key": "def"}});
    alice.put(&path, body.clone()).await.ok();
    body["version"] = json!("4711");
    alice.put(&path, body.clone()).await.error(400, "M_INVALID_PARAM");
    body["version"] = json!(version);
    alice.put(&path, body.clone()).await.ok();
    body["algorithm"] = json!("m.other");
    alice.put(&path, body).await.error(400, "M_INVALID_PARAM");
    let changed = alice.get(&path).await.ok();
    assert_eq!(changed["auth_data"], json!({"public_key": "def"}));
    assert_eq!(changed["algorithm"], stored["algorithm"]);
}

/// BKP-25, BKP-27.
#[tokio::test]
async fn deleting_keys_counts() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let version = new_version(&alice).await;
    put(&alice, &version, "a", &key(0, 0, true)).await;
    let two = put(&alice, &version, "b", &key(0, 0, true)).await;
    let one = alice.delete(path("a")).query("version", &version).await.ok();
    assert_eq!((&one["count"], one["etag"] == two["etag"]), (&json!(1), false));
    let again = alice.delete(path("a")).query("version", &version).await.ok();
    assert_eq!(again, one, "what is not there is no change");
    alice.get(path("a")).query("version", &version).await.error(404, "M_NOT_FOUND");
    let none = alice.delete("/room_keys/keys").query("version", &version).await.ok();
    assert_eq!(none["count"], 0);
    alice.delete("/room_keys/keys").query("version", "4711").await.error(404, "M_NOT_FOUND");
}
