//! `GET /rooms/{roomId}/members`: everybody to share keys with.

use serde_json::Value;

use super::{list, next_batch};
use crate::harness::{Call, Client, Server, at};

/// Users and their memberships, sorted.
fn members(answer: &Value) -> Vec<(String, String)> {
    let mut members: Vec<_> = list(&answer["chunk"])
        .iter()
        .map(|event| {
            assert_eq!(event["type"], "m.room.member");
            assert!(event["event_id"].is_string() && event["sender"].is_string(), "{event}");
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&event["state_key"]), text(&event["content"]["membership"]))
        })
        .collect();
    members.sort();
    members
}

fn expected(of: &[(&Client, &str)]) -> Vec<(String, String)> {
    let mut expected: Vec<_> =
        of.iter().map(|(user, membership)| (user.user_id().to_owned(), (*membership).to_owned())).collect();
    expected.sort();
    expected
}

/// SYNC-16: all members, those with one membership, those without one, and as of a place in the past.
#[tokio::test]
async fn members_are_listed_in_full() {
    let server = Server::shared().await;
    let [alice, bob, carol, dave, eve] = server.users(["alice", "bob", "carol", "dave", "eve"]).await;
    let room = alice.encrypted_room(&[&bob, &carol]).await;
    let ask = |by: &Client| -> Call { by.get(at!("/rooms/{}/members", room)) };
    let before = bob.sync(None).await;
    let then = expected(&[(&alice, "join"), (&bob, "join"), (&carol, "join")]);
    carol.leave(&room).await;
    alice.post(at!("/rooms/{}/ban", room), serde_json::json!({"user_id": dave.user_id()})).await.ok();
    alice.invite(&room, &eve).await;
    for number in 0..15 {
        alice.send_text(&room, &format!("{number}")).await;
    }
    let all = [(&alice, "join"), (&bob, "join"), (&carol, "leave"), (&dave, "ban"), (&eve, "invite")];
    assert_eq!(members(&ask(&bob).await.ok()), expected(&all));
    for membership in ["join", "invite", "leave", "ban", "knock"] {
        let with: Vec<_> = all.iter().copied().filter(|(_, other)| *other == membership).collect();
        let without: Vec<_> = all.iter().copied().filter(|(_, other)| *other != membership).collect();
        assert_eq!(members(&ask(&bob).query("membership", membership).await.ok()), expected(&with));
        assert_eq!(members(&ask(&bob).query("not_membership", membership).await.ok()), expected(&without));
    }
    // As of a sync, by its own token, as clients keep it; and as of the start of a timeline.
    assert_eq!(members(&ask(&bob).query("at", next_batch(&before)).await.ok()), then);
    let call = ask(&bob).query("at", next_batch(&before)).query("not_membership", "leave");
    assert_eq!(members(&call.await.ok()), then);
    let after = bob.sync(Some(&next_batch(&before))).await;
    let start = after["rooms"]["join"][&room]["timeline"]["prev_batch"].as_str().unwrap().to_owned();
    assert_eq!(members(&ask(&bob).query("at", start).await.ok()), expected(&all));
    ask(&bob).query("at", "nonsense").await.error(400, "M_INVALID_PARAM");
    ask(&bob).query("membership", "friend").await.error(400, "M_INVALID_PARAM");
}

/// SYNC-16: who left sees the members of then, and who was never in sees none.
#[tokio::test]
async fn members_are_for_those_who_were_in() {
    let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    let path = at!("/rooms/{}/members", room);
    carol.get(&path).await.error(403, "M_FORBIDDEN");
    alice.invite(&room, &carol).await;
    carol.get(&path).await.error(403, "M_FORBIDDEN");
    bob.leave(&room).await;
    carol.join(&room).await;
    let seen = members(&bob.get(&path).await.ok());
    assert_eq!(seen, expected(&[(&alice, "join"), (&bob, "leave"), (&carol, "invite")]));
    bob.get(at!("/rooms/{}/members", "!unknown:localhost")).await.error(403, "M_FORBIDDEN");
}
