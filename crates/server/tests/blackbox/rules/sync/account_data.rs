//! Account data, which secret storage and backups rest on.

use serde_json::{Value, json};

use super::{list, next_batch};
use crate::harness::{Client, Server, Syncing, at, deadline, within};

fn global(answer: &Value, kind: &str) -> Option<Value> {
    list(&answer["account_data"]["events"]).into_iter().find(|event| event["type"] == kind)
}

fn of_room(answer: &Value, room: &str, kind: &str) -> Option<Value> {
    let events = list(&answer["rooms"]["join"][room]["account_data"]["events"]);
    events.into_iter().find(|event| event["type"] == kind)
}

async fn set(by: &Client, kind: &str, content: Value) {
    by.put(at!("/user/{}/account_data/{}", by.user_id(), kind), content).await.ok();
}

/// SYNC-14: what one device sets comes to all of the user's devices, the one that set it included, and to nobody else;
/// again when the answer was lost, and in first answers.
#[tokio::test]
async fn account_data_comes_to_all_devices() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    let phone = alice.another_device().await;
    let mut devices = [alice.syncing(), phone.syncing()];
    let mut other = bob.syncing();
    for sync in devices.iter_mut().chain([&mut other]) {
        sync.now().await;
    }
    let kinds = ["m.secret_storage.default_key", "m.cross_signing.master", "io.example/odd %"];
    for (number, kind) in kinds.into_iter().enumerate() {
        let content = json!({"number": number, "key": {"nested": [1, null, "\u{0}"]}});
        set(&alice, kind, content.clone()).await;
        let path = at!("/user/{}/rooms/{}/account_data/{}", alice.user_id(), room, kind);
        phone.put(path, content.clone()).await.ok();
        alice.put(at!("/user/{}/rooms/{}/tags/m.favourite", alice.user_id(), room), json!({"order": 0.5})).await.ok();
        let expected = json!({"type": kind, "content": content});
        for sync in &mut devices {
            for answer in [sync.peek(std::time::Duration::ZERO).await, sync.now().await] {
                assert_eq!(global(&answer, kind).as_ref(), Some(&expected), "{answer}");
                assert_eq!(of_room(&answer, &room, kind).as_ref(), Some(&expected), "{answer}");
                assert!(of_room(&answer, &room, "m.tag").is_some(), "{answer}");
            }
            let quiet = sync.now().await;
            assert!(global(&quiet, kind).is_none() && of_room(&quiet, &room, kind).is_none(), "once: {quiet}");
        }
        let answer = other.now().await;
        assert!(global(&answer, kind).is_none() && of_room(&answer, &room, kind).is_none(), "not Bob's: {answer}");
        let first = alice.another_device().await.sync(None).await;
        assert_eq!(global(&first, kind).as_ref(), Some(&expected));
        assert_eq!(of_room(&first, &room, kind).as_ref(), Some(&expected));
    }
    // The last of several is told, once.
    for number in 0..3 {
        set(&alice, "io.example.many", json!({"number": number})).await;
    }
    let answer = devices[0].now().await;
    let many: Vec<_> = list(&answer["account_data"]["events"])
        .into_iter()
        .filter(|event| event["type"] == "io.example.many")
        .collect();
    assert_eq!(many, [json!({"type": "io.example.many", "content": {"number": 2}})]);
}

/// SYNC-14: set before the room was joined, it comes with the room.
#[tokio::test]
async fn account_data_of_a_room_comes_with_it() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[]).await;
    let path = at!("/user/{}/rooms/{}/account_data/io.example", bob.user_id(), room);
    bob.put(path, json!({"early": true})).await.ok();
    let since = next_batch(&bob.sync(None).await);
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    let answer = bob.sync(Some(&since)).await;
    assert_eq!(of_room(&answer, &room, "io.example").unwrap()["content"]["early"], true, "{answer}");
}

/// SYNC-14, SYNC-15: every kind of account data wakes all devices that wait: js-sdk sets up secret storage by this.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn account_data_wakes_all_devices() {
    let alice = Server::shared().await.user("alice").await;
    let phone = alice.another_device().await;
    let room = alice.encrypted_room(&[]).await;
    let mut devices = [alice.syncing(), phone.syncing()];
    for sync in &mut devices {
        sync.now().await;
        sync.now().await;
    }
    for what in ["global", "room", "tag", "push rule"] {
        let write = async {
            let user = alice.user_id();
            match what {
                "global" => set(&phone, "io.example.wake", json!({"a": 1})).await,
                "room" => {
                    let path = at!("/user/{}/rooms/{}/account_data/io.example.wake", user, room);
                    phone.put(path, json!({"a": 1})).await.ok();
                }
                "tag" => {
                    phone.put(at!("/user/{}/rooms/{}/tags/u.wake", user, room), json!({})).await.ok();
                }
                _ => {
                    let path = "/pushrules/global/override/.m.rule.master/enabled";
                    phone.put(path, json!({"enabled": true})).await.ok();
                }
            }
        };
        let found = |answer: &Value| match what {
            "global" => global(answer, "io.example.wake").is_some(),
            "room" => of_room(answer, &room, "io.example.wake").is_some(),
            "tag" => of_room(answer, &room, "m.tag").is_some(),
            _ => global(answer, "m.push_rules").is_some(),
        };
        let [one, other] = &mut devices;
        let wait = async |sync: &mut Syncing| while !found(&sync.step(deadline() * 2).await) {};
        let all = async { tokio::join!(wait(one), wait(other), write) };
        within(what, deadline(), all).await;
    }
}
