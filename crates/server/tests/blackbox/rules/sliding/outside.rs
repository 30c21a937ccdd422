//! Rooms the user comes into and goes out of.

use serde_json::{Value, json};

use super::{all_rooms, begun, bodies, list, required};
use crate::harness::{Server, at, sliding_rooms, sliding_timeline};

const MEMBER: &str = "m.room.member";

/// The own member event's membership in stripped state.
fn membership(state: &Value, user: &str) -> Value {
    let events = state.as_array().cloned().unwrap_or_default();
    let own = events.iter().find(|event| event["type"] == MEMBER && event["state_key"] == user);
    own.map(|event| event["content"]["membership"].clone()).unwrap_or_default()
}

/// SSS-1: an invitation shows what names the room and no more; joining shows the room from its beginning.
#[tokio::test]
async fn an_invitation_becomes_a_room() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut sync = begun(&bob, list(json!([[0, 9]]), 5, json!([["m.room.name", ""]]))).await;
    let room = alice.create_room(json!({"name": "Inner", "preset": "private_chat"})).await;
    alice.send_text(&room, "before").await;
    alice.invite(&room, &bob).await;
    for _ in 0..2 {
        let invited = sync.peek().await;
        let told = &invited["rooms"][&room];
        assert_eq!(membership(&told["invite_state"], bob.user_id()), "invite", "{told}");
        assert!(told["invite_state"].as_array().unwrap().iter().any(|event| event["content"]["name"] == "Inner"));
        assert!(told.get("timeline").is_none() && told.get("required_state").is_none(), "{told}");
        assert_eq!((&invited["lists"]["all"]["count"], &told["initial"]), (&json!(1), &json!(true)));
    }
    sync.now().await;
    alice.send_text(&room, "hidden").await;
    assert_eq!(sync.now().await["rooms"], json!({}), "what happens inside is not for who stands before the door");
    bob.join(&room).await;
    let joined = sync.now().await;
    let told = &joined["rooms"][&room];
    assert_eq!((&told["initial"], told.get("invite_state")), (&json!(true), None), "{told}");
    assert_eq!(required(&joined, &room), [("m.room.name".to_owned(), String::new())]);
    assert_eq!(told["name"], "Inner");
    alice.send_text(&room, "after").await;
    let came = sync.now().await;
    assert_eq!((bodies(&came, &room), came["rooms"][&room].get("initial")), (vec!["after".to_owned()], None));
}

/// SSS-1: an invitation that is refused or taken back goes out of the list, and the client is told.
#[tokio::test]
async fn an_invitation_ends() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let (one, two) = (
        alice.create_room(json!({"invite": [bob.user_id()]})).await,
        alice.create_room(json!({"invite": [bob.user_id()]})).await,
    );
    let mut sync = begun(&bob, all_rooms(1)).await;
    bob.leave(&one).await;
    alice.post(at!("/rooms/{}/kick", two), json!({"user_id": bob.user_id()})).await.ok();
    let came = sync.now().await;
    assert_eq!((sliding_rooms(&came).len(), &came["lists"]["all"]["count"]), (2, &json!(0)), "{came}");
    for room in [&one, &two] {
        let own = &came["rooms"][room]["required_state"][0];
        assert_eq!((&own["type"], &own["content"]["membership"]), (&json!(MEMBER), &json!("leave")), "{came}");
        assert!(sliding_timeline(&came, room).iter().all(|event| event["type"] == MEMBER), "{came}");
    }
    assert_eq!(sync.now().await["rooms"], json!({}));
}

/// SSS-1: knocking.
#[tokio::test]
async fn a_knock_is_told() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let rules = json!({"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}});
    let room = alice.create_room(json!({"initial_state": [rules]})).await;
    let mut sync = begun(&bob, all_rooms(1)).await;
    bob.post(at!("/knock/{}", room), json!({})).await.ok();
    let came = sync.now().await;
    for name in ["invite_state", "knock_state"] {
        assert_eq!(membership(&came["rooms"][&room][name], bob.user_id()), "knock", "{came}");
    }
    alice.invite(&room, &bob).await;
    assert_eq!(membership(&sync.now().await["rooms"][&room]["invite_state"], bob.user_id()), "invite");
}

/// SSS-1: the end of a room that the client knows is told once, up to the end and no further, wherever its window is.
#[tokio::test]
async fn the_end_of_a_room_is_told() {
    for thrown_out in [false, true] {
        let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
        let room = alice.create_room(json!({"preset": "public_chat"})).await;
        bob.join(&room).await;
        let mut sync = begun(&bob, list(json!([[0, 9]]), 5, json!([["m.room.topic", ""]]))).await;
        alice.send_text(&room, "last words").await;
        if thrown_out {
            alice.post(at!("/rooms/{}/ban", room), json!({"user_id": bob.user_id()})).await.ok();
        } else {
            bob.leave(&room).await;
        }
        alice.send_text(&room, "unheard").await;
        alice.send_state(&room, "m.room.topic", "", json!({"topic": "secret"})).await;
        sync.body = list(json!([[7, 9]]), 5, json!([]));
        for _ in 0..2 {
            let came = sync.peek().await;
            assert_eq!(bodies(&came, &room), ["last words"], "{came}");
            let last = sliding_timeline(&came, &room).last().unwrap().clone();
            let ended = if thrown_out { "ban" } else { "leave" };
            assert_eq!(last["content"]["membership"], ended);
            let own = [(MEMBER.to_owned(), bob.user_id().to_owned())];
            assert_eq!(required(&came, &room), own, "{came}");
            assert_eq!(came["lists"]["all"]["count"], 0);
        }
        sync.now().await;
        alice.send_text(&room, "unheard as well").await;
        assert_eq!(sync.now().await["rooms"], json!({}));
        // A client that begins does not see it.
        assert_eq!(bob.sliding(all_rooms(5)).now().await["rooms"], json!({}));
    }
}

/// SSS-1: a room that was left and joined again between two answers begins again; a new name is no joining.
#[tokio::test]
async fn joining_again_begins_again() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.create_room(json!({"preset": "public_chat"})).await;
    bob.join(&room).await;
    let mut sync = begun(&bob, all_rooms(5)).await;
    bob.put(at!("/profile/{}/displayname", bob.user_id()), json!({"displayname": "Bob B"})).await.ok();
    let came = sync.now().await;
    assert_eq!((sliding_rooms(&came), came["rooms"][&room].get("initial")), (vec![room.clone()], None), "{came}");
    bob.leave(&room).await;
    bob.join(&room).await;
    let came = sync.now().await;
    assert_eq!(came["rooms"][&room]["initial"], true, "{came}");
    // The same with the end told in between.
    bob.leave(&room).await;
    sync.now().await;
    bob.join(&room).await;
    assert_eq!(sync.now().await["rooms"][&room]["initial"], true);
}

/// SSS-1: a room that is left and forgotten in between is told to have ended.
#[tokio::test]
async fn a_forgotten_room_ends() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.create_room(json!({"preset": "public_chat"})).await;
    bob.join(&room).await;
    let mut sync = begun(&bob, all_rooms(5)).await;
    bob.leave(&room).await;
    bob.post(at!("/rooms/{}/forget", room), json!({})).await.ok();
    let came = sync.now().await;
    assert_eq!((sliding_rooms(&came), &came["lists"]["all"]["count"]), (vec![room], &json!(0)));
    assert_eq!(sync.now().await["rooms"], json!({}));
}
