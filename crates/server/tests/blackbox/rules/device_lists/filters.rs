//! Device lists do not depend on what of the rooms a client asks for.

use serde_json::{Value, json};

use super::{Told::*, Watch, act, upload_keys};
use crate::harness::{Client, Server};

/// What clients ask for of rooms, with `{room}` for the room in question.
fn filters(room: &str) -> Vec<Value> {
    vec![
        json!({"room": {"timeline": {"limit": 1}}}),
        json!({"room": {"timeline": {"limit": 0}}}),
        json!({"room": {"timeline": {"limit": 2}, "state": {"lazy_load_members": true}}}),
        json!({"room": {"not_rooms": [room]}}),
        json!({"room": {"rooms": []}}),
        json!({"room": {"rooms": ["!other:localhost"], "include_leave": false}}),
        json!({"room": {"timeline": {"not_rooms": [room]}, "state": {"not_rooms": [room]}}}),
        json!({"room": {"timeline": {"types": ["m.room.message"]}, "state": {"types": []}}}),
        json!({"room": {"timeline": {"not_senders": ["@nobody:localhost"]}, "state": {"not_types": ["m.room.*"]}}}),
        json!({"event_fields": ["type"], "event_format": "federation", "presence": {"types": []},
            "account_data": {"types": []}}),
    ]
}

/// A device for each filter.
async fn watches(client: &Client, room: &str) -> Vec<Watch> {
    let mut watches = Vec::new();
    for filter in filters(room) {
        watches.push(Watch::with_filter(&client.another_device().await, &filter).await);
    }
    watches
}

/// DL-9: all changes of a span are told though its events are not, be it that the timeline is limited or that the room is
/// filtered out: who came, who went, who got new keys, who was invited.
#[tokio::test]
async fn changes_are_told_through_every_filter() {
    let server = Server::shared().await;
    let [alice, bob, carol, dave, eve] = server.users(["alice", "bob", "carol", "dave", "eve"]).await;
    let room = alice.encrypted_room(&[&carol, &dave]).await;
    let mut watches = watches(&alice, &room).await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    act(&alice, "kick", &room, &carol).await;
    upload_keys(&dave).await;
    alice.invite(&room, &eve).await;
    for number in 0..15 {
        alice.send_text(&room, &format!("{number}")).await;
    }
    for watch in &mut watches {
        let told = watch.next().await;
        told.tell(&bob, Changed, "who came").tell(&carol, Left, "who went");
        told.tell(&dave, Changed, "who got keys").tell(&eve, Changed, "who was invited");
        watch.next().await.are_empty("once");
    }
}

/// DL-6, DL-9: so is what the reader's own coming and going, and encryption, bring about.
#[tokio::test]
async fn own_moves_are_told_through_every_filter() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = super::clear_room(&bob, &[&alice]).await;
    let mut watches = watches(&alice, &room).await;
    for (step, expected) in [("encrypt", Changed), ("leave", Left), ("join", Changed), ("back and forth", Changed)] {
        match step {
            "encrypt" => super::encrypt(&bob, &room).await,
            "leave" => alice.leave(&room).await,
            "join" => {
                bob.invite(&room, &alice).await;
                alice.join(&room).await;
            }
            _ => {
                alice.leave(&room).await;
                bob.invite(&room, &alice).await;
                alice.join(&room).await;
            }
        }
        for number in 0..5 {
            bob.send_text(&room, &format!("{number}")).await;
        }
        for watch in &mut watches {
            watch.next().await.tell(&bob, expected, step);
            watch.next().await.are_empty("once");
        }
    }
}
