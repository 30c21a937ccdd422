//! The reader's membership at each event, by which clients tell what they cannot decrypt from what they were never given.

use serde_json::{Value, json};

use super::{limited, list, next_batch, sync};
use crate::harness::{Client, Server, at};

/// Bodies of messages, and own memberships, with the membership that was told with them.
fn told(events: &Value, reader: &Client) -> Vec<(String, String)> {
    list(events)
        .iter()
        .filter_map(|event| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let name = match event["type"].as_str()? {
                "m.room.message" => text(&event["content"]["body"]),
                "m.room.member" if event["state_key"] == reader.user_id() => {
                    format!("to {}", text(&event["content"]["membership"]))
                }
                _ => return None,
            };
            Some((name, text(&event["unsigned"]["membership"])))
        })
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, membership)| ((*name).to_owned(), (*membership).to_owned())).collect()
}

/// SYNC-13: in syncs, pages of history and single events, with a change of one's own membership counted as made.
#[tokio::test]
async fn every_event_says_what_the_reader_was() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[]).await;
    alice.send_text(&room, "before").await;
    alice.invite(&room, &bob).await;
    let event = alice.send_text(&room, "invited").await;
    bob.join(&room).await;
    alice.send_text(&room, "joined").await;
    let inside = next_batch(&bob.sync(None).await);
    let expected = pairs(&[
        ("before", "leave"),
        ("to invite", "invite"),
        ("invited", "invite"),
        ("to join", "join"),
        ("joined", "join"),
    ]);
    let first = sync(&bob, None, &limited(50), "").await;
    assert_eq!(told(&first["rooms"]["join"][&room]["timeline"]["events"], &bob), expected);
    let page = bob.get(at!("/rooms/{}/messages", room)).query("dir", "f").query("limit", 50).await.ok();
    assert_eq!(told(&page["chunk"], &bob), expected);
    let one = bob.get(at!("/rooms/{}/event/{}", room, event)).await.ok();
    assert_eq!(one["unsigned"]["membership"], "invite");
    let around = bob.get(at!("/rooms/{}/context/{}", room, event)).await.ok();
    assert_eq!(around["event"]["unsigned"]["membership"], "invite");
    assert!(told(&around["events_before"], &bob).contains(&("before".to_owned(), "leave".to_owned())), "{around}");
    assert!(told(&around["events_after"], &bob).contains(&("joined".to_owned(), "join".to_owned())), "{around}");
    // It is the reader's, not the sender's.
    let of_alice = sync(&alice, None, &limited(50), "").await;
    let of_alice = told(&of_alice["rooms"]["join"][&room]["timeline"]["events"], &alice);
    assert!(of_alice.iter().all(|(_, membership)| membership == "join"), "{of_alice:?}");

    alice.send_text(&room, "still").await;
    bob.leave(&room).await;
    alice.send_text(&room, "unseen").await;
    let last = sync(&bob, Some(&inside), &limited(50), "").await;
    let expected = pairs(&[("still", "join"), ("to leave", "leave")]);
    assert_eq!(told(&last["rooms"]["leave"][&room]["timeline"]["events"], &bob), expected);

    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    alice.send_text(&room, "back").await;
    let again = sync(&bob, None, &limited(50), "").await;
    let again = told(&again["rooms"]["join"][&room]["timeline"]["events"], &bob);
    let expected = pairs(&[
        ("to leave", "leave"),
        ("unseen", "leave"),
        ("to invite", "invite"),
        ("to join", "join"),
        ("back", "join"),
    ]);
    assert_eq!(again[again.len() - 5..], expected);
}

/// SYNC-13: a client cannot say it itself.
#[tokio::test]
async fn senders_cannot_forge_it() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    let content = json!({"msgtype": "m.text", "body": "x", "unsigned": {"membership": "leave"}});
    alice.send(&room, "m.room.message", content).await;
    let answer = bob.sync(None).await;
    assert_eq!(
        told(&answer["rooms"]["join"][&room]["timeline"]["events"], &bob).last(),
        pairs(&[("x", "join")]).last()
    );
}
