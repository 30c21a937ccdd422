//! What is told of a room the user is in.

use serde_json::{Value, json};

use super::{all_rooms, begun, bodies, list, required, room_of};
use crate::harness::{Server, at, sliding_rooms, sliding_timeline};

const MEMBER: &str = "m.room.member";

/// SSS-1: a room that is new to the client, whole; later only what is new.
#[tokio::test]
async fn a_room_is_told_whole_and_then_its_news() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let body = json!({"preset": "public_chat", "name": "The room", "topic": "About it"});
    let room = alice.create_room(body).await;
    alice.send_state(&room, "m.room.avatar", "", json!({"url": "mxc://localhost/abc"})).await;
    bob.join(&room).await;
    alice.send_text(&room, "hello").await;
    let state = json!([["m.room.create", ""], ["m.room.topic", ""], [MEMBER, "$ME"], [MEMBER, "$LAZY"]]);
    let mut sync = bob.sliding(list(json!([[0, 9]]), 1, state));
    let first = sync.now().await;
    let told = &first["rooms"][&room];
    assert_eq!(
        (&told["initial"], &told["name"], &told["avatar"]),
        (&json!(true), &json!("The room"), &json!("mxc://localhost/abc"))
    );
    assert_eq!((&told["joined_count"], &told["invited_count"]), (&json!(2), &json!(0)));
    assert_eq!((&told["limited"], &told["num_live"], &told["is_dm"]), (&json!(true), &json!(0), &json!(false)));
    assert_eq!((&told["notification_count"], &told["highlight_count"]), (&json!(1), &json!(0)));
    assert!(told["bump_stamp"].is_u64() && told["prev_batch"].is_string() && told.get("heroes").is_none(), "{told}");
    assert_eq!(bodies(&first, &room), ["hello"]);
    let event = &sliding_timeline(&first, &room)[0];
    assert_eq!(event["unsigned"]["membership"], "join", "{event}");
    assert!(event["unsigned"].get("transaction_id").is_none() && event.get("room_id").is_none(), "{event}");
    // The sender of the one message, and the reader; no other member.
    let mut members =
        vec![(MEMBER.to_owned(), alice.user_id().to_owned()), (MEMBER.to_owned(), bob.user_id().to_owned())];
    members.sort();
    let mut expected = members;
    expected.extend([("m.room.create".to_owned(), String::new()), ("m.room.topic".to_owned(), String::new())]);
    expected.sort();
    assert_eq!(required(&first, &room), expected);

    alice.send_state(&room, "m.room.topic", "", json!({"topic": "New"})).await;
    alice.send_state(&room, "m.room.name", "", json!({"name": ""})).await;
    alice.send_state(&room, "m.room.join_rules", "", json!({"join_rule": "invite"})).await;
    let came = sync.now().await;
    let told = &came["rooms"][&room];
    assert_eq!((told.get("initial"), told.get("name"), &told["limited"]), (None, Some(&Value::Null), &json!(true)));
    assert!(required(&came, &room).contains(&("m.room.topic".to_owned(), String::new())), "{told}");
    assert!(!required(&came, &room).iter().any(|(kind, _)| kind == "m.room.join_rules"), "{told}");
    assert_eq!(told["heroes"][0]["user_id"], alice.user_id(), "a room without a name: {told}");
    assert_eq!(sync.now().await["rooms"], json!({}));
}

/// SSS-1: the transaction id goes to the device that sent the event, and to no other.
#[tokio::test]
async fn the_senders_own_device_knows_its_events() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let phone = alice.another_device().await;
    let room = room_of(&alice, &bob).await;
    let mut at_alice = begun(&alice, all_rooms(10)).await;
    let mut at_phone = begun(&phone, all_rooms(10)).await;
    alice.put(at!("/rooms/{}/send/m.room.message/txn", room), json!({"body": "x", "msgtype": "m.text"})).await.ok();
    let event = |sync: &Value| sliding_timeline(sync, &room)[0].clone();
    assert_eq!(event(&at_alice.now().await)["unsigned"]["transaction_id"], "txn");
    assert!(event(&at_phone.now().await)["unsigned"].get("transaction_id").is_none());
}

/// SSS-1: wishes for state by wildcards, and lazy members beside them.
#[tokio::test]
async fn required_state_may_be_any() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = room_of(&alice, &bob).await;
    for key in ["x", "y"] {
        alice.send_state(&room, "org.example.a", key, json!({})).await;
        alice.send_state(&room, "org.example.b", key, json!({})).await;
    }
    let state = async |wish: Value| required(&bob.sliding(list(json!([[0, 9]]), 1, wish)).now().await, &room);
    let of = |kind: &str, key: &str| (kind.to_owned(), key.to_owned());
    assert_eq!(state(json!([["org.example.a", "*"]])).await, [of("org.example.a", "x"), of("org.example.a", "y")]);
    assert_eq!(state(json!([["*", "x"]])).await, [of("org.example.a", "x"), of("org.example.b", "x")]);
    assert_eq!(state(json!([["org.example.a", "z"], ["m.room.name", "$LAZY"]])).await, []);
    assert_eq!(state(json!([])).await, []);
    let all = state(json!([["*", "*"]])).await;
    let members = |state: &[(String, String)]| state.iter().filter(|(kind, _)| kind == MEMBER).count();
    assert!(all.contains(&of("m.room.create", "")) && members(&all) == 2, "{all:?}");
    let lazy = state(json!([["*", "*"], [MEMBER, "$LAZY"]])).await;
    assert!(lazy.contains(&of("m.room.create", "")) && members(&lazy) == 1, "{lazy:?}");
    let own = state(json!([[MEMBER, "$ME"]])).await;
    assert_eq!(own, [of(MEMBER, bob.user_id())]);
}

/// SSS-1: with lazy members, who came and went is told, also in a gap.
#[tokio::test]
async fn lazy_members_miss_nobody() {
    let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
    let room = room_of(&alice, &bob).await;
    let mut sync = begun(&bob, list(json!([[0, 9]]), 1, json!([[MEMBER, "$LAZY"]]))).await;
    carol.join(&room).await;
    for number in 0..3 {
        alice.send_text(&room, &number.to_string()).await;
    }
    let came = sync.now().await;
    assert_eq!(came["rooms"][&room]["limited"], true);
    assert!(required(&came, &room).contains(&(MEMBER.to_owned(), carol.user_id().to_owned())), "{came}");
    assert_eq!(came["rooms"][&room]["joined_count"], 3);
}

/// SSS-1: a client that wants more of a timeline than it has gets it, said to be more; less is no news.
#[tokio::test]
async fn a_timeline_expands() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = room_of(&alice, &bob).await;
    for number in 0..5 {
        alice.send_text(&room, &number.to_string()).await;
    }
    let mut sync = begun(&bob, all_rooms(1)).await;
    alice.send_text(&room, "5").await;
    sync.body = all_rooms(4);
    for _ in 0..2 {
        let more = sync.peek().await;
        let told = &more["rooms"][&room];
        assert_eq!(bodies(&more, &room), ["2", "3", "4", "5"]);
        assert_eq!((&told["unstable_expanded_timeline"], &told["num_live"]), (&json!(true), &json!(1)), "{told}");
        assert_eq!((&told["limited"], told.get("initial")), (&json!(true), None));
    }
    sync.now().await;
    sync.body = all_rooms(1);
    assert_eq!(sync.now().await["rooms"], json!({}));
    sync.body = all_rooms(4);
    assert_eq!(sync.now().await["rooms"], json!({}), "it has them still");
    sync.body = all_rooms(1);
    for number in 6..9 {
        alice.send_text(&room, &number.to_string()).await;
    }
    assert_eq!(bodies(&sync.now().await, &room), ["8"]);
    sync.body = all_rooms(4);
    assert_eq!(bodies(&sync.now().await, &room), ["5", "6", "7", "8"], "it has not");
}

/// SSS-1: a client that wants more state than it had gets what it lacks, and is kept up to date with all of it.
#[tokio::test]
async fn required_state_expands() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = room_of(&alice, &bob).await;
    alice.send_state(&room, "m.room.topic", "", json!({"topic": "t"})).await;
    let with = |state: Value| list(json!([[0, 9]]), 1, state);
    let (small, large) = (json!([["m.room.create", ""]]), json!([["m.room.create", ""], ["m.room.topic", ""]]));
    let mut sync = begun(&bob, with(small.clone())).await;
    sync.body = with(large.clone());
    let topic = [("m.room.topic".to_owned(), String::new())];
    for _ in 0..2 {
        let more = sync.peek().await;
        assert_eq!((required(&more, &room), bodies(&more, &room)), (topic.to_vec(), Vec::new()), "{more}");
    }
    sync.now().await;
    sync.body = with(small);
    alice.send_state(&room, "m.room.topic", "", json!({"topic": "u"})).await;
    assert_eq!(required(&sync.now().await, &room), topic, "what it had once stays right");
    sync.body = with(large);
    assert_eq!(sync.now().await["rooms"], json!({}));
}

/// SSS-1: no timeline for a client that wants none.
#[tokio::test]
async fn a_timeline_may_be_unwanted() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = room_of(&alice, &bob).await;
    let mut sync = bob.sliding(list(json!([[0, 9]]), 0, json!([["m.room.topic", ""]])));
    assert!(sync.now().await["rooms"][&room].get("timeline").is_none());
    alice.send_text(&room, "hello").await;
    let came = sync.now().await;
    assert!(came["rooms"][&room].get("timeline").is_none(), "{came}");
    assert_eq!(came["rooms"][&room]["notification_count"], 1, "{came}");
}

/// SSS-1: unread counts go up with messages, and down when the user reads on another device.
#[tokio::test]
async fn unread_counts_follow() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = room_of(&alice, &bob).await;
    let mut sync = begun(&bob, all_rooms(1)).await;
    alice.send_text(&room, "one").await;
    let event = alice.send_text(&room, "two").await;
    let count = |sync: &Value| sync["rooms"][&room]["notification_count"].clone();
    assert_eq!(count(&sync.now().await), 2);
    let other = bob.another_device().await;
    other.post(at!("/rooms/{}/receipt/m.read/{}", room, event), json!({})).await.ok();
    let came = sync.now().await;
    assert_eq!((count(&came), bodies(&came, &room)), (json!(0), Vec::new()));
    // Typing of others is no news of the room itself.
    alice.put(at!("/rooms/{}/typing/{}", room, alice.user_id()), json!({"typing": true, "timeout": 30_000})).await.ok();
    assert_eq!(sync.now().await["rooms"], json!({}));
}

/// SSS-1: heroes stand for the name of a room that has none, with their own names.
#[tokio::test]
async fn heroes_stand_for_a_name() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    alice.put(at!("/profile/{}/displayname", alice.user_id()), json!({"displayname": "Alice A"})).await.ok();
    let room = room_of(&alice, &bob).await;
    let sync = bob.sliding(all_rooms(1)).now().await;
    let told = &sync["rooms"][&room];
    assert_eq!(told["heroes"], json!([{"user_id": alice.user_id(), "displayname": "Alice A"}]));
    assert!(told.get("name").is_none(), "{told}");
}

/// SSS-1: messages of ignored users are not shown.
#[tokio::test]
async fn ignored_users_are_not_shown() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = room_of(&alice, &bob).await;
    let mut sync = begun(&bob, all_rooms(10)).await;
    let ignored = json!({"ignored_users": {alice.user_id(): {}}});
    bob.put(at!("/user/{}/account_data/m.ignored_user_list", bob.user_id()), ignored).await.ok();
    alice.send_text(&room, "unheard").await;
    assert_eq!(bodies(&sync.now().await, &room), Vec::<String>::new());
    alice.create_room(json!({"invite": [bob.user_id()]})).await;
    assert_eq!(sliding_rooms(&sync.now().await), Vec::<String>::new());
}

/// SSS-1: answers are what the Rust SDK reads: each part fits its type, with nothing lost on the way.
#[tokio::test]
async fn answers_fit_the_types_of_the_sdk() {
    use ruma::api::client::sync::sync_events::v5::response;
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    let event = alice.send_text(&room, "hello").await;
    alice.post(at!("/rooms/{}/receipt/m.read/{}", room, event), json!({})).await.ok();
    alice.put(at!("/rooms/{}/typing/{}", room, alice.user_id()), json!({"typing": true, "timeout": 60_000})).await.ok();
    alice.send_to_device("io.example", json!({bob.user_id(): {"*": {}}})).await;
    let invited = alice.create_room(json!({"name": "Inner", "invite": [bob.user_id()]})).await;
    let on = || json!({"enabled": true});
    let mut body = list(json!([[0, 9]]), 5, json!([["m.room.create", ""], [MEMBER, "$LAZY"]]));
    body["extensions"] =
        json!({"to_device": on(), "e2ee": on(), "account_data": on(), "receipts": on(), "typing": on()});
    let sync = bob.sliding(body).now().await;
    let read = |room: &str| serde_json::from_value::<response::Room>(sync["rooms"][room].clone()).unwrap();
    let told = read(&room);
    assert_eq!((told.initial, told.is_dm, told.limited), (Some(true), Some(false), true));
    assert_eq!((told.timeline.len(), told.heroes.unwrap().len()), (5, 1));
    let number = |number: Option<ruma::UInt>| number.map(u64::from).unwrap();
    assert_eq!((number(told.joined_count), number(told.invited_count), number(told.num_live)), (2, 0, 0));
    assert!(number(told.bump_stamp) > 0 && told.prev_batch.is_some() && !told.required_state.is_empty());
    assert_eq!(number(told.unread_notifications.notification_count), 1);
    let told = read(&invited);
    assert!(told.invite_state.unwrap().len() > 2 && told.timeline.is_empty());
    let extensions: response::Extensions = serde_json::from_value(sync["extensions"].clone()).unwrap();
    assert_eq!(extensions.to_device.unwrap().events.len(), 1);
    assert!(extensions.e2ee.device_unused_fallback_key_types.is_some());
    assert_eq!(extensions.e2ee.device_one_time_keys_count.len(), 1);
    assert_eq!((extensions.receipts.rooms.len(), extensions.typing.rooms.len()), (1, 1));
    assert!(!extensions.account_data.global.is_empty());
    for event in extensions.receipts.rooms.values() {
        event.deserialize().unwrap();
    }
    for event in extensions.typing.rooms.values() {
        event.deserialize().unwrap();
    }
}
