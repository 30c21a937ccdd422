//! What was answered at one node holds at all others at once.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::support::Plan;
use crate::harness::{Client, Server, at, joined_room, timeline, to_device, unique};

/// The number of unread messages a sync tells of a room.
fn unread(sync: &Value, room: &str) -> Value {
    joined_room(sync, room)["unread_notifications"]["notification_count"].clone()
}

/// A room with Alice and Bob in it.
async fn room_of(alice: &Client, bob: &Client) -> String {
    let room = alice.create_room(json!({"preset": "public_chat"})).await;
    bob.join(&room).await;
    room
}

async fn alice_and_bob(node: &Server) -> (Client, Client, String) {
    let [alice, bob] = node.users(["alice", "bob"]).await;
    let room = room_of(&alice, &bob).await;
    (alice, bob, room)
}

/// What a client wrote at one node it reads at any other, right after the answer.
#[tokio::test]
async fn an_answered_write_is_read_at_every_node() {
    let Some(nodes) = Plan::deaf(3).start().await else { return };
    let [alice, bob] = nodes.all()[0].users(["alice", "bob"]).await;
    let room = room_of(&alice, &bob).await;
    let mut since: Option<String> = None;
    for round in 0..9 {
        let writer = alice.via(&nodes.all()[round % 3]);
        let value = json!({ "round": round });
        writer.put(at!("/user/{}/account_data/org.example", alice.user_id()), value.clone()).await.ok();
        let topic = format!("topic {round}");
        writer.send_state(&room, "m.room.topic", "", json!({ "topic": topic })).await;
        let name = format!("Alice {round}");
        writer.put(at!("/profile/{}/displayname", alice.user_id()), json!({ "displayname": name })).await.ok();
        let event = writer.send_text(&room, &format!("message {round}")).await;
        let filter = json!({"room": {"timeline": {"limit": 50 + round}}});
        let filter = writer.post(at!("/user/{}/filter", alice.user_id()), filter).await.ok()["filter_id"].clone();
        let filter = filter.as_str().unwrap();
        bob.via(writer.server()).send_to_device("org.example", json!({alice.user_id(): {"*": {"round": round}}})).await;

        let mut token = None;
        for node in nodes.all() {
            let reader = alice.via(node);
            let read = reader.get(at!("/user/{}/account_data/org.example", alice.user_id())).await.ok();
            assert_eq!(read, value);
            let read = reader.get(at!("/rooms/{}/state/m.room.topic", room)).await.ok();
            assert_eq!(read["topic"], topic.as_str());
            let read = reader.get(at!("/rooms/{}/state/m.room.member/{}", room, alice.user_id())).await.ok();
            assert_eq!(read["displayname"], name.as_str());
            let read = reader.get(at!("/rooms/{}/event/{}", room, event)).await.ok();
            assert_eq!(read["event_id"], event.as_str());
            let mut call = reader.get("/sync").query("timeout", 0).query("filter", filter);
            if let Some(since) = &since {
                call = call.query("since", since);
            }
            let sync = call.await.ok();
            assert!(timeline(&sync, &room).iter().any(|told| told["event_id"] == event.as_str()), "{sync}");
            assert!(to_device(&sync).iter().any(|told| told["content"]["round"] == round), "{sync}");
            token = sync["next_batch"].as_str().map(str::to_owned);
        }
        since = token;
    }
}

/// Rules that a user set at one node are those by which another counts and shows, even before it looks at the stream.
#[tokio::test]
async fn settings_of_one_node_hold_at_another() {
    let Some(nodes) = Plan::deaf(2).start().await else { return };
    let (a, b) = nodes.two();
    let (alice, bob, room) = alice_and_bob(a).await;
    let mut sync = alice.via(b).syncing();
    sync.now().await;
    bob.send_text(&room, "one").await;
    assert_eq!(unread(&sync.now().await, &room), 1, "the second node knows her rules now");

    let rule = json!({ "actions": [] });
    alice.put(at!("/pushrules/global/room/{}", room), rule).await.ok();
    // She hears of it at the first node, so at the second it is no news to her any more.
    let told = alice.sync(Some(sync.token())).await;
    assert!(told["account_data"]["events"].as_array().is_some_and(|events| !events.is_empty()), "{told}");
    bob.send_text(&room, "two").await;
    let mut sync = alice.via(b).syncing().since(told["next_batch"].as_str().unwrap());
    let answer = sync.now().await;
    assert_eq!(timeline(&answer, &room).len(), 1, "{answer}");
    assert_eq!(unread(&answer, &room), 0, "the room is muted: {answer}");

    let ignored = json!({ "ignored_users": { bob.user_id(): {} } });
    alice.put(at!("/user/{}/account_data/m.ignored_user_list", alice.user_id()), ignored).await.ok();
    let told = alice.sync(Some(sync.token())).await;
    bob.send_text(&room, "three").await;
    let answer = alice.via(b).sync(told["next_batch"].as_str()).await;
    assert_eq!(timeline(&answer, &room).len(), 0, "Bob is ignored: {answer}");
}

/// What was read at one node is read at another.
#[tokio::test]
async fn a_receipt_of_one_node_counts_at_another() {
    let Some(nodes) = Plan::deaf(2).start().await else { return };
    let (a, b) = nodes.two();
    let (alice, bob, room) = alice_and_bob(a).await;
    let mut sync = alice.via(b).syncing();
    sync.now().await;
    let one = bob.send_text(&room, "one").await;
    assert_eq!(unread(&sync.now().await, &room), 1);
    alice.post(at!("/rooms/{}/receipt/m.read/{}", room, one), json!({})).await.ok();
    let told = alice.sync(Some(sync.token())).await;
    assert_eq!(unread(&told, &room), 0);
    bob.send_text(&room, "two").await;
    let answer = alice.via(b).sync(told["next_batch"].as_str()).await;
    assert_eq!(unread(&answer, &room), 1, "{answer}");
}

/// A to-device message is gone when a token acknowledges it, whichever node delivered it and whichever gets the token.
#[tokio::test]
async fn messages_are_acknowledged_at_whichever_node() {
    let Some(nodes) = Plan::deaf(2).start().await else { return };
    let (a, b) = nodes.two();
    let [alice, bob] = a.users(["alice", "bob"]).await;
    let mut sync = alice.syncing();
    sync.now().await;
    // The first node has nothing to acknowledge, and knows it.
    sync.now().await;
    for number in 0..4 {
        bob.send_to_device("org.example", json!({ alice.user_id(): { "*": { "number": number } } })).await;
        let (here, there) = if number % 2 == 0 { (b, a) } else { (a, b) };
        let mut sync_here = alice.via(here).syncing().since(sync.token());
        let answer = sync_here.now().await;
        assert_eq!(to_device(&answer).len(), 1, "{answer}");
        assert_eq!(to_device(&answer)[0]["content"]["number"], number);
        sync = alice.via(there).syncing().since(sync_here.token());
        assert!(to_device(&sync.now().await).is_empty(), "nothing comes twice");
        for node in [a, b] {
            let again = alice.via(node).sync(None).await;
            assert!(to_device(&again).is_empty(), "it was acknowledged: {again}");
        }
    }
}

/// Two syncs of one device may run at two nodes at once, as when a client gives one up and asks another node: each gets
/// everything since its token, and nothing is lost before a token acknowledges it.
#[tokio::test]
async fn two_syncs_of_one_device_lose_nothing() {
    let Some(nodes) = Plan::nodes(2).start().await else { return };
    let (a, b) = nodes.two();
    let [alice, bob] = a.users(["alice", "bob"]).await;
    let mut start = alice.syncing();
    start.now().await;
    for number in 0..5 {
        let (mut first, mut second) =
            (alice.via(a).syncing().since(start.token()), alice.via(b).syncing().since(start.token()));
        let both = async { tokio::join!(first.until_to_device("org.example"), second.until_to_device("org.example")) };
        let send = bob.send_to_device("org.example", json!({ alice.user_id(): { "*": { "number": number } } }));
        let ((one, other), ()) = tokio::join!(both, send);
        assert_eq!((&one["content"]["number"], &other["content"]["number"]), (&json!(number), &json!(number)));
        // One of the answers was lost, and the client goes on with the other, at the other node.
        start = alice.via(a).syncing().since(second.token());
        assert!(to_device(&start.now().await).is_empty());
    }
}

/// A write at one node wakes who waits at another: in rooms, for devices, and when the device is no more.
#[tokio::test]
async fn a_write_wakes_long_polls_at_other_nodes() {
    let Some(nodes) = Plan::nodes(2).start().await else { return };
    let (a, b) = nodes.two();
    let (alice, bob, room) = alice_and_bob(a).await;
    let mut sync = alice.via(b).syncing();
    sync.now().await;
    let wait = sync.until("the message", |sync| {
        timeline(sync, &room).into_iter().find(|event| event["content"]["body"] == "hello")
    });
    tokio::join!(wait, bob.send_text(&room, "hello"));
    let send = bob.send_to_device("org.example", json!({ alice.user_id(): { "*": {} } }));
    tokio::join!(sync.until_to_device("org.example"), send);

    let gone = alice.another_device().await;
    let since = gone.via(b).sync(None).await["next_batch"].as_str().unwrap().to_owned();
    let wait = gone.via(b).get("/sync").query("since", since).query("timeout", 60_000);
    let end = async {
        // The wait may begin before or after: both ways it ends.
        gone.logout().await;
    };
    let (answer, ()) = tokio::join!(wait, end);
    answer.error(401, "M_UNKNOWN_TOKEN");
}

/// A transaction is done once, also when it is repeated at another node.
#[tokio::test]
async fn a_transaction_is_done_once_at_all_nodes() {
    let Some(nodes) = Plan::deaf(3).start().await else { return };
    let [alice, bob] = nodes.all()[0].users(["alice", "bob"]).await;
    let room = room_of(&alice, &bob).await;
    let mut sync = bob.syncing();
    sync.now().await;
    let txn = unique();
    let everywhere = |path: String, body: Value| {
        let alice = alice.clone();
        let nodes = nodes.all().to_vec();
        async move { join_all(nodes.iter().map(|node| alice.via(node).put(&path, body.clone()).into_future())).await }
    };
    let answers = everywhere(at!("/rooms/{}/send/m.room.message/{}", room, txn), json!({"body": "once"})).await;
    let sent = answers[0].ok();
    assert!(answers.iter().all(|answer| answer.ok() == sent), "{answers:?}");
    let event = sent["event_id"].as_str().unwrap();
    let answers = everywhere(at!("/rooms/{}/redact/{}/{}", room, event, txn), json!({})).await;
    let redaction = answers[0].ok();
    assert!(answers.iter().all(|answer| answer.ok() == redaction), "{answers:?}");
    let body = json!({"messages": { bob.user_id(): { "*": {} } }});
    for answer in everywhere(at!("/sendToDevice/org.example/{}", txn), body).await {
        answer.ok();
    }
    let told = sync.now().await;
    assert_eq!(timeline(&told, &room).len(), 2, "one message and one redaction: {told}");
    assert_eq!(to_device(&told).len(), 1, "{told}");
}

/// However many nodes write to one room at once, each event gets in, once.
#[tokio::test]
async fn appends_of_many_nodes_to_one_room_all_land() {
    const NODES: usize = 8;
    const EACH: usize = 8;
    let Some(nodes) = Plan::deaf(NODES).start().await else { return };
    let alice = nodes.all()[0].user("alice").await;
    let room = alice.create_room(json!({})).await;
    let writers = nodes.all().iter().enumerate().map(|(number, node)| {
        let (alice, room) = (alice.via(node), room.clone());
        async move {
            for count in 0..EACH {
                alice.send_text(&room, &format!("{number} {count}")).await;
            }
        }
    });
    join_all(writers).await;
    let filter = json!({"room": {"timeline": {"limit": NODES * EACH}}});
    let sync = alice.syncing().filter(&filter).now().await;
    let mut bodies: Vec<Value> = timeline(&sync, &room).iter().map(|event| event["content"]["body"].clone()).collect();
    bodies.sort_by_key(Value::to_string);
    bodies.dedup();
    assert_eq!(bodies.len(), NODES * EACH);
}
