//! User ids of the old grammar.

use serde_json::json;

use super::{Lists, Told::*, Watch, encrypt};
use crate::harness::{Server, at, unique};

/// DL-21: nobody can register a name outside of today's grammar.
#[tokio::test]
async fn odd_names_cannot_be_registered() {
    let server = Server::shared().await;
    let anonymous = server.anonymous();
    for name in ["", " ", "Capital", "\u{fc}ber", "a b", "tab\t", "\u{7f}", "\u{0}", "a:b", "@a", "\u{1f600}"] {
        let body = json!({"username": name, "password": format!("pw-{}", unique()), "auth": {"type": "m.login.dummy"}});
        anonymous.post("/register", body).await.error(400, "M_INVALID_USERNAME");
        anonymous.get("/register/available").query("username", name).await.error(400, "M_INVALID_USERNAME");
    }
}

/// DL-21: such users can be invited all the same, since old ones may exist; clients are not told of their devices.
#[tokio::test]
async fn odd_names_are_in_no_device_list() {
    let server = Server::shared().await;
    let [alice, bob] = server.users(["alice", "bob"]).await;
    let name = server.name().await;
    let odd: Vec<String> =
        ["", "\u{fc}ber", "a b", "\u{1}", "\u{7f}"].iter().map(|localpart| format!("@{localpart}:{name}")).collect();
    let mut rooms = vec![alice.encrypted_room(&[&bob]).await];
    rooms.push(super::clear_room(&alice, &[&bob]).await);
    let mut watches = [Watch::start(&alice).await, Watch::start(&bob).await];
    let from = watches[0].token();
    let mut invited = 0;
    for room in &rooms {
        for user in &odd {
            let answer = alice.post(at!("/rooms/{}/invite", room), json!({"user_id": user})).await;
            assert!(answer.status == 200 || answer.status == 400, "{answer}");
            invited += usize::from(answer.status == 200);
        }
    }
    assert!(invited > 0, "then this test shows nothing");
    encrypt(&alice, &rooms[1]).await;
    for watch in &mut watches {
        let told = watch.next().await;
        for user in &odd {
            assert!(!told.changed.contains(user) && !told.left.contains(user), "{told}");
        }
    }
    watches[1].next().await.are_empty("all was told");
    for room in &rooms {
        for user in &odd {
            alice.post(at!("/rooms/{}/kick", room), json!({"user_id": user})).await;
        }
    }
    for watch in &mut watches {
        watch.next().await.are_empty("who went was never named");
    }
    bob.leave(&rooms[0]).await;
    bob.leave(&rooms[1]).await;
    let told = watches[1].next().await;
    told.tell(&alice, Left, "the others are");
    assert_eq!(told.left.len(), 1, "{told}");
    let to = watches[0].next().await.answer["next_batch"].as_str().unwrap().to_owned();
    let told = alice.get("/keys/changes").query("from", from).query("to", to).await.ok();
    let told = Lists::of_changes(told);
    assert!(odd.iter().all(|user| !told.changed.contains(user) && !told.left.contains(user)), "{told}");
}
