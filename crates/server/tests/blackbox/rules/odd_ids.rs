//! Ids that no server gives out: longer than any real one, which are refused, or of odd characters, which are kept.

use serde_json::json;

use crate::harness::{Server, at};

/// AD-5: no room has an id of more than 255 bytes, so nothing is kept for one.
#[tokio::test]
async fn account_data_of_a_room_with_too_long_an_id_is_refused() {
    let alice = Server::shared().await.user("alice").await;
    let user = alice.user_id();
    let longest = format!("!{}", "x".repeat(254));
    alice.put(at!("/user/{}/rooms/{}/account_data/org.example", user, longest), json!({"a": 1})).await.ok();
    alice.put(at!("/user/{}/rooms/{}/tags/u.a", user, longest), json!({})).await.ok();
    // Of one character an index may still take it, of many it does not.
    let odd: String = (0..4_000).map(|n: u32| char::from_u32(0x4E00 + n * 7919 % 20_000).unwrap()).collect();
    for room in [format!("{longest}x"), format!("!{}", "x".repeat(4_000)), format!("!{odd}")] {
        let entry = at!("/user/{}/rooms/{}/account_data/org.example", user, room);
        alice.put(&entry, json!({"a": 1})).await.error(400, "M_INVALID_PARAM");
        alice.get(&entry).await.error(400, "M_INVALID_PARAM");
        let (tags, tag) = (at!("/user/{}/rooms/{}/tags", user, room), at!("/user/{}/rooms/{}/tags/u.a", user, room));
        alice.put(&tag, json!({})).await.error(400, "M_INVALID_PARAM");
        alice.delete(&tag).await.error(400, "M_INVALID_PARAM");
        alice.get(&tags).await.error(400, "M_INVALID_PARAM");
    }
    alice.get(at!("/user/{}/rooms/{}/tags", user, "!")).await.error(400, "M_INVALID_PARAM");
    assert_eq!(alice.get(at!("/user/{}/rooms/{}/tags", user, longest)).await.ok()["tags"], json!({"u.a": {}}));
}

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

/// An event that names a parent with too long an id relates to nothing, and no thread has such an id.
#[tokio::test]
async fn a_receipt_in_a_thread_with_too_long_an_id_is_refused() {
    let alice = Server::shared().await.user("alice").await;
    let room = alice.create_room(json!({})).await;
    for parent in [format!("${}", "x".repeat(255)), format!("${}", "äöüßñ€".repeat(300))] {
        let relation = json!({"rel_type": "m.thread", "event_id": parent});
        let content = json!({"msgtype": "m.text", "body": "x", "m.relates_to": relation});
        let event = alice.send(&room, "m.room.message", content).await;
        let receipt = at!("/rooms/{}/receipt/m.read/{}", room, event);
        alice.post(&receipt, json!({"thread_id": parent})).await.error(400, "M_INVALID_PARAM");
        // So it is of the main timeline.
        alice.post(&receipt, json!({"thread_id": "main"})).await.ok();
    }
}
