//! Sharing no encrypted room any more.

use serde_json::json;

use super::{Told::*, Watch, act, clear_room, forget, upload_keys};
use crate::harness::{Client, Server};

/// Every way of getting out of a room.
const WAYS: [&str; 4] = ["leave", "kick", "ban", "kick and ban"];

async fn remove(way: &str, by: &Client, room: &str, who: &Client) {
    if way == "leave" {
        return who.leave(room).await;
    }
    for action in way.split(" and ") {
        act(by, action, room, who).await;
    }
}

/// DL-3, DL-10: who goes, by whatever way, is told to those who stay, and they to who goes.
#[tokio::test]
async fn those_who_part_are_told_of_each_other() {
    for way in WAYS {
        let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
        let room = alice.encrypted_room(&[&bob, &carol]).await;
        let mut stay = [Watch::start(&alice).await, Watch::start(&carol).await];
        let mut goes = Watch::start(&bob).await;
        // Keys that changed before do not make who is gone a changed one.
        upload_keys(&bob).await;
        upload_keys(&alice).await;
        remove(way, &alice, &room, &bob).await;
        for watch in &mut stay {
            watch.peek().await.tell(&bob, Left, way);
            watch.next().await.tell(&bob, Left, "also when the answer was lost");
            watch.next().await.are_empty("once");
        }
        let told = goes.next().await;
        told.tell(&alice, Left, way).tell(&carol, Left, way).tell(&bob, Changed, "own keys are always told");
        upload_keys(&alice.another_device().await).await;
        goes.next().await.are_empty("no room is shared any more");
    }
}

/// DL-3: of two shared rooms both have to end.
#[tokio::test]
async fn one_of_two_shared_rooms_is_enough() {
    for way in WAYS {
        let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
        let first = alice.encrypted_room(&[&bob]).await;
        let second = alice.encrypted_room(&[&bob]).await;
        clear_room(&alice, &[&bob]).await;
        let (mut at_alice, mut at_bob) = (Watch::start(&alice).await, Watch::start(&bob).await);
        remove(way, &alice, &first, &bob).await;
        at_alice.next().await.are_empty("the second room is shared");
        at_bob.next().await.are_empty("the second room is shared");
        upload_keys(&bob).await;
        at_alice.next().await.tell(&bob, Changed, "by the second room");
        remove(way, &alice, &second, &bob).await;
        at_alice.next().await.tell(&bob, Left, "a clear room does not count");
        at_bob.next().await.tell(&alice, Left, "a clear room does not count");
    }
}

/// DL-3: both rooms may end between two answers.
#[tokio::test]
async fn both_shared_rooms_may_end_at_once() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let rooms = [alice.encrypted_room(&[&bob]).await, alice.encrypted_room(&[&bob]).await];
    let (mut at_alice, mut at_bob) = (Watch::start(&alice).await, Watch::start(&bob).await);
    bob.leave(&rooms[0]).await;
    alice.leave(&rooms[1]).await;
    at_alice.next().await.tell(&bob, Left, "no room is left");
    at_bob.next().await.tell(&alice, Left, "no room is left");
}

/// DL-10: who goes and is back before the next answer has changed, not left, on both sides.
#[tokio::test]
async fn the_end_of_the_span_decides() {
    for way in WAYS {
        let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
        let room = alice.encrypted_room(&[&bob]).await;
        let (mut at_alice, mut at_bob) = (Watch::start(&alice).await, Watch::start(&bob).await);
        remove(way, &alice, &room, &bob).await;
        // Unseen by those who did not share a room then.
        upload_keys(&bob).await;
        upload_keys(&alice).await;
        if way.ends_with("ban") {
            act(&alice, "unban", &room, &bob).await;
        }
        alice.invite(&room, &bob).await;
        bob.join(&room).await;
        at_alice.next().await.tell(&bob, Changed, way);
        at_bob.next().await.tell(&alice, Changed, way);
        at_alice.next().await.are_empty("once");
        at_bob.next().await.are_empty("once");

        // In, out, in, out.
        remove(way, &alice, &room, &bob).await;
        if way.ends_with("ban") {
            act(&alice, "unban", &room, &bob).await;
        }
        alice.invite(&room, &bob).await;
        bob.join(&room).await;
        bob.leave(&room).await;
        at_alice.next().await.tell(&bob, Left, way);
        at_bob.next().await.tell(&alice, Left, way);
    }
}

/// DL-3, DL-10: a visit between two answers may be told or not, but never as a change of somebody one does not share with.
#[tokio::test]
async fn a_short_visit_ends_as_no_change() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[]).await;
    let (mut at_alice, mut at_bob) = (Watch::start(&alice).await, Watch::start(&bob).await);
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    upload_keys(&bob).await;
    bob.leave(&room).await;
    assert_ne!(at_alice.next().await.about(&bob), Changed);
    assert_ne!(at_bob.next().await.about(&alice), Changed);
}

/// DL-3, DL-9: who also forgets the room is told all the same, at each device that was away.
#[tokio::test]
async fn forgetting_a_room_hides_nothing() {
    for way in WAYS {
        let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
        let room = alice.encrypted_room(&[&bob]).await;
        let phone = bob.another_device().await;
        let mut watches = [Watch::start(&bob).await, Watch::start(&phone).await];
        remove(way, &alice, &room, &bob).await;
        forget(&bob, &room).await;
        if way == "leave" {
            // Removed for good only after it was forgotten.
            act(&alice, "ban", &room, &bob).await;
        }
        for watch in &mut watches {
            watch.next().await.tell(&alice, Left, way);
            watch.next().await.are_empty("once");
        }
    }
}

/// DL-3: so is somebody whose account ends.
#[tokio::test]
async fn who_deactivates_the_account_has_left() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    alice.encrypted_room(&[&bob]).await;
    upload_keys(&bob).await;
    let mut watch = Watch::start(&alice).await;
    bob.post("/account/deactivate", json!({})).with_password().await.ok();
    watch.next().await.tell(&bob, Left, "nothing is shared with nobody");
}
