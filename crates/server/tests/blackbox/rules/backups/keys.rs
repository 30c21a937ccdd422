//! Keys of a backup: put, read and deleted by session, by room and altogether.

use http::Method;
use serde_json::{Value, json};

use super::{KEYS, ROOM, all, get, in_room, info, key, new_version, of_version, path, put, room_path};
use crate::harness::{Client, Server, segment};

const OTHER: &str = "!other:example.org";

/// BKP-11: all nine need to be told which version is meant.
#[tokio::test]
async fn the_version_must_be_named() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let version = new_version(&alice).await;
    put(&alice, &version, "s", &key(1, 1, true)).await;
    let room = json!({"sessions": {"s": key(0, 0, true)}});
    let bodies = [json!({"rooms": {ROOM: room}}), room, key(0, 0, true)];
    for (place, body) in [KEYS.to_owned(), room_path(ROOM), path("s")].into_iter().zip(bodies) {
        alice.get(&place).await.error(400, "M_MISSING_PARAM");
        alice.put(&place, body).await.error(400, "M_MISSING_PARAM");
        alice.delete(&place).await.error(400, "M_MISSING_PARAM");
    }
    assert_eq!(get(&alice, &version, "s").await, key(1, 1, true));
}

/// BKP-20, BKP-21, BKP-22, BKP-26: what is put in one way can be read in each, with `session_data` as it was; every answer
/// says how many keys there are and how the content is called now, as the version does.
#[tokio::test]
async fn keys_are_put_and_read_in_three_ways() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let version = new_version(&alice).await;
    let opaque = json!({
        "first_message_index": 0, "forwarded_count": 3, "is_verified": true,
        "session_data": {"a": [1, 2.5, {"b": null}], "version": "x", "n": 12_345_678_901_u64, "é": "\u{1}"},
    });
    let agrees = async |answer: &Value, count: u64| {
        assert_eq!(answer["count"], count);
        assert!(answer["etag"].is_string(), "{answer}");
        assert_eq!(answer.as_object().unwrap().len(), 2, "{answer}");
        let info = info(&alice, &version).await;
        assert_eq!((&info["count"], &info["etag"]), (&answer["count"], &answer["etag"]));
    };
    let one = of_version(alice.put(path("one"), opaque.clone()), &version).await.ok();
    agrees(&one, 1).await;
    let room = json!({"sessions": {"two": key(1, 0, false), "three": key(2, 0, true)}});
    let three = of_version(alice.put(room_path(ROOM), room), &version).await.ok();
    agrees(&three, 3).await;
    let rooms = json!({"rooms": {
        ROOM: {"sessions": {"four": key(0, 0, false)}},
        OTHER: {"sessions": {"one": key(9, 0, false), "two": key(8, 8, true)}},
        "!empty:example.org": {"sessions": {}},
    }});
    let six = of_version(alice.put(KEYS, rooms), &version).await.ok();
    agrees(&six, 6).await;
    let nothing = of_version(alice.put(KEYS, json!({"rooms": {}})), &version).await.ok();
    assert_eq!(nothing, six);

    let here = json!({"sessions": {
        "one": opaque, "two": key(1, 0, false), "three": key(2, 0, true), "four": key(0, 0, false),
    }});
    let there = json!({"sessions": {"one": key(9, 0, false), "two": key(8, 8, true)}});
    assert_eq!(get(&alice, &version, "one").await, opaque);
    assert_eq!(of_version(alice.get(in_room(OTHER, "one")), &version).await.ok(), key(9, 0, false));
    assert_eq!(of_version(alice.get(room_path(ROOM)), &version).await.ok(), here);
    assert_eq!(of_version(alice.get(room_path(OTHER)), &version).await.ok(), there);
    assert_eq!(all(&alice, &version).await, json!({"rooms": {ROOM: here, OTHER: there}}));
}

/// BKP-24, BKP-25: of nothing there is an empty answer, but for one session none.
#[tokio::test]
async fn where_there_is_nothing() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let version = new_version(&alice).await;
    let empty = async |room: &str| {
        assert_eq!(of_version(alice.get(room_path(room)), &version).await.ok(), json!({"sessions": {}}));
        of_version(alice.get(in_room(room, "s")), &version).await.error(404, "M_NOT_FOUND");
    };
    assert_eq!(all(&alice, &version).await, json!({"rooms": {}}));
    empty(ROOM).await;
    put(&alice, &version, "t", &key(0, 0, true)).await;
    empty(OTHER).await;
    of_version(alice.get(path("s")), &version).await.error(404, "M_NOT_FOUND");
    of_version(alice.delete(path("t")), &version).await.ok();
    assert_eq!(all(&alice, &version).await, json!({"rooms": {}}));
    empty(ROOM).await;
}

/// BKP-23, BKP-27, BKP-22: a deletion takes what it names and nothing else, and that nothing was there is no error and no
/// change.
#[tokio::test]
async fn keys_are_deleted_in_three_ways() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let version = new_version(&alice).await;
    let sessions = json!({"sessions": {"a": key(0, 0, true), "ab": key(1, 0, true), "b": key(2, 0, true)}});
    let rooms = json!({"rooms": {ROOM: sessions, OTHER: sessions, "!room:example.orgs": sessions}});
    let put = of_version(alice.put(KEYS, rooms), &version).await.ok();
    assert_eq!(put["count"], 9);
    let mut etags = vec![put["etag"].clone()];
    for (place, count) in [(path("a"), 8), (room_path(ROOM), 6), (in_room(OTHER, "b"), 5), (KEYS.to_owned(), 0)] {
        let deleted = of_version(alice.delete(&place), &version).await.ok();
        assert_eq!(deleted["count"], count, "{place}");
        assert!(!etags.contains(&deleted["etag"]), "{place}: {deleted}");
        let again = of_version(alice.delete(&place), &version).await.ok();
        assert_eq!(again, deleted, "{place}");
        let info = info(&alice, &version).await;
        assert_eq!((&info["count"], &info["etag"]), (&deleted["count"], &deleted["etag"]));
        etags.push(deleted["etag"].clone());
        if count == 5 {
            let left = json!({"sessions": {"a": key(0, 0, true), "ab": key(1, 0, true)}});
            assert_eq!(all(&alice, &version).await, json!({"rooms": {OTHER: left, "!room:example.orgs": sessions}}));
        }
    }
    // What was deleted may come again, a worse key, too.
    let worse = of_version(alice.put(path("a"), key(9, 9, false)), &version).await.ok();
    assert_eq!(worse["count"], 1);
    assert!(!etags.contains(&worse["etag"]), "{worse}");
    assert_eq!(get(&alice, &version, "a").await, key(9, 9, false));
}

/// BKP-19: what is not a key is refused in each of the three ways, and nothing is stored.
#[tokio::test]
async fn what_is_not_a_key_is_refused() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let version = new_version(&alice).await;
    let with = |member: &str, value: Value| {
        let mut key = key(0, 0, true);
        key[member] = value;
        key
    };
    let mut bad = vec![json!({}), json!(1), json!("text"), json!([0, 0, true, {}])];
    for member in ["first_message_index", "forwarded_count", "is_verified", "session_data"] {
        let mut incomplete = key(0, 0, true);
        incomplete.as_object_mut().unwrap().remove(member);
        bad.extend([incomplete, with(member, json!(null)), with(member, json!([])), with(member, json!("0"))]);
    }
    for member in ["first_message_index", "forwarded_count"] {
        let out_of_range = [json!(-1), json!(0.5), json!(true), json!(9_007_199_254_740_992_u64), json!(u64::MAX)];
        bad.extend(out_of_range.map(|value| with(member, value)));
    }
    bad.extend([with("is_verified", json!(1)), with("is_verified", json!("true")), with("session_data", json!(1))]);
    for bad in bad {
        let room = json!({"sessions": {"good": key(0, 0, true), "bad": bad}});
        for (place, body) in [
            (path("bad"), bad.clone()),
            (room_path(ROOM), room.clone()),
            (KEYS.to_owned(), json!({"rooms": {ROOM: room}})),
        ] {
            refused(&alice, &version, &place, body).await;
        }
    }
    for (place, body) in [
        (KEYS.to_owned(), json!({})),
        (KEYS.to_owned(), json!({"rooms": []})),
        (KEYS.to_owned(), json!({"rooms": {ROOM: {}}})),
        (KEYS.to_owned(), json!({"rooms": {ROOM: {"sessions": []}}})),
        (KEYS.to_owned(), json!({"rooms": {"no room": {"sessions": {"s": key(0, 0, true)}}}})),
        (KEYS.to_owned(), json!({"rooms": {ROOM: {"sessions": {"": key(0, 0, true)}}}})),
        (KEYS.to_owned(), json!([])),
        (room_path(ROOM), json!({})),
        (room_path(ROOM), json!({"sessions": null})),
        (room_path("no room"), json!({"sessions": {"s": key(0, 0, true)}})),
        (in_room("no room", "s"), key(0, 0, true)),
        (path(&"s".repeat(256)), key(0, 0, true)),
    ] {
        refused(&alice, &version, &place, body).await;
    }
    assert_eq!(all(&alice, &version).await, json!({"rooms": {}}));
    assert_eq!(info(&alice, &version).await["count"], 0);
}

async fn refused(by: &Client, version: &str, place: &str, body: Value) {
    let response = of_version(by.put(place, body), version).await;
    assert_eq!(response.status, 400, "{response}");
    assert!(["M_BAD_JSON", "M_INVALID_PARAM"].contains(&response.errcode().as_str()), "{response}");
}

/// BKP-31: of many keys in one request all are stored or none.
#[tokio::test]
async fn a_bulk_upload_is_stored_whole_or_not_at_all() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let version = new_version(&alice).await;
    let before = put(&alice, &version, "old", &key(5, 0, false)).await;
    let many = |count: u64| -> serde_json::Map<String, Value> {
        (0..count).map(|number| (format!("s{number:04}"), key(number, 0, true))).collect()
    };
    for bad in ["a-first", "s0500-middle", "z-last"] {
        let mut sessions = many(1_000);
        sessions.insert("old".to_owned(), key(0, 0, true));
        sessions.insert(bad.to_owned(), json!({"first_message_index": 0}));
        let rooms = json!({"rooms": {OTHER: {"sessions": many(3)}, ROOM: {"sessions": sessions}}});
        refused(&alice, &version, KEYS, rooms).await;
        let info = info(&alice, &version).await;
        assert_eq!((&info["count"], &info["etag"]), (&before["count"], &before["etag"]));
        assert_eq!(all(&alice, &version).await, json!({"rooms": {ROOM: {"sessions": {"old": key(5, 0, false)}}}}));
    }
    let whole = json!({"rooms": {ROOM: {"sessions": many(1_000)}}});
    assert_eq!(of_version(alice.put(KEYS, whole), &version).await.ok()["count"], 1_001);
    // What is not JSON at all.
    let call = alice.call(Method::PUT, KEYS).bytes("{\"rooms\": {", "application/json");
    of_version(call, &version).await.error(400, "M_NOT_JSON");
}

/// GEN-21, BKP-25, BKP-21: ids with `/`, `+`, `=`, `%` and whatever else name one thing in a path and in a body.
#[tokio::test]
async fn any_id_names_its_own_key() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let version = new_version(&alice).await;
    let sessions = ["a/b", "a%2Fb", "a+b", "a b", "a=b", "a?b#c", "ä ö", "a\u{0}b", "a\u{1}b", "a//b", "%"];
    let rooms =
        [ROOM, "!a/b+c=d:example.org", "!a%2Fb%2Bc:example.org", "!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM"];
    let mut number = 0;
    for room in rooms {
        for session in sessions {
            number += 1;
            let put = of_version(alice.put(in_room(room, session), key(number, 0, true)), &version).await.ok();
            assert_eq!(put["count"], number, "{room} {session}");
        }
    }
    let stored = all(&alice, &version).await;
    let mut number = 0;
    for room in rooms {
        assert_eq!(of_version(alice.get(room_path(room)), &version).await.ok(), stored["rooms"][room]);
        for session in sessions {
            number += 1;
            assert_eq!(stored["rooms"][room]["sessions"][session], key(number, 0, true), "{room} {session}");
            let one = of_version(alice.get(in_room(room, session)), &version).await.ok();
            assert_eq!(one, key(number, 0, true), "{room} {session}");
        }
    }
    // Encoded more than it needs to be, it is the same.
    let encoded: String = "a/b".bytes().map(|byte| format!("%{byte:02X}")).collect();
    let place = format!("{KEYS}/{}/{encoded}", segment(ROOM));
    assert_eq!(of_version(alice.get(place), &version).await.ok(), key(1, 0, true));
    // Put with a body, found by its path.
    let body = json!({"rooms": {"!x/y:example.org": {"sessions": {"c/d+e=": key(0, 0, true)}}}});
    of_version(alice.put(KEYS, body), &version).await.ok();
    let place = in_room("!x/y:example.org", "c/d+e=");
    assert_eq!(of_version(alice.get(&place), &version).await.ok(), key(0, 0, true));
    of_version(alice.delete(&place), &version).await.ok();
    of_version(alice.get(&place), &version).await.error(404, "M_NOT_FOUND");
}
