//! Versions of a backup: made, read, changed, deleted.

use serde_json::{Value, json};

use super::{ALGORITHM, KEYS, all, at_version, get, in_room, info, key, new_version, of_version, path, put, room_path};
use crate::harness::Server;

/// BKP-1, BKP-3, BKP-4, BKP-34: a new version is the current one, and says of itself what it was made with, whatever its
/// algorithm.
#[tokio::test]
async fn a_new_version_is_current() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    alice.get("/room_keys/version").await.error(404, "M_NOT_FOUND");
    let auth_data = json!({
        "public_key": "abc", "signatures": {alice.user_id(): {"ed25519:A": "x"}}, "org.example": [1, {"b": null}],
    });
    let mut before: Option<Value> = None;
    for algorithm in [ALGORITHM, "org.example.unheard-of", "m.megolm_backup.v1.aes-hmac-sha2"] {
        let body = json!({"algorithm": algorithm, "auth_data": auth_data});
        let answer = alice.post("/room_keys/version", body).await.ok();
        let version = answer["version"].as_str().expect("a string").to_owned();
        let expected = json!({
            "algorithm": algorithm, "auth_data": auth_data, "count": 0, "etag": "0", "version": version,
        });
        let mut current = alice.get("/room_keys/version").await.ok();
        assert_eq!(info(&alice, &version).await, current);
        assert!(current["etag"].is_string(), "{current}");
        current["etag"] = json!("0");
        assert_eq!(current, expected);
        if let Some(before) = before.replace(current) {
            assert_ne!(before["version"], json!(version));
            assert_eq!(info(&alice, before["version"].as_str().unwrap()).await["algorithm"], before["algorithm"]);
        }
    }
}

/// BKP-1: what is not a description makes no version.
#[tokio::test]
async fn a_bad_description_is_refused() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    for body in [
        json!({}),
        json!({"algorithm": ALGORITHM}),
        json!({"auth_data": {}}),
        json!({"algorithm": 1, "auth_data": {}}),
        json!({"algorithm": ALGORITHM, "auth_data": "text"}),
        json!({"algorithm": ALGORITHM, "auth_data": null}),
        json!([]),
    ] {
        alice.post("/room_keys/version", body).await.error(400, "M_BAD_JSON");
    }
    alice.get("/room_keys/version").await.error(404, "M_NOT_FOUND");
}

/// BKP-4, BKP-5, BKP-8, BKP-13, BKP-24, BKP-27: a version that is not there is not found, however it is written and
/// whatever is asked of it.
#[tokio::test]
async fn unknown_versions_are_not_found() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let known = new_version(&alice).await;
    put(&alice, &known, "s", &key(1, 1, false)).await;
    let before = (info(&alice, &known).await, all(&alice, &known).await);
    let zeros = format!("0{known}");
    let spaced = format!(" {known}");
    for unknown in
        ["4711", "0", "-1", "1.0", &zeros, &spaced, "+1", "x", "18446744073709551615", "99999999999999999999"]
    {
        alice.get(at_version(unknown)).await.error(404, "M_NOT_FOUND");
        let body = json!({"algorithm": ALGORITHM, "auth_data": {}});
        alice.put(at_version(unknown), body).await.error(404, "M_NOT_FOUND");
        alice.delete(at_version(unknown)).await.error(404, "M_NOT_FOUND");
        for place in [KEYS.to_owned(), room_path(super::ROOM), path("s")] {
            of_version(alice.get(&place), unknown).await.error(404, "M_NOT_FOUND");
            of_version(alice.delete(&place), unknown).await.error(404, "M_NOT_FOUND");
        }
        let session = key(0, 0, true);
        let room = json!({"sessions": {"s": session}});
        of_version(alice.put(KEYS, json!({"rooms": {super::ROOM: room}})), unknown).await.error(404, "M_NOT_FOUND");
        of_version(alice.put(room_path(super::ROOM), room), unknown).await.error(404, "M_NOT_FOUND");
        of_version(alice.put(path("s"), session), unknown).await.error(404, "M_NOT_FOUND");
    }
    assert_eq!((info(&alice, &known).await, all(&alice, &known).await), before);
}

/// BKP-2, BKP-3, BKP-8, BKP-9, BKP-10, BKP-12: more than ten versions, in the order they were made, so the tenth is newer
/// than the ninth; what is deleted is gone with its keys, and its number with it.
#[tokio::test]
async fn versions_come_and_go_in_order() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let mut versions = Vec::new();
    for number in 0..12 {
        versions.push(new_version(&alice).await);
        let newest = versions.last().unwrap();
        assert_eq!(alice.get("/room_keys/version").await.ok()["version"], *newest);
        put(&alice, newest, "s", &key(number, 0, true)).await;
        for old in &versions[..versions.len() - 1] {
            let refused = of_version(alice.put(path("s"), key(0, 0, true)), old).await;
            assert_eq!(refused.error(403, "M_WRONG_ROOM_KEYS_VERSION")["current_version"], json!(newest));
        }
    }
    let mut seen = versions.clone();
    // One from the middle first: nothing else changes.
    let middle = versions.remove(4);
    alice.delete(at_version(&middle)).await.ok();
    assert_eq!(alice.get("/room_keys/version").await.ok()["version"], *versions.last().unwrap());
    alice.get(at_version(&middle)).await.error(404, "M_NOT_FOUND");
    while let Some(last) = versions.pop() {
        assert_eq!(alice.delete(at_version(&last)).await.ok(), json!({}));
        assert_eq!(alice.delete(at_version(&last)).await.ok(), json!({}), "it is gone, which is what was asked for");
        alice.get(at_version(&last)).await.error(404, "M_NOT_FOUND");
        for place in [KEYS.to_owned(), path("s")] {
            of_version(alice.get(place), &last).await.error(404, "M_NOT_FOUND");
        }
        match versions.last() {
            Some(newest) => {
                assert_eq!(alice.get("/room_keys/version").await.ok()["version"], *newest);
                // It is the one to write to again.
                put(&alice, newest, "more", &key(0, 0, true)).await;
                of_version(alice.put(path("s"), key(0, 0, true)), &last).await.error(404, "M_NOT_FOUND");
            }
            None => drop(alice.get("/room_keys/version").await.error(404, "M_NOT_FOUND")),
        }
    }
    for _ in 0..3 {
        let next = new_version(&alice).await;
        assert!(!seen.contains(&next), "{next} was there before");
        assert_eq!(all(&alice, &next).await, json!({"rooms": {}}));
        alice.delete(at_version(&next)).await.ok();
        seen.push(next);
    }
}

/// BKP-5, BKP-6, BKP-7: of a version its `auth_data` alone can be changed, of an old one, too, and of its keys nothing is.
#[tokio::test]
async fn only_auth_data_can_be_changed() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let version = new_version(&alice).await;
    put(&alice, &version, "s", &key(1, 1, false)).await;
    let before = info(&alice, &version).await;
    let body = json!({"algorithm": ALGORITHM, "auth_data": {"public_key": "def", "more": [1]}});
    let with = |member: &str, value: Value| {
        let mut body = body.clone();
        body[member] = value;
        body
    };
    let path = at_version(&version);
    alice.put(&path, with("version", json!("4711"))).await.error(400, "M_INVALID_PARAM");
    alice.put(&path, with("version", json!(""))).await.error(400, "M_INVALID_PARAM");
    alice.put(&path, with("algorithm", json!("m.other"))).await.error(400, "M_INVALID_PARAM");
    alice.put(&path, with("auth_data", json!("text"))).await.error(400, "M_BAD_JSON");
    alice.put(&path, json!({"algorithm": ALGORITHM})).await.error(400, "M_BAD_JSON");
    assert_eq!(info(&alice, &version).await, before);

    new_version(&alice).await;
    for (body, auth_data) in [
        (body.clone(), &body["auth_data"]),
        (with("version", json!(version)), &body["auth_data"]),
        (with("auth_data", json!({})), &json!({})),
    ] {
        assert_eq!(alice.put(&path, body).await.ok(), json!({}));
        let mut expected = before.clone();
        expected["auth_data"] = auth_data.clone();
        assert_eq!(info(&alice, &version).await, expected);
    }
    assert_eq!(get(&alice, &version, "s").await, key(1, 1, false));
}

/// BKP-12, BKP-26, BKP-28: an old version can be read and emptied, but not written to; who tries hears which is current.
#[tokio::test]
async fn only_the_newest_version_is_written() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let old = new_version(&alice).await;
    for session in ["s", "t", "u"] {
        put(&alice, &old, session, &key(1, 1, true)).await;
    }
    of_version(alice.put(in_room("!other:example.org", "s"), key(1, 1, true)), &old).await.ok();
    let before = (info(&alice, &old).await, all(&alice, &old).await);
    let new = new_version(&alice).await;
    let better = key(0, 0, true);
    let room = json!({"sessions": {"s": better, "new": better}});
    for (place, body) in [
        (KEYS.to_owned(), json!({"rooms": {super::ROOM: room}})),
        (room_path(super::ROOM), room.clone()),
        (path("s"), better.clone()),
        // Also where nothing would be written.
        (KEYS.to_owned(), json!({"rooms": {}})),
    ] {
        let refused = of_version(alice.put(place, body), &old).await;
        assert_eq!(refused.error(403, "M_WRONG_ROOM_KEYS_VERSION")["current_version"], json!(new));
    }
    assert_eq!((info(&alice, &old).await, all(&alice, &old).await), before);
    assert_eq!(get(&alice, &old, "s").await, key(1, 1, true));
    assert_eq!(of_version(alice.get(room_path(super::ROOM)), &old).await.ok(), before.1["rooms"][super::ROOM]);
    assert_eq!(all(&alice, &new).await, json!({"rooms": {}}));

    assert_eq!(of_version(alice.delete(path("s")), &old).await.ok()["count"], 3);
    assert_eq!(of_version(alice.delete(room_path(super::ROOM)), &old).await.ok()["count"], 1);
    assert_eq!(of_version(alice.delete(KEYS), &old).await.ok()["count"], 0);
    assert_eq!(info(&alice, &old).await["count"], 0);
}
