//! No change is lost, whatever happens to answers, servers and nodes.

use super::{Lists, Told::*, Watch, upload_identity, upload_keys};
use crate::harness::{Client, Server};

/// What happens in the tests here, and what Alice is told of it.
async fn live([alice, bob, carol, dave]: [&Client; 4], room: &str) {
    upload_keys(bob).await;
    upload_identity(bob).await;
    carol.leave(room).await;
    alice.invite(room, dave).await;
    dave.join(room).await;
}

fn check(told: &Lists, [alice, bob, carol, dave]: [&Client; 4]) {
    told.tell(bob, Changed, "keys").tell(carol, Left, "left").tell(dave, Changed, "came").tell(alice, Nothing, "quiet");
}

/// DL-9: old tokens tell all that came after them, however often and in whatever order they are used.
#[tokio::test]
async fn every_token_tells_all_that_came_after_it() {
    let [alice, bob, carol, dave] = Server::shared().await.users(["alice", "bob", "carol", "dave"]).await;
    let all = [&alice, &bob, &carol, &dave];
    let room = alice.encrypted_room(&[&bob, &carol]).await;
    let mut watch = Watch::start(&alice).await;
    let first = watch.token();
    // Answers in between, all of which the client loses later, as from a backup of its device.
    upload_keys(&bob).await;
    watch.next().await.tell(&bob, Changed, "keys");
    let second = watch.token();
    live(all, &room).await;
    for _ in 0..3 {
        check(&watch.peek().await, all);
        check(&watch.from(&first).peek().await, all);
        check(&watch.from(&second).next().await, all);
    }
    check(&watch.next().await, all);
    let third = watch.token();
    check(&watch.from(&first).next().await, all);
    watch.from(&third).peek().await.are_empty("all was told");
    // Two requests of the same device at the same time.
    let (one, other) = (watch.from(&second), watch.from(&third));
    let (one, other) = tokio::join!(one.peek(), other.peek());
    check(&one, all);
    other.are_empty("all was told");
}

/// DL-9, SYNC-5: nor does it matter that the server is killed before or after it told them.
#[tokio::test]
async fn changes_outlive_a_kill() {
    let Some(server) = Server::process().await else { return };
    let [alice, bob, carol, dave] = server.users(["alice", "bob", "carol", "dave"]).await;
    let all = [&alice, &bob, &carol, &dave];
    let room = alice.encrypted_room(&[&bob, &carol]).await;
    let mut watch = Watch::start(&alice).await;
    let from = watch.token();
    live(all, &room).await;
    for round in 0..3 {
        server.kill().await;
        server.restart().await;
        if round < 2 {
            check(&watch.peek().await, all);
        } else {
            check(&watch.next().await, all);
        }
    }
    server.kill().await;
    server.restart().await;
    watch.next().await.are_empty("all was told");
    let changes = alice.get("/keys/changes").query("from", &from).query("to", watch.token()).await.ok();
    Lists::of_changes(changes).tell(&bob, Changed, "keys").tell(&carol, Left, "left");
}

/// DL-9, DL-19, DL-22: any node goes on from the token of any other, with what happened at a third, and wakes for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_told_by_every_node() {
    let Some(server) = Server::nodes(3).await else { return };
    let nodes = [server.node(0), server.node(1), server.node(2)];
    let [alice, bob, carol, dave] = server.users(["alice", "bob", "carol", "dave"]).await;
    let room = alice.encrypted_room(&[&bob, &carol]).await;
    let mut token = alice.via(&nodes[0]).sync(None).await["next_batch"].as_str().unwrap().to_owned();
    for round in 0..6 {
        let from = token.clone();
        let writer = &nodes[(round + 1) % 3];
        let all = [&alice.via(writer), &bob.via(writer), &carol.via(writer), &dave.via(writer)];
        live(all, &room).await;
        let mut watch =
            Watch { client: alice.clone(), syncing: alice.via(&nodes[(round + 2) % 3]).syncing().since(&token) };
        check(&watch.peek().await, all);
        check(&watch.next().await, all);
        token = watch.token();
        let reader = alice.via(&nodes[round % 3]);
        let quiet = reader.sync(Some(&token)).await;
        Lists::of(quiet).are_empty("all was told, by another node");
        let changes = reader.get("/keys/changes").query("from", &from).query("to", &token).await.ok();
        Lists::of_changes(changes).tell(&bob, Changed, "keys").tell(&carol, Left, "left");
        // As it was, for the next round.
        dave.leave(&room).await;
        alice.invite(&room, &carol).await;
        carol.join(&room).await;
        let sync = reader.sync(Some(&token)).await;
        Lists::of(sync.clone()).tell(&dave, Left, "left").tell(&carol, Changed, "back");
        token = sync["next_batch"].as_str().unwrap().to_owned();
        let mut waiting = Watch { client: alice.clone(), syncing: reader.syncing().since(&token) };
        let change = async { drop(upload_keys(&bob.via(writer)).await) };
        super::waking::woken(&mut waiting, change, |lists| lists.about(&bob) == Changed, "keys at another node").await;
        token = waiting.token();
    }
}
