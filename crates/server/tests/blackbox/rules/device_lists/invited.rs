//! Users who are invited to an encrypted room: clients give them keys before they join.

use super::{Told::*, Watch, act, upload_identity, upload_keys};
use crate::harness::Server;

/// DL-14: who is invited is told to those in the room like who joins, with all that changes while the invitation stands.
#[tokio::test]
async fn who_is_invited_is_told_to_the_members() {
    let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    let mut members = [Watch::start(&alice).await, Watch::start(&bob).await];
    let mut invited = Watch::start(&carol).await;
    alice.invite(&room, &carol).await;
    for watch in &mut members {
        watch.next().await.tell(&carol, Changed, "invited");
        watch.next().await.are_empty("once");
    }
    invited.next().await.are_empty("an invitation is no membership");
    for step in 0..2 {
        if step == 0 {
            upload_keys(&carol).await;
        } else {
            upload_identity(&carol).await;
        }
        for watch in &mut members {
            watch.next().await.tell(&carol, Changed, "invited users are tracked");
        }
        invited.next().await.tell(&carol, Changed, "own keys").tell(&alice, Nothing, "not yet");
    }
    upload_keys(&alice.another_device().await).await;
    invited.next().await.are_empty("an invited user does not track members");
    carol.join(&room).await;
    for watch in &mut members {
        watch.next().await.tell(&carol, Changed, "joined");
    }
    invited.next().await.tell(&alice, Changed, "joined").tell(&bob, Changed, "joined");
}

/// DL-3, DL-14: an invitation that was refused or taken back is the end of it.
#[tokio::test]
async fn an_invitation_that_ends_is_told_to_the_members() {
    for way in ["refused", "kick", "ban"] {
        let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
        let room = alice.encrypted_room(&[&bob]).await;
        alice.invite(&room, &carol).await;
        let mut members = [Watch::start(&alice).await, Watch::start(&bob).await];
        match way {
            "refused" => carol.leave(&room).await,
            action => act(&alice, action, &room, &carol).await,
        }
        for watch in &mut members {
            watch.next().await.tell(&carol, Left, way);
        }
        upload_keys(&carol).await;
        for watch in &mut members {
            watch.next().await.are_empty("nothing is shared");
        }
    }
}
