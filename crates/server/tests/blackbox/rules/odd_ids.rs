//! Ids that no server gives out, of odd characters.

use serde_json::json;

use crate::harness::{Server, at};

/// What is kept for a room whose id has odd characters is read again, and does not stop a sync.
#[tokio::test]
async fn account_data_of_a_room_with_an_odd_id_is_kept() {
    let alice = Server::shared().await.user("alice").await;
    for room in ["!a\u{1}b", "!a\u{1}", "!\u{1}\u{1}\u{2}", "!a\u{7f}\u{1F600}"] {
        let entry = at!("/user/{}/rooms/{}/account_data/org.example", alice.user_id(), room);
        alice.put(&entry, json!({ "of": room })).await.ok();
        alice.put(at!("/user/{}/rooms/{}/tags/u.a", alice.user_id(), room), json!({})).await.ok();
        assert_eq!(alice.get(&entry).await.ok(), json!({ "of": room }));
        alice.sync(None).await;
    }
}
