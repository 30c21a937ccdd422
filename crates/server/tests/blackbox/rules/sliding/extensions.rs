//! The extensions `account_data`, `receipts` and `typing`.

use serde_json::{Value, json};

use super::{all_rooms, begun, extensions, list, room_of};
use crate::harness::{Client, Server, at};

/// All rooms, and these extensions.
fn with(extensions: Value) -> Value {
    let mut body = all_rooms(1);
    body["extensions"] = extensions;
    body
}

fn on() -> Value {
    json!({"enabled": true})
}

async fn set(client: &Client, room: Option<&str>, kind: &str, content: Value) {
    let room = room.map(|room| at!("/rooms/{}", room)).unwrap_or_default();
    client.put(at!("/user/{}", client.user_id()) + &room + &at!("/account_data/{}", kind), content).await.ok();
}

/// Types of account data events.
fn kinds(events: &Value) -> Vec<String> {
    let events = events.as_array().cloned().unwrap_or_default();
    let mut kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect();
    kinds.sort();
    kinds
}

/// SSS-1: account data: all of it first, and push rules always; then what changed; of rooms, those the client looks at.
#[tokio::test]
async fn account_data_is_told() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let (a, b) = (room_of(&alice, &bob).await, room_of(&alice, &bob).await);
    set(&bob, None, "org.example.g", json!({"n": 1})).await;
    for room in [&a, &b] {
        set(&bob, Some(room), "org.example.r", json!({"n": 1})).await;
    }
    let mut body = list(json!([[0, 0]]), 1, json!([]));
    body["extensions"] = json!({ "account_data": on() });
    let mut sync = bob.sliding(body.clone());
    let first = sync.now().await["extensions"]["account_data"].clone();
    assert_eq!(kinds(&first["global"]), ["m.push_rules", "org.example.g"]);
    assert_eq!((kinds(&first["rooms"][&b]), first["rooms"].get(&a)), (vec!["org.example.r".to_owned()], None));
    set(&bob, None, "org.example.h", json!({"n": 1})).await;
    set(&bob, Some(&b), "org.example.s", json!({"n": 1})).await;
    set(&bob, Some(&a), "org.example.s", json!({"n": 1})).await;
    for _ in 0..2 {
        let came = sync.peek().await;
        let part = &came["extensions"]["account_data"];
        assert_eq!(kinds(&part["global"]), ["org.example.h"]);
        assert_eq!((kinds(&part["rooms"][&b]), part["rooms"].get(&a)), (vec!["org.example.s".to_owned()], None));
        assert_eq!(came["rooms"], json!({}));
    }
    sync.now().await;
    assert_eq!(sync.now().await["extensions"]["account_data"], json!({}));
    // A room that comes into the window brings all that is set in it.
    body["lists"]["all"]["ranges"] = json!([[0, 9]]);
    sync.body = body;
    let came = sync.now().await["extensions"]["account_data"].clone();
    assert_eq!(kinds(&came["rooms"][&a]), ["org.example.r", "org.example.s"]);
    // And one that leaves it is told of when it is back.
    sync.body["lists"]["all"]["ranges"] = json!([[0, 0]]);
    set(&bob, Some(&a), "org.example.r", json!({"n": 2})).await;
    alice.send_text(&b, "x").await;
    assert_eq!(sync.now().await["extensions"]["account_data"], json!({}));
    sync.body["lists"]["all"]["ranges"] = json!([[0, 9]]);
    let came = sync.now().await["extensions"]["account_data"].clone();
    assert_eq!(kinds(&came["rooms"][&a]), ["org.example.r"]);
    assert_eq!(sync.now().await["extensions"]["account_data"], json!({}));
}

/// SSS-1: an extension that is asked for later tells from the beginning; one that was left out goes on where it was.
#[tokio::test]
async fn extensions_come_and_go() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = room_of(&alice, &bob).await;
    set(&bob, None, "org.example.g", json!({})).await;
    set(&bob, Some(&room), "org.example.r", json!({})).await;
    let event = alice.send_text(&room, "hello").await;
    alice.post(at!("/rooms/{}/receipt/m.read/{}", room, event), json!({})).await.ok();
    let mut sync = begun(&bob, all_rooms(1)).await;
    sync.body = with(json!({"account_data": on(), "receipts": on(), "typing": on()}));
    let came = sync.now().await["extensions"].clone();
    assert_eq!(kinds(&came["account_data"]["global"]), ["m.push_rules", "org.example.g"]);
    assert_eq!(kinds(&came["account_data"]["rooms"][&room]), ["org.example.r"]);
    assert!(came["receipts"]["rooms"][&room]["content"][&event]["m.read"][alice.user_id()].is_object(), "{came}");
    sync.body = all_rooms(1);
    set(&bob, None, "org.example.h", json!({})).await;
    alice.send_text(&room, "more").await;
    assert_eq!(sync.now().await["extensions"], json!({}));
    set(&bob, None, "org.example.i", json!({})).await;
    sync.body = with(json!({ "account_data": on() }));
    let came = sync.now().await["extensions"]["account_data"].clone();
    assert_eq!(kinds(&came["global"]), ["org.example.h", "org.example.i"]);
}

/// SSS-1: receipts: of a room that is new to the client its own and those of events it gets; then new ones. Private ones
/// are seen by their owner alone.
#[tokio::test]
async fn receipts_are_told() {
    let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
    let room = room_of(&alice, &bob).await;
    carol.join(&room).await;
    let read = async |by: &Client, kind: &str, event: &str| {
        by.post(at!("/rooms/{}/receipt/{}/{}", room, kind, event), json!({})).await.ok();
    };
    let (old, new) = (alice.send_text(&room, "old").await, alice.send_text(&room, "new").await);
    read(&alice, "m.read", &new).await;
    read(&carol, "m.read", &old).await;
    read(&bob, "m.read.private", &old).await;
    let mut sync = bob.sliding(with(json!({ "receipts": on() })));
    let of = |sync: &Value| sync["extensions"]["receipts"]["rooms"][&room].clone();
    let first = of(&sync.now().await);
    assert_eq!(first["type"], "m.receipt");
    let content = &first["content"];
    assert!(content[&new]["m.read"][alice.user_id()]["ts"].is_u64(), "{first}");
    assert!(content[&old]["m.read.private"][bob.user_id()].is_object(), "{first}");
    assert!(content[&old].get("m.read").is_none(), "of an event the client did not get: {first}");
    read(&carol, "m.read", &new).await;
    read(&alice, "m.read.private", &new).await;
    for _ in 0..2 {
        let content = of(&sync.peek().await)["content"].clone();
        let expected: Vec<_> = content[&new]["m.read"].as_object().unwrap().keys().cloned().collect();
        assert_eq!((content.as_object().unwrap().len(), expected), (1, vec![carol.user_id().to_owned()]), "{content}");
        assert!(content[&new].get("m.read.private").is_none(), "{content}");
    }
    sync.now().await;
    assert_eq!(sync.now().await["extensions"]["receipts"], json!({}));
}

/// SSS-1: typing, and its end.
#[tokio::test]
async fn typing_is_told() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = room_of(&alice, &bob).await;
    let typing = async |typing: bool| {
        let path = at!("/rooms/{}/typing/{}", room, alice.user_id());
        alice.put(path, json!({"typing": typing, "timeout": 60_000})).await.ok();
    };
    let mut sync = begun(&bob, with(json!({ "typing": on() }))).await;
    let users = |sync: &Value| sync["extensions"]["typing"]["rooms"][&room]["content"]["user_ids"].clone();
    typing(true).await;
    let came = sync.now().await;
    assert_eq!((users(&came), &came["rooms"]), (json!([alice.user_id()]), &json!({})));
    assert_eq!(users(&bob.sliding(with(json!({ "typing": on() }))).now().await), json!([alice.user_id()]));
    assert_eq!(sync.now().await["extensions"]["typing"], json!({}));
    typing(false).await;
    assert_eq!(users(&sync.now().await), json!([]));
}

/// SSS-1: extensions may be of some lists and of some rooms.
#[tokio::test]
async fn extensions_are_of_chosen_rooms() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let (a, b) = (room_of(&alice, &bob).await, room_of(&alice, &bob).await);
    for room in [&a, &b] {
        set(&bob, Some(room), "org.example.r", json!({})).await;
    }
    let told = async |lists: Value, rooms: Value| {
        let mut data = on();
        if !lists.is_null() {
            data["lists"] = lists;
        }
        if !rooms.is_null() {
            data["rooms"] = rooms;
        }
        let mut body = extensions(json!({ "account_data": data }));
        body["lists"] = json!({"newest": {"ranges": [[0, 0]], "timeline_limit": 1}});
        body["room_subscriptions"] = json!({&a: {"timeline_limit": 1}});
        let sync = bob.sliding(body).now().await;
        let rooms = sync["extensions"]["account_data"]["rooms"].as_object().cloned().unwrap_or_default();
        (rooms.contains_key(&a), rooms.contains_key(&b))
    };
    assert_eq!(told(Value::Null, Value::Null).await, (true, true));
    assert_eq!(told(json!([]), Value::Null).await, (true, false));
    assert_eq!(told(json!([]), json!([])).await, (false, false));
    assert_eq!(told(json!(["newest"]), json!([])).await, (false, true));
    assert_eq!(told(json!(["other"]), json!([a])).await, (true, false));
    assert_eq!(told(Value::Null, json!([b])).await, (false, true));
    assert_eq!(told(json!([]), json!(["*"])).await, (true, false));
}
