//! The endpoint, connections, and what a `pos` stands for.

use std::time::Duration;

use serde_json::{Value, json};

use super::{all_rooms, begun, bodies, extensions, list, room_of};
use crate::harness::{SLIDING_SYNC, Server, sliding_rooms};

/// SSS-1: the flag is there, and the path it promises. Rooms and extensions come in the form clients read.
#[tokio::test]
async fn the_flag_promises_the_path() {
    let server = Server::shared().await;
    assert_eq!(server.versions().await["unstable_features"]["org.matrix.simplified_msc3575"], true);
    let alice = server.user("alice").await;
    let room = alice.create_room(json!({})).await;
    let mut body = all_rooms(1);
    body["conn_id"] = json!("room-list");
    body["extensions"] = json!({"e2ee": {"enabled": true}, "to_device": {"enabled": true},
        "account_data": {"enabled": true}, "receipts": {"enabled": true}, "typing": {"enabled": true}});
    let sync = alice.sliding(body).now().await;
    assert_eq!(sync["lists"]["all"]["count"], 1);
    assert_eq!(sliding_rooms(&sync), [room.as_str()]);
    assert!(sync["rooms"][&room]["timeline"].is_array() && sync["pos"].is_string(), "{sync}");
    assert!(sync["extensions"]["to_device"]["next_batch"].is_string(), "{sync}");
    alice.call(http::Method::GET, SLIDING_SYNC).await.error(405, "M_UNRECOGNIZED");
    server.anonymous().post(SLIDING_SYNC, json!({})).await.error(401, "M_MISSING_TOKEN");
    // An empty body is a request for nothing.
    let sync = alice.post(SLIDING_SYNC, json!({})).await.ok();
    assert_eq!((&sync["rooms"], &sync["lists"], &sync["extensions"]), (&json!({}), &json!({}), &json!({})));
}

/// SSS-1: a transaction id is not sent back. SDKs that send one would then leave out their extensions.
#[tokio::test]
async fn nothing_is_sticky() {
    let alice = Server::shared().await.user("alice").await;
    let mut body = extensions(json!({"e2ee": {"enabled": true}}));
    body["txn_id"] = json!("t1");
    let sync = alice.sliding(body).now().await;
    assert!(sync.get("txn_id").is_none(), "{sync}");
}

/// SSS-2: a `pos` of another device, user or connection, one that was changed, and any other text.
#[tokio::test]
async fn a_foreign_pos_is_unknown() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let phone = alice.another_device().await;
    let mut body = all_rooms(1);
    body["conn_id"] = json!("one");
    let sync = begun(&alice, body.clone()).await;
    let pos = sync.pos().to_owned();
    for other in [&bob, &phone] {
        other.sliding(body.clone()).at(&pos).ask(Duration::ZERO).await.error(400, "M_UNKNOWN_POS");
        // Also where a connection of that name exists.
        begun(other, body.clone()).await.at(&pos).ask(Duration::ZERO).await.error(400, "M_UNKNOWN_POS");
    }
    let mut another = body.clone();
    another["conn_id"] = json!("two");
    alice.sliding(another).at(&pos).ask(Duration::ZERO).await.error(400, "M_UNKNOWN_POS");
    let mut changed: Vec<String> = ["p1_2_3_4", "s1_2_3", "1", "nonsense", "p"].map(str::to_owned).to_vec();
    changed.push(format!("{pos}0"));
    for (part, text) in pos.split('_').enumerate() {
        let mut parts: Vec<String> = pos.split('_').map(str::to_owned).collect();
        let number: u64 = text.trim_start_matches('p').parse().unwrap();
        parts[part] = format!("{}{}", if part == 0 { "p" } else { "" }, number.wrapping_add(1));
        changed.push(parts.join("_"));
    }
    for text in changed {
        sync.at(&text).ask(Duration::ZERO).await.error(400, "M_UNKNOWN_POS");
    }
    assert_eq!(sync.peek().await["rooms"], json!({}), "the right one still stands");
}

/// SSS-2: a device that is made again under its old id has none of the old one's connections.
#[tokio::test]
async fn a_pos_ends_with_its_device() {
    let alice = Server::shared().await.user("alice").await;
    let phone = alice.login("PHONE").await;
    let old = begun(&phone, all_rooms(1)).await;
    phone.logout().await;
    let phone = alice.login("PHONE").await;
    phone.sliding(all_rooms(1)).at(old.pos()).ask(Duration::ZERO).await.error(400, "M_UNKNOWN_POS");
}

/// SSS-2: the seventeenth connection of a device takes the place of the one that began first.
#[tokio::test]
async fn the_oldest_of_too_many_connections_is_forgotten() {
    let alice = Server::shared().await.user("alice").await;
    let mut connections = Vec::new();
    for number in 0..17 {
        let mut body = all_rooms(1);
        body["conn_id"] = json!(format!("c{number}"));
        connections.push(begun(&alice, body).await);
    }
    connections[0].ask(Duration::ZERO).await.error(400, "M_UNKNOWN_POS");
    for connection in &connections[1..] {
        connection.peek().await;
    }
}

/// SSS-3: the same `pos` gives the same news, as often as it is used, and more when there is more.
#[tokio::test]
async fn a_pos_may_be_used_again() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = room_of(&alice, &bob).await;
    let mut sync = bob.sliding(all_rooms(10));
    // The first request as well.
    let (first, again) = (sync.peek().await, sync.now().await);
    assert_eq!(first["rooms"][&room]["initial"], true);
    assert_eq!(sliding_rooms(&first), sliding_rooms(&again));
    alice.send_text(&room, "one").await;
    for _ in 0..3 {
        assert_eq!(bodies(&sync.peek().await, &room), ["one"]);
    }
    alice.send_text(&room, "two").await;
    let taken = sync.peek().await;
    assert_eq!(bodies(&taken, &room), ["one", "two"]);
    sync.take(&taken);
    for _ in 0..3 {
        assert_eq!(sync.peek().await["rooms"], json!({}));
    }
}

/// SSS-3: also where the answer that was lost told of new rooms, and the client asked for something else meanwhile.
#[tokio::test]
async fn a_lost_answer_changes_nothing() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let old = room_of(&alice, &bob).await;
    let mut sync = begun(&bob, all_rooms(10)).await;
    let new = room_of(&alice, &bob).await;
    alice.send_text(&old, "old").await;
    alice.send_text(&new, "new").await;
    let mut other = sync.clone();
    other.body = list(json!([[0, 0]]), 1, json!([]));
    other.peek().await;
    for _ in 0..6 {
        let lost = sync.peek().await;
        assert_eq!((bodies(&lost, &old), &lost["rooms"][&new]["initial"]), (vec!["old".to_owned()], &json!(true)));
    }
    sync.now().await;
    alice.send_text(&new, "more").await;
    let came = sync.now().await;
    assert_eq!((bodies(&came, &new), &came["rooms"][&new]["initial"]), (vec!["more".to_owned()], &Value::Null));
    assert_eq!(sliding_rooms(&came), [new]);
}

/// SSS-3: an answer made for a request that was given up does not end the connection of who asked again.
#[tokio::test]
async fn an_abandoned_request_does_no_harm() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let sync = begun(&bob, all_rooms(10)).await;
    let room = room_of(&alice, &bob).await;
    let mut kept = sync.clone();
    kept.now().await;
    sync.peek().await;
    alice.send_text(&room, "hello").await;
    assert_eq!(bodies(&kept.now().await, &room), ["hello"]);
}

/// SSS-2: a connection that begins again has nothing of the one before, and that one is over.
#[tokio::test]
async fn a_connection_begins_again() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut sync = begun(&bob, all_rooms(10)).await;
    let room = room_of(&alice, &bob).await;
    sync.now().await;
    let next = room_of(&alice, &bob).await;
    sync.now().await;
    let again = bob.sliding(all_rooms(10)).now().await;
    for room in [&room, &next] {
        assert_eq!(again["rooms"][room]["initial"], true, "{again}");
    }
    sync.ask(Duration::ZERO).await.error(400, "M_UNKNOWN_POS");
}

/// SSS-1: connections of a device are apart: what one was told the other is told too, and each goes on for itself.
#[tokio::test]
async fn connections_are_apart() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = room_of(&alice, &bob).await;
    let mut connections = Vec::new();
    for name in ["one", "two", ""] {
        let mut body = all_rooms(10);
        if !name.is_empty() {
            body["conn_id"] = json!(name);
        }
        connections.push(begun(&bob, body).await);
    }
    for text in ["a", "b"] {
        alice.send_text(&room, text).await;
        for connection in &mut connections {
            assert_eq!(bodies(&connection.now().await, &room), [text]);
        }
        assert_eq!(connections[1].now().await["rooms"], json!({}));
    }
}

/// SSS-3: a connection goes on after the server was killed, and a `pos` from before stands for the same.
#[tokio::test]
async fn a_connection_outlives_the_server() {
    let Some(server) = Server::process().await else { return };
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let room = room_of(&alice, &bob).await;
    let mut body = all_rooms(10);
    body["extensions"] = json!({"to_device": {"enabled": true}, "e2ee": {"enabled": true}});
    let mut sync = begun(&bob, body).await;
    alice.send_text(&room, "one").await;
    let lost = sync.peek().await;
    server.kill().await;
    server.restart().await;
    let came = sync.now().await;
    assert_eq!((bodies(&came, &room), bodies(&lost, &room)), (vec!["one".to_owned()], vec!["one".to_owned()]));
    assert_eq!(came["rooms"][&room]["initial"], Value::Null);
    assert!(came["extensions"]["e2ee"].get("device_one_time_keys_count").is_none(), "{came}");
    server.kill().await;
    server.restart().await;
    assert_eq!(sync.now().await["rooms"], json!({}));
    alice.send_text(&room, "two").await;
    assert_eq!(bodies(&sync.now().await, &room), ["two"]);
}

/// SSS-1: what is beyond the bounds, or of no right form, is refused and changes nothing.
#[tokio::test]
async fn requests_are_bounded() {
    let alice = Server::shared().await.user("alice").await;
    let sync = begun(&alice, all_rooms(1)).await;
    let refused = async |body: Value, code: &str| {
        let mut bad = sync.clone();
        bad.body = body;
        bad.ask(Duration::ZERO).await.error(400, code);
    };
    let one = json!({"ranges": [[0, 1]], "timeline_limit": 1});
    let lists: serde_json::Map<_, _> = (0..101).map(|number| (format!("l{number}"), one.clone())).collect();
    refused(json!({ "lists": lists }), "M_INVALID_PARAM").await;
    let rooms: serde_json::Map<_, _> =
        (0..1_001).map(|number| (format!("!r{number}:localhost"), json!({"timeline_limit": 1}))).collect();
    refused(json!({ "room_subscriptions": rooms }), "M_INVALID_PARAM").await;
    let ranges: Vec<_> = (0..101).map(|number| json!([number, number])).collect();
    refused(list(json!(ranges), 1, json!([])), "M_INVALID_PARAM").await;
    refused(list(json!([[5, 4]]), 1, json!([])), "M_INVALID_PARAM").await;
    let state: Vec<_> = (0..201).map(|number| json!(["m.room.name", number.to_string()])).collect();
    refused(list(json!([[0, 1]]), 1, json!(state)), "M_INVALID_PARAM").await;
    refused(json!({"conn_id": "x".repeat(256)}), "M_INVALID_PARAM").await;
    refused(extensions(json!({"to_device": {"enabled": true, "since": "nonsense"}})), "M_INVALID_PARAM").await;
    for wrong in [
        json!([]),
        json!({"lists": []}),
        json!({"lists": {"all": {"ranges": [[0]], "timeline_limit": 1}}}),
        json!({"lists": {"all": {"ranges": [[-1, 1]], "timeline_limit": 1}}}),
        json!({"lists": {"all": {"ranges": [[0, 1]], "timeline_limit": "1"}}}),
        json!({"room_subscriptions": {"no room": {"timeline_limit": 1}}}),
        json!({"extensions": {"e2ee": {"enabled": "yes"}}}),
        json!({"conn_id": 1}),
    ] {
        refused(wrong, "M_BAD_JSON").await;
    }
    let call = alice.call(http::Method::POST, SLIDING_SYNC).bytes("{", "application/json");
    call.await.error(400, "M_NOT_JSON");
    let large = json!({"conn_id": "x".repeat(1024 * 1024)});
    alice.post(SLIDING_SYNC, large).await.error(413, "M_TOO_LARGE");
    alice.post(SLIDING_SYNC, json!({})).query("set_presence", "away").await.error(400, "M_INVALID_PARAM");
    // As large as they may be, numbers do no harm.
    let mut huge = sync.clone();
    huge.body = list(json!([[0, 9_007_199_254_740_991_u64]]), 9_007_199_254_740_991, json!([["*", "*"]]));
    assert_eq!(huge.peek().await["lists"]["all"]["count"], 0);
    assert_eq!(sync.peek().await["rooms"], json!({}), "and the connection stands");
}

/// SSS-1, SSS-4: an idle poll answers when its time is over, says nothing, and its `pos` is good to go on with.
#[tokio::test]
async fn an_idle_poll_waits_its_time() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = room_of(&alice, &bob).await;
    let mut body = all_rooms(10);
    body["extensions"] = json!({"to_device": {"enabled": true}, "e2ee": {"enabled": true},
        "account_data": {"enabled": true}, "receipts": {"enabled": true}, "typing": {"enabled": true}});
    let mut sync = begun(&bob, body).await;
    let began = std::time::Instant::now();
    let idle = sync.step(Duration::from_millis(300)).await;
    assert!(began.elapsed() >= Duration::from_millis(300), "{idle}");
    assert_eq!((&idle["rooms"], &idle["extensions"]["e2ee"]), (&json!({}), &json!({})));
    assert_eq!(idle["extensions"]["account_data"], json!({}));
    alice.send_text(&room, "hello").await;
    assert_eq!(bodies(&sync.now().await, &room), ["hello"]);
}
