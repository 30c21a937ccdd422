//! Coming to share an encrypted room.

use serde_json::json;

use super::{Told::*, Watch, act, clear_room, encrypt, upload_keys};
use crate::harness::{Server, segment};

/// DL-2: who joins is news to those who are in the room, and they are news to who joins.
#[tokio::test]
async fn those_who_come_to_share_a_room_are_told_of_each_other() {
    let [alice, bob, carol, dave] = Server::shared().await.users(["alice", "bob", "carol", "dave"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    let mut inside = [Watch::start(&alice).await, Watch::start(&bob).await];
    let mut comes = Watch::start(&carol).await;
    let mut outside = Watch::start(&dave).await;
    alice.invite(&room, &carol).await;
    carol.join(&room).await;
    for watch in &mut inside {
        watch.peek().await.tell(&carol, Changed, "who came");
        watch.next().await.tell(&carol, Changed, "also when the answer was lost");
        watch.next().await.are_empty("once");
    }
    let told = comes.next().await;
    told.tell(&alice, Changed, "who is there").tell(&bob, Changed, "all who are there").tell(&dave, Nothing, "no more");
    comes.next().await.are_empty("once");
    outside.next().await.are_empty("who shares nothing hears nothing");
    // A room without encryption is no reason.
    clear_room(&alice, &[&dave]).await;
    outside.next().await.are_empty("a clear room");
    inside[0].next().await.are_empty("a clear room");
}

/// DL-5: what happened to somebody's devices while no room was shared is caught up with when one is shared again.
#[tokio::test]
async fn a_change_while_apart_is_told_at_the_reunion() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    let (mut at_alice, mut at_bob) = (Watch::start(&alice).await, Watch::start(&bob).await);
    for round in 0..2 {
        bob.leave(&room).await;
        at_alice.next().await.tell(&bob, Left, "apart");
        at_bob.next().await.tell(&alice, Left, "apart");
        upload_keys(&bob.another_device().await).await;
        upload_keys(&alice.another_device().await).await;
        at_alice.next().await.tell(&bob, Nothing, "no room is shared");
        at_bob.next().await.tell(&alice, Nothing, "no room is shared");
        if round == 0 {
            alice.invite(&room, &bob).await;
            bob.join(&room).await;
        } else {
            // Another room does as well.
            alice.encrypted_room(&[&bob]).await;
        }
        at_alice.next().await.tell(&bob, Changed, "together again");
        at_bob.next().await.tell(&alice, Changed, "together again");
    }
}

/// DL-6: when encryption is turned on, all who are in the room come to share an encrypted room; once only.
#[tokio::test]
async fn turning_encryption_on_names_the_members() {
    let [alice, bob, carol, dave] = Server::shared().await.users(["alice", "bob", "carol", "dave"]).await;
    let room = clear_room(&alice, &[&bob, &dave]).await;
    alice.invite(&room, &carol).await;
    dave.leave(&room).await;
    let (mut at_alice, mut at_bob) = (Watch::start(&alice).await, Watch::start(&bob).await);
    let (mut at_carol, mut at_dave) = (Watch::start(&carol).await, Watch::start(&dave).await);
    let path = format!("/rooms/{}/state/m.room.encryption", segment(&room));
    bob.put(path, json!({"algorithm": "m.megolm.v1.aes-sha2"})).await.error(403, "M_FORBIDDEN");
    at_alice.next().await.are_empty("it was refused");
    encrypt(&alice, &room).await;
    let told = at_alice.next().await;
    told.tell(&bob, Changed, "a member").tell(&carol, Changed, "who is invited").tell(&dave, Nothing, "who left");
    let told = at_bob.next().await;
    told.tell(&alice, Changed, "a member").tell(&carol, Changed, "who is invited").tell(&dave, Nothing, "who left");
    at_carol.next().await.are_empty("who is not in yet tracks nobody");
    at_dave.next().await.are_empty("who left");
    // Encryption never goes off again, so its event is no news a second time.
    let content = json!({"algorithm": "m.megolm.v1.aes-sha2", "rotation_period_msgs": 50});
    alice.send_state(&room, "m.room.encryption", "", content).await;
    at_alice.next().await.are_empty("encryption was on");
}

/// DL-6: encryption and everything else in one span, as for a client that was away.
#[tokio::test]
async fn encryption_is_judged_by_the_end_of_the_span() {
    let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
    let room = clear_room(&alice, &[&bob, &carol]).await;
    let (mut at_alice, mut at_carol) = (Watch::start(&alice).await, Watch::start(&carol).await);
    encrypt(&alice, &room).await;
    act(&alice, "kick", &room, &carol).await;
    let told = at_alice.next().await;
    told.tell(&bob, Changed, "who stayed");
    assert_ne!(told.about(&carol), Changed, "{told}");
    assert_ne!(at_carol.next().await.about(&alice), Changed);
}

/// DL-7: whoever comes to share a further room is named once more: a query too much costs little, a missing one may make
/// messages unreadable. What is never done is to call such a user gone.
#[tokio::test]
async fn a_further_room_names_its_members_once_more() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    alice.encrypted_room(&[&bob]).await;
    let (mut at_alice, mut at_bob) = (Watch::start(&alice).await, Watch::start(&bob).await);
    let second = alice.encrypted_room(&[&bob]).await;
    at_alice.next().await.tell(&bob, Changed, "in a second room");
    at_bob.next().await.tell(&alice, Changed, "in a second room");
    alice.send_text(&second, "hello").await;
    at_alice.next().await.are_empty("but not for no reason");
    at_bob.next().await.are_empty("but not for no reason");
}
