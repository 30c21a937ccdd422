//! Writes to a backup that meet each other.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{KEYS, ROOM, all, get, info, key, new_version, of_version, path, put, room_path};
use crate::harness::{Client, Server};

/// BKP-29: parallel uploads of one session end with the best, whatever the order, and the etag counts those that won.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_uploads_end_with_the_best() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let version = new_version(&alice).await;
    let uploads = (0..24).map(|index| {
        let (alice, version) = (alice.clone(), version.clone());
        tokio::spawn(async move {
            let key = key(index, 0, index % 3 == 0);
            let room = json!({"sessions": {"s": key}});
            let call = match index % 3 {
                0 => alice.put(path("s"), key),
                1 => alice.put(room_path(ROOM), room),
                _ => alice.put(KEYS, json!({"rooms": {ROOM: room}})),
            };
            of_version(call, &version).await.ok()
        })
    });
    let mut answers = Vec::new();
    for upload in uploads.collect::<Vec<_>>() {
        answers.push(upload.await.unwrap());
    }
    assert_eq!(get(&alice, &version, "s").await, key(0, 0, true));
    let info = info(&alice, &version).await;
    assert_eq!(info["count"], 1);
    assert!(answers.iter().all(|answer| answer["count"] == 1), "{answers:?}");
    assert!(answers.iter().any(|answer| answer["etag"] == info["etag"]), "{answers:?} {info}");
}

/// BKP-29, BKP-22: parallel uploads of many sessions, each of them contested, lose and double count none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_bulk_uploads_lose_nothing() {
    const SESSIONS: u64 = 40;
    let [alice] = Server::shared().await.users(["alice"]).await;
    let version = new_version(&alice).await;
    let uploads = (0..8_u64).map(|upload| {
        let (alice, version) = (alice.clone(), version.clone());
        tokio::spawn(async move {
            // Of each session some upload is the best, another one for every session.
            let sessions: serde_json::Map<String, Value> = (0..SESSIONS)
                .map(|session| (format!("s{session}"), key((upload + session) % 8, upload, session % 2 == 0)))
                .collect();
            of_version(alice.put(room_path(ROOM), json!({"sessions": sessions})), &version).await.ok()
        })
    });
    for upload in uploads.collect::<Vec<_>>() {
        upload.await.unwrap();
    }
    let expected: BTreeMap<String, Value> =
        (0..SESSIONS).map(|session| (format!("s{session}"), key(0, (8 - session % 8) % 8, session % 2 == 0))).collect();
    assert_eq!(all(&alice, &version).await, json!({"rooms": {ROOM: {"sessions": expected}}}));
    assert_eq!(info(&alice, &version).await["count"], SESSIONS);
}

/// An upload of two keys to a version; whether it was taken. If not, the error names another version.
async fn upload(of: &Client, version: &str, number: u64) -> bool {
    let room = json!({"sessions": {format!("a{number}"): key(0, 0, true), format!("b{number}"): key(0, 0, true)}});
    let response = of_version(of.put(room_path(ROOM), room), version).await;
    if response.status == 200 {
        return true;
    }
    let error = response.error(403, "M_WRONG_ROOM_KEYS_VERSION");
    assert_ne!(error["current_version"], json!(version));
    false
}

/// BKP-30: an upload that meets a new version is wholly in the old one, before it, or refused; one that begins after the new
/// version was answered is refused always.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_upload_and_a_new_version_come_one_after_the_other() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    for round in 0..6 {
        let old = new_version(&alice).await;
        let mut tasks = Vec::new();
        for number in 0..24 {
            let (alice, old) = (alice.clone(), old.clone());
            tasks.push(tokio::spawn(async move { (number, upload(&alice, &old, number).await) }));
            if number == 8 {
                tokio::task::yield_now().await;
            }
        }
        let new = {
            let alice = alice.clone();
            tokio::spawn(async move { new_version(&alice).await })
        };
        let new = new.await.unwrap();
        assert!(!upload(&alice, &old, 1_000 + round).await, "the new version was there");
        let mut expected = BTreeMap::new();
        for task in tasks {
            let (number, taken) = task.await.unwrap();
            if taken {
                expected.insert(format!("a{number}"), key(0, 0, true));
                expected.insert(format!("b{number}"), key(0, 0, true));
            }
        }
        let rooms = if expected.is_empty() { json!({}) } else { json!({ROOM: {"sessions": expected}}) };
        assert_eq!(all(&alice, &old).await, json!({"rooms": rooms}));
        assert_eq!(info(&alice, &old).await["count"], expected.len());
        assert_eq!(all(&alice, &new).await, json!({"rooms": {}}));
        put(&alice, &new, "s", &key(0, 0, true)).await;
    }
}

/// BKP-2, BKP-1: versions made at once are different ones, and the current one is among them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_made_at_once_are_different() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let makers = (0..12).map(|_| {
        let alice = alice.clone();
        tokio::spawn(async move { new_version(&alice).await })
    });
    let mut versions = Vec::new();
    for maker in makers.collect::<Vec<_>>() {
        versions.push(maker.await.unwrap());
    }
    let current = alice.get("/room_keys/version").await.ok()["version"].as_str().unwrap().to_owned();
    assert!(versions.contains(&current));
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), 12);
    put(&alice, &current, "s", &key(0, 0, true)).await;
}

/// BKP-8, BKP-29: a version that is deleted while keys come in leaves none of them, and a newer one is not touched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_leaves_no_late_keys() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let kept = new_version(&alice).await;
    put(&alice, &kept, "s", &key(0, 0, true)).await;
    let version = new_version(&alice).await;
    let uploads = (0..16).map(|number| {
        let (alice, version) = (alice.clone(), version.clone());
        tokio::spawn(async move {
            let response = of_version(alice.put(path(&format!("s{number}")), key(0, 0, true)), &version).await;
            assert!(response.status == 200 || response.errcode() == "M_NOT_FOUND", "{response}");
        })
    });
    let uploads: Vec<_> = uploads.collect();
    alice.delete(super::at_version(&version)).await.ok();
    for upload in uploads {
        upload.await.unwrap();
    }
    of_version(alice.get(KEYS), &version).await.error(404, "M_NOT_FOUND");
    assert_eq!(alice.get("/room_keys/version").await.ok()["version"], json!(kept));
    assert_eq!(info(&alice, &kept).await["count"], 1);
    let next = new_version(&alice).await;
    assert_eq!(all(&alice, &next).await, json!({"rooms": {}}));
}
