//! What reaches those who never were in a room.

use serde_json::{Value, json};

use crate::harness::{Client, Server, at};

fn told(sync: &Value, room: &str) -> Vec<Value> {
    sync["rooms"]["leave"][room]["timeline"]["events"].as_array().cloned().unwrap_or_default()
}

async fn uninvite(alice: &Client, room: &str, how: &str, bob: &Client) {
    let body = json!({"user_id": bob.user_id(), "reason": "a mistake"});
    alice.post(at!("/rooms/{}/{}", room, how), body).await.ok();
}

/// Clients show who took an invitation back, and why; they learn it from the member event alone.
#[tokio::test]
async fn the_end_of_an_invitation_is_told_and_nothing_else() {
    let server = Server::shared().await;
    let [alice, bob] = server.users(["alice", "bob"]).await;
    for (how, membership) in [("kick", "leave"), ("ban", "ban")] {
        let room = alice.create_room(json!({"invite": [bob.user_id()]})).await;
        let mut sync = bob.syncing();
        sync.now().await;
        alice.send_text(&room, "not for bob").await;
        uninvite(&alice, &room, how, &bob).await;
        let events = told(&sync.now().await, &room);
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0]["content"], json!({"membership": membership, "reason": "a mistake"}));
        assert_eq!(events[0]["unsigned"]["prev_content"]["membership"], "invite");
        assert_eq!(told(&sync.now().await, &room), Vec::<Value>::new(), "told once");
    }
}

/// The same for who ends it: other devices of the user learn of it.
#[tokio::test]
async fn a_declined_invitation_is_told_to_all_devices() {
    let server = Server::shared().await;
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let room = alice.create_room(json!({"invite": [bob.user_id()]})).await;
    let mut sync = bob.another_device().await.syncing();
    sync.now().await;
    bob.leave(&room).await;
    let events = told(&sync.now().await, &room);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((&events[0]["sender"], &events[0]["state_key"]), (&json!(bob.user_id()), &json!(bob.user_id())));
}
