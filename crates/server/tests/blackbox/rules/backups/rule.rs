//! Which of two keys for one session stays.

use serde_json::{Value, json};

use super::{KEYS, ROOM, all, get, info, key, new_version, of_version, path, put, room_path};
use crate::harness::{Client, Server};

/// Puts keys of one room by one of the three ways.
async fn put_by(way: usize, of: &Client, version: &str, sessions: &[(&str, &Value)]) -> Value {
    let room: serde_json::Map<String, Value> =
        sessions.iter().map(|(session, key)| ((*session).to_owned(), (*key).clone())).collect();
    let room = json!({"sessions": room});
    let call = match way {
        0 => of.put(KEYS, json!({"rooms": {ROOM: room}})),
        1 => of.put(room_path(ROOM), room),
        _ => of.put(path(sessions[0].0), sessions[0].1.clone()),
    };
    of_version(call, version).await.ok()
}

/// BKP-14, BKP-15, BKP-16, BKP-17, BKP-18, BKP-23: of every pair the better stays, in whatever order and way they come, and
/// the etag changes exactly when the content does.
#[tokio::test]
async fn the_better_key_stays() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let version = new_version(&alice).await;
    // From worst to best.
    let ladder = [
        key(9, 9, false),
        key(9, 3, false),
        key(2, 5, false),
        key(0, 0, false),
        key(8, 8, true),
        key(8, 1, true),
        key(0, 7, true),
    ];
    for (place, worse) in ladder.iter().enumerate() {
        for (distance, better) in ladder[place..].iter().enumerate() {
            let way = (place + distance) % 3;
            let session = format!("s{place}-{distance}");
            let first = put_by(way, &alice, &version, &[(&session, worse)]).await;
            let second = put_by(way, &alice, &version, &[(&session, better)]).await;
            assert_eq!(get(&alice, &version, &session).await, *better, "{worse} then {better}");
            assert_eq!(first["etag"] == second["etag"], worse == better, "{worse} then {better}");
            assert_eq!(first["count"], second["count"]);
            let third = put_by(way, &alice, &version, &[(&session, worse)]).await;
            assert_eq!(get(&alice, &version, &session).await, *better, "{better} then {worse}");
            assert_eq!(second, third, "a worse key changes nothing");
        }
    }
}

/// BKP-18, BKP-23: of two that rank the same the first stays, whatever is in them.
#[tokio::test]
async fn of_equals_the_first_stays() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let version = new_version(&alice).await;
    for verified in [false, true] {
        let stored = key(4, 2, verified);
        let mut other = stored.clone();
        other["session_data"] = json!({"ciphertext": "another"});
        for way in 0..3 {
            let session = format!("{verified}{way}");
            let first = put_by(way, &alice, &version, &[(&session, &stored)]).await;
            let second = put_by(way, &alice, &version, &[(&session, &other)]).await;
            assert_eq!(first, second);
            assert_eq!(get(&alice, &version, &session).await, stored);
        }
    }
}

/// BKP-14, BKP-15, BKP-16, BKP-17, BKP-21, BKP-22, BKP-23: many keys in one request are judged one by one.
#[tokio::test]
async fn each_key_of_many_is_judged_by_itself() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let version = new_version(&alice).await;
    let stored = [
        ("verified", key(5, 5, true)),
        ("unverified", key(5, 5, false)),
        ("index", key(5, 5, true)),
        ("forwarded", key(5, 5, true)),
        ("equal", key(5, 5, true)),
    ];
    let new = [
        ("verified", key(0, 0, false)),
        ("unverified", key(9, 9, true)),
        ("index", key(4, 9, true)),
        ("forwarded", key(5, 4, true)),
        ("equal", key(5, 5, true)),
        ("new", key(9, 9, false)),
    ];
    for way in 0..2 {
        of_version(alice.delete(KEYS), &version).await.ok();
        let pairs = |keys: &'static [&'static str], of: &[(&'static str, Value)]| -> Vec<(&'static str, Value)> {
            of.iter().filter(|(name, _)| keys.contains(name)).cloned().collect()
        };
        let put = async |keys: &[(&'static str, Value)]| {
            let keys: Vec<(&str, &Value)> = keys.iter().map(|(name, key)| (*name, key)).collect();
            put_by(way, &alice, &version, &keys).await
        };
        let first = put(&stored).await;
        assert_eq!(first["count"], 5);
        // Nothing that wins: nothing changes.
        assert_eq!(put(&pairs(&["verified", "equal"], &new)).await, first);
        let second = put(&new).await;
        assert_eq!(second["count"], 6);
        assert_ne!(second["etag"], first["etag"]);
        let expected = json!({"rooms": {ROOM: {"sessions": {
            "verified": key(5, 5, true), "unverified": key(9, 9, true), "index": key(4, 9, true),
            "forwarded": key(5, 4, true), "equal": key(5, 5, true), "new": key(9, 9, false),
        }}}});
        assert_eq!(all(&alice, &version).await, expected);
        assert_eq!(put(&new).await, second);
        let info = info(&alice, &version).await;
        assert_eq!((&info["count"], &info["etag"]), (&second["count"], &second["etag"]));
    }
}

/// BKP-23: an etag that was once is not seen again, however the content goes on.
#[tokio::test]
async fn an_etag_stands_for_one_content() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let version = new_version(&alice).await;
    let mut seen = vec![info(&alice, &version).await["etag"].clone()];
    for round in 0..3 {
        for answer in [
            put(&alice, &version, "s", &key(5, 0, false)).await,
            put(&alice, &version, "s", &key(4, 0, false)).await,
            put(&alice, &version, "t", &key(round, 0, true)).await,
            of_version(alice.delete(path("s")), &version).await.ok(),
            of_version(alice.delete(KEYS), &version).await.ok(),
        ] {
            assert!(!seen.contains(&answer["etag"]), "{answer} after {seen:?}");
            seen.push(answer["etag"].clone());
        }
    }
}
