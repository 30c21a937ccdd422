//! Lazy loading of members.

use serde_json::{Value, json};

use super::{STATES, keys, lazy, limited, list, next_batch, sync};
use crate::harness::{Client, Server, at};

fn member(of: &Client) -> String {
    format!("m.room.member {}", of.user_id())
}

/// The memberships that a part of the answer tells, by user.
fn memberships(part: &Value, name: &str) -> Vec<(String, String)> {
    let events = list(&part[name]["events"]);
    let members = events.iter().filter(|event| event["type"] == "m.room.member");
    let mut found: Vec<_> = members
        .map(|event| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&event["state_key"]), text(&event["content"]["membership"]))
        })
        .collect();
    found.sort();
    found
}

/// SYNC-8: who came, went or got another name in the gap before a limited timeline is told, though none of them spoke.
#[tokio::test]
async fn changes_of_members_in_a_gap_are_told() {
    let server = Server::shared().await;
    let [alice, bob, carol, dave, eve, quiet] = server.users(["alice", "bob", "carol", "dave", "eve", "quiet"]).await;
    let room = alice.encrypted_room(&[&bob, &carol, &dave, &quiet]).await;
    // So that nobody is told of to name the room.
    alice.send_state(&room, "m.room.name", "", json!({"name": "named"})).await;
    let start = next_batch(&alice.sync(None).await);
    carol.leave(&room).await;
    alice.post(at!("/rooms/{}/ban", room), json!({"user_id": dave.user_id()})).await.ok();
    alice.invite(&room, &eve).await;
    eve.join(&room).await;
    bob.put(at!("/profile/{}/displayname", bob.user_id()), json!({"displayname": "Robert"})).await.ok();
    for number in 0..12 {
        alice.send_text(&room, &format!("{number}")).await;
    }
    for filter in [
        lazy(3),
        lazy(1),
        json!({"room": {"timeline": {"limit": 5},
            "state": {"lazy_load_members": true, "include_redundant_members": true}}}),
    ] {
        for (flag, name) in STATES {
            let answer = sync(&alice, Some(&start), &filter, flag).await;
            let part = &answer["rooms"]["join"][&room];
            assert_eq!(part["timeline"]["limited"], true);
            let told = memberships(part, name);
            for (user, membership) in [(&bob, "join"), (&carol, "leave"), (&dave, "ban"), (&eve, "join")] {
                let expected = (user.user_id().to_owned(), membership.to_owned());
                assert!(told.contains(&expected), "{membership} of {}: {part}", user.user_id());
            }
            assert!(told.iter().all(|(user, _)| user != quiet.user_id()), "who did nothing is not needed: {part}");
            let events = list(&part[name]["events"]);
            assert!(events.iter().any(|event| event["content"]["displayname"] == "Robert"), "the new name: {part}");
        }
    }
}

/// SYNC-8: of a room with many members a lazy client gets those who speak, itself and who names the room; the rest it asks
/// for when it needs them.
#[tokio::test]
async fn senders_are_told_with_what_they_say() {
    let [alice, bob, carol, dave] = Server::shared().await.users(["alice", "bob", "carol", "dave"]).await;
    let room = alice.encrypted_room(&[&bob, &carol, &dave]).await;
    alice.send_state(&room, "m.room.name", "", json!({"name": "named"})).await;
    let start = next_batch(&dave.sync(None).await);
    bob.send_text(&room, "hello").await;
    for (flag, name) in STATES {
        let first = sync(&dave, None, &lazy(1), flag).await;
        let told = keys(&list(&first["rooms"]["join"][&room][name]["events"]));
        assert!(told.contains(&member(&bob)) && told.contains(&member(&dave)), "{told:?}");
        assert!(!told.contains(&member(&alice)) && !told.contains(&member(&carol)), "{told:?}");
        assert!(told.contains(&"m.room.encryption ".to_owned()) && told.contains(&"m.room.create ".to_owned()));
        let eager = sync(&dave, None, &limited(1), flag).await;
        let told = keys(&list(&eager["rooms"]["join"][&room][name]["events"]));
        assert!([&alice, &bob, &carol, &dave].iter().all(|user| told.contains(&member(user))), "{told:?}");
        // The client may not have kept the member of who speaks, so it comes with what is said.
        let later = sync(&dave, Some(&start), &lazy(1), flag).await;
        assert_eq!(keys(&list(&later["rooms"]["join"][&room][name]["events"])), [member(&bob)]);
    }
}
