//! Lists: their order, windows and filters; and rooms that are named.

use serde_json::{Value, json};

use super::{all_rooms, begun, bodies, list, room_of};
use crate::harness::{Client, Server, at, sliding_rooms};

/// A list with filters, of a connection of its own.
async fn filtered(client: &Client, filters: Value) -> (Vec<String>, u64) {
    let mut body = all_rooms(1);
    body["lists"]["all"]["filters"] = filters;
    let sync = client.sliding(body).now().await;
    (sliding_rooms(&sync), sync["lists"]["all"]["count"].as_u64().unwrap())
}

fn sorted<const N: usize>(rooms: [&String; N]) -> Vec<String> {
    let mut rooms = rooms.map(Clone::clone);
    rooms.sort();
    rooms.to_vec()
}

/// SSS-1: the window holds the most recent rooms; a message makes a room recent, a reaction or a topic does not.
#[tokio::test]
async fn a_window_holds_the_most_recent_rooms() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut rooms = Vec::new();
    let mut message = String::new();
    for _ in 0..5 {
        let room = room_of(&alice, &bob).await;
        message = alice.send_text(&room, "hello").await;
        rooms.push(room);
    }
    let window = async |first: usize, last: usize| {
        let sync = bob.sliding(list(json!([[first, last]]), 1, json!([]))).now().await;
        assert_eq!(sync["lists"]["all"]["count"], 5);
        sliding_rooms(&sync)
    };
    assert_eq!(window(0, 1).await, sorted([&rooms[4], &rooms[3]]));
    assert_eq!(window(1, 2).await, sorted([&rooms[3], &rooms[2]]));
    assert_eq!(window(4, 9).await, sorted([&rooms[0]]));
    assert_eq!(window(5, 9).await, Vec::<String>::new());
    alice.send_text(&rooms[0], "again").await;
    assert_eq!(window(0, 1).await, sorted([&rooms[0], &rooms[4]]));
    // Nothing of this moves a room.
    alice.send_state(&rooms[1], "m.room.topic", "", json!({"topic": "x"})).await;
    let reaction = json!({"m.relates_to": {"rel_type": "m.annotation", "event_id": message, "key": "x"}});
    alice.send(&rooms[2], "m.reaction", reaction).await;
    bob.put(at!("/profile/{}/displayname", bob.user_id()), json!({"displayname": "Bob"})).await.ok();
    assert_eq!(window(0, 1).await, sorted([&rooms[0], &rooms[4]]));
    alice.send(&rooms[1], "m.room.encrypted", json!({"ciphertext": "x"})).await;
    assert_eq!(window(0, 0).await, sorted([&rooms[1]]));
    // Several ranges, also where they meet.
    let sync = bob.sliding(list(json!([[0, 0], [4, 4], [4, 7]]), 1, json!([]))).now().await;
    assert_eq!(sliding_rooms(&sync).len(), 2);
}

/// SSS-1: `bump_stamp` grows with messages, and only with them.
#[tokio::test]
async fn bump_stamps_tell_the_order() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let (a, b) = (room_of(&alice, &bob).await, room_of(&alice, &bob).await);
    let mut sync = bob.sliding(all_rooms(1));
    let first = sync.now().await;
    let stamp = |sync: &Value, room: &str| sync["rooms"][room]["bump_stamp"].as_u64().unwrap();
    assert!(stamp(&first, &a) < stamp(&first, &b), "{first}");
    alice.send_text(&a, "hello").await;
    let second = sync.now().await;
    assert!(stamp(&second, &a) > stamp(&first, &b), "{second}");
    alice.send_state(&a, "m.room.topic", "", json!({"topic": "x"})).await;
    let third = sync.now().await;
    assert_eq!(stamp(&third, &a), stamp(&second, &a), "{third}");
    alice.send(&a, "m.sticker", json!({"body": "x"})).await;
    assert!(stamp(&sync.now().await, &a) > stamp(&third, &a));
}

/// SSS-1: a room that leaves the window keeps its news, and they are told when it is back.
#[tokio::test]
async fn what_happens_outside_of_the_window_is_told_later() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let (a, b) = (room_of(&alice, &bob).await, room_of(&alice, &bob).await);
    alice.send_text(&a, "a1").await;
    let wide = list(json!([[0, 9]]), 3, json!([["m.room.topic", ""]]));
    let narrow = list(json!([[0, 0]]), 3, json!([["m.room.topic", ""]]));
    let mut sync = begun(&bob, wide.clone()).await;
    sync.body = narrow;
    alice.send_text(&a, "a2").await;
    alice.send_state(&a, "m.room.topic", "", json!({"topic": "t"})).await;
    alice.send_text(&b, "b1").await;
    // Only the most recent room is in the window now.
    let came = sync.now().await;
    assert_eq!((sliding_rooms(&came), bodies(&came, &b)), (vec![b.clone()], vec!["b1".to_owned()]));
    assert_eq!(came["lists"]["all"]["count"], 2);
    assert_eq!(sync.now().await["rooms"], json!({}));
    alice.send_text(&b, "b2").await;
    sync.now().await;
    sync.body = wide;
    for _ in 0..2 {
        let back = sync.peek().await;
        assert_eq!((sliding_rooms(&back), bodies(&back, &a)), (vec![a.clone()], vec!["a2".to_owned()]), "{back}");
        let room = &back["rooms"][&a];
        assert_eq!((&room["initial"], &room["limited"]), (&Value::Null, &json!(false)));
        assert_eq!(room["required_state"][0]["content"]["topic"], "t");
    }
    sync.now().await;
    assert_eq!(sync.now().await["rooms"], json!({}));
}

/// SSS-1: a gap is told as one, and can be filled from `prev_batch`.
#[tokio::test]
async fn a_gap_is_told() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = room_of(&alice, &bob).await;
    let mut sync = begun(&bob, all_rooms(2)).await;
    for number in 0..5 {
        alice.send_text(&room, &number.to_string()).await;
    }
    let came = sync.now().await;
    assert_eq!(bodies(&came, &room), ["3", "4"]);
    assert_eq!((&came["rooms"][&room]["limited"], &came["rooms"][&room]["num_live"]), (&json!(true), &json!(2)));
    let from = came["rooms"][&room]["prev_batch"].as_str().unwrap();
    let path = at!("/rooms/{}/messages", room);
    let page = bob.get(&path).query("from", from).query("dir", "b").query("limit", 3).await.ok();
    let texts: Vec<_> =
        page["chunk"].as_array().unwrap().iter().map(|event| event["content"]["body"].clone()).collect();
    assert_eq!(texts, ["2", "1", "0"]);
    // A `pos` is a place as well.
    let page = bob.get(&path).query("from", sync.pos()).query("dir", "b").query("limit", 1).await.ok();
    assert_eq!(page["chunk"][0]["content"]["body"], "4");
}

/// SSS-1: filters.
#[tokio::test]
async fn filters_choose_rooms() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let plain = alice.create_room(json!({})).await;
    let encrypted = alice.encrypted_room(&[]).await;
    let space = alice.create_room(json!({"creation_content": {"type": "m.space"}})).await;
    let invited = bob.create_room(json!({"invite": [alice.user_id()]})).await;
    let path = at!("/user/{}/account_data/m.direct", alice.user_id());
    alice.put(path, json!({bob.user_id(): [plain, invited], "x": 3})).await.ok();
    let all = [&plain, &encrypted, &space, &invited];
    for (filters, expected) in [
        (json!({}), sorted(all)),
        (json!({"is_dm": true}), sorted([&plain, &invited])),
        (json!({"is_dm": false}), sorted([&encrypted, &space])),
        (json!({"is_encrypted": true}), sorted([&encrypted])),
        (json!({"is_encrypted": false}), sorted([&plain, &space, &invited])),
        (json!({"is_invite": true}), sorted([&invited])),
        (json!({"is_invite": false}), sorted([&plain, &encrypted, &space])),
        (json!({"room_types": ["m.space"]}), sorted([&space])),
        (json!({"room_types": [null]}), sorted([&plain, &encrypted, &invited])),
        (json!({"not_room_types": ["m.space"]}), sorted([&plain, &encrypted, &invited])),
        (json!({"room_types": ["m.space", null], "not_room_types": [null]}), sorted([&space])),
        (json!({"is_dm": true, "is_invite": false}), sorted([&plain])),
    ] {
        let count = expected.len() as u64;
        assert_eq!(filtered(&alice, filters.clone()).await, (expected, count), "{filters}");
    }
    let sync = alice.sliding(all_rooms(1)).now().await;
    assert_eq!((&sync["rooms"][&plain]["is_dm"], &sync["rooms"][&space]["is_dm"]), (&json!(true), &json!(false)));
}

/// SSS-1: rooms that are named are told wherever they are in a list; those one has no business in are passed over.
#[tokio::test]
async fn rooms_are_subscribed_to() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let (a, b) = (room_of(&alice, &bob).await, room_of(&alice, &bob).await);
    let private = alice.create_room(json!({"preset": "private_chat"})).await;
    for number in 0..3 {
        alice.send_text(&a, &number.to_string()).await;
    }
    alice.send_text(&b, "b").await;
    let mut body = list(json!([[0, 0]]), 1, json!([]));
    let subscription = json!({"timeline_limit": 2, "required_state": [["m.room.create", ""]]});
    body["room_subscriptions"] = json!({&a: subscription, &private: subscription, "!nowhere:localhost": subscription});
    let mut sync = bob.sliding(body.clone());
    let first = sync.now().await;
    assert_eq!(sliding_rooms(&first), sorted([&a, &b]));
    assert_eq!((bodies(&first, &a), bodies(&first, &b)), (vec!["1".to_owned(), "2".to_owned()], vec!["b".to_owned()]));
    assert_eq!(first["rooms"][&a]["required_state"][0]["type"], "m.room.create");
    alice.send_text(&private, "secret").await;
    alice.send_text(&b, "b2").await;
    alice.send_text(&a, "3").await;
    alice.send_text(&b, "b3").await;
    let came = sync.now().await;
    assert_eq!((bodies(&came, &a), sliding_rooms(&came)), (vec!["3".to_owned()], sorted([&a, &b])));
    // Both want it: it is told once, as the larger wish has it.
    body["lists"]["all"]["ranges"] = json!([[0, 9]]);
    sync.body = body;
    alice.send_text(&a, "4").await;
    alice.send_text(&a, "5").await;
    let came = sync.now().await;
    assert_eq!((bodies(&came, &a), sliding_rooms(&came)), (vec!["4".to_owned(), "5".to_owned()], vec![a]));
}

/// SSS-1: a window that grows brings what comes into it, at once; and the count of a list is told when it changes.
#[tokio::test]
async fn a_window_grows() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut rooms = Vec::new();
    for _ in 0..6 {
        rooms.push(room_of(&alice, &bob).await);
    }
    let mut sync = begun(&bob, list(json!([[0, 1]]), 1, json!([]))).await;
    sync.body = list(json!([[0, 3]]), 1, json!([]));
    let grown = sync.step(std::time::Duration::from_secs(60)).await;
    assert_eq!(sliding_rooms(&grown), sorted([&rooms[2], &rooms[3]]));
    sync.body["lists"]["more"] = json!({"ranges": [], "timeline_limit": 1});
    let counted = sync.step(std::time::Duration::from_secs(60)).await;
    assert_eq!((&counted["lists"]["more"]["count"], &counted["rooms"]), (&json!(6), &json!({})));
}
