//! The extension `e2ee`.

use serde_json::{Value, json};

use super::{begun, extensions};
use crate::harness::{
    Client, Server, Sliding,
    keys::{CrossSigning, DeviceKeys},
};

fn e2ee() -> Value {
    extensions(json!({"e2ee": {"enabled": true}}))
}

fn part(sync: &Value) -> Value {
    sync["extensions"]["e2ee"].clone()
}

/// Whether a user is in `changed` or `left`.
fn names(sync: &Value, list: &str, user: &Client) -> bool {
    let users = part(sync)["device_lists"][list].as_array().cloned().unwrap_or_default();
    users.iter().any(|name| name == user.user_id())
}

async fn upload(of: &Client) {
    of.post("/keys/upload", json!({"device_keys": DeviceKeys::new(of).signed()})).await.ok();
}

async fn claim(by: &Client, of: &Client) {
    let body = json!({"one_time_keys": {of.user_id(): {of.device_id(): "signed_curve25519"}}});
    by.post("/keys/claim", body).await.ok();
}

/// SSS-4: the first answer has all fields; later ones have those that changed, and an empty list says that the fallback
/// key was used.
#[tokio::test]
async fn fields_are_left_out_unless_they_changed() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let mut sync = bob.sliding(e2ee());
    let first = part(&sync.now().await);
    assert_eq!(
        first,
        json!({"device_lists": {"changed": [], "left": []}, "device_one_time_keys_count": {"signed_curve25519": 0},
            "device_unused_fallback_key_types": []})
    );
    assert_eq!(part(&sync.now().await), json!({}));
    let mut keys = DeviceKeys::new(&bob);
    keys.upload(&bob, 1, true).await;
    let counts = |count: u64, fallback: Value| {
        move |sync: &Value| {
            let part = part(sync);
            part["device_one_time_keys_count"] == json!({ "signed_curve25519": count })
                && part["device_unused_fallback_key_types"] == fallback
        }
    };
    for _ in 0..2 {
        let came = sync.peek().await;
        assert!(counts(1, json!(["signed_curve25519"]))(&came), "{came}");
    }
    sync.now().await;
    claim(&alice, &bob).await;
    let came = sync.now().await;
    assert!(counts(0, json!(["signed_curve25519"]))(&came), "{came}");
    assert_eq!(part(&sync.now().await), json!({}));
    claim(&alice, &bob).await;
    let came = sync.now().await;
    assert!(counts(0, json!([]))(&came), "{came}");
    // A client that begins again is told all.
    let again = bob.sliding(e2ee()).now().await;
    assert!(counts(0, json!([]))(&again), "{again}");
    assert!(part(&again)["device_lists"].is_object());
}

/// SSS-4, SSS-5: who was not asked for the extension in between is told later, and nobody is told of it unasked.
#[tokio::test]
async fn what_was_not_asked_for_is_told_later() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    alice.encrypted_room(&[&bob]).await;
    let mut sync = begun(&bob, e2ee()).await;
    sync.body = json!({"lists": {"all": {"ranges": [[0, 9]], "timeline_limit": 1}}});
    sync.now().await;
    upload(&alice).await;
    DeviceKeys::new(&bob).upload(&bob, 2, false).await;
    let without = sync.now().await;
    assert_eq!(without["extensions"], json!({}));
    alice.encrypted_room(&[&bob]).await;
    assert_eq!(sync.now().await["extensions"], json!({}));
    sync.body = e2ee();
    let came = sync.now().await;
    assert!(names(&came, "changed", &alice), "{came}");
    assert_eq!(part(&came)["device_one_time_keys_count"]["signed_curve25519"], 2);
    assert_eq!(part(&sync.now().await), json!({}));
}

/// SSS-5: DL-1, DL-4, DL-7…9 hold between two answers: new keys, a new identity, a deletion, told to who shares an encrypted
/// room and to the user, not to strangers, and to nobody in a first answer.
#[tokio::test]
async fn changes_reach_those_who_share_an_encrypted_room() {
    let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
    alice.encrypted_room(&[&bob]).await;
    let clear = alice.create_room(json!({"preset": "public_chat"})).await;
    carol.join(&clear).await;
    let mut at: Vec<Sliding> = Vec::new();
    for client in [&bob, &alice, &carol] {
        at.push(begun(client, e2ee()).await);
    }
    let phone = alice.login("PHONE").await;
    for step in 0..3 {
        match step {
            0 => upload(&phone).await,
            1 => {
                let keys = CrossSigning::new(alice.user_id());
                alice.post("/keys/device_signing/upload", keys.upload()).await.ok();
            }
            _ => phone.logout().await,
        }
        for sync in &mut at[..2] {
            assert!(names(&sync.peek().await, "changed", &alice), "step {step}");
            assert!(names(&sync.now().await, "changed", &alice), "step {step}: a lost answer is asked for again");
            assert!(!names(&sync.now().await, "changed", &alice), "step {step}: once");
        }
        let stranger = at[2].now().await;
        assert!(!names(&stranger, "changed", &alice), "step {step}: {stranger}");
    }
    let first = bob.sliding(e2ee()).now().await;
    assert_eq!(part(&first)["device_lists"], json!({"changed": [], "left": []}));
}

/// SSS-5: DL-2, DL-3, DL-5, DL-6, DL-10, DL-14: who comes to share an encrypted room is changed, who shares none is left.
#[tokio::test]
async fn who_comes_is_changed_and_who_goes_is_left() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.create_room(json!({"preset": "private_chat"})).await;
    upload(&bob).await;
    let mut sync = begun(&alice, e2ee()).await;
    alice.invite(&room, &bob).await;
    assert!(!names(&sync.now().await, "changed", &bob), "in a clear room");
    let encryption = json!({"algorithm": "m.megolm.v1.aes-sha2"});
    alice.send_state(&room, "m.room.encryption", "", encryption).await;
    assert!(names(&sync.now().await, "changed", &bob), "invited to an encrypted room");
    bob.join(&room).await;
    sync.now().await;
    bob.leave(&room).await;
    let came = sync.now().await;
    assert!(names(&came, "left", &bob) && !names(&came, "changed", &bob), "{came}");
    upload(&bob.login("NEW").await).await;
    assert!(!names(&sync.now().await, "changed", &bob), "no room is shared");
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    assert!(names(&sync.now().await, "changed", &bob));
    // In and out between two answers: the end decides.
    bob.leave(&room).await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    let came = sync.now().await;
    assert!(names(&came, "changed", &bob) && !names(&came, "left", &bob), "{came}");
}

/// SSS-5: both kinds of sync say the same of a span.
#[tokio::test]
async fn both_kinds_of_sync_name_the_same_users() {
    let [alice, bob, carol, dan] = Server::shared().await.users(["alice", "bob", "carol", "dan"]).await;
    let room = alice.encrypted_room(&[&bob, &carol]).await;
    let (mut sliding, mut old) = (begun(&alice, e2ee()).await, alice.syncing());
    old.now().await;
    for step in 0..4 {
        match step {
            0 => upload(&bob).await,
            1 => carol.leave(&room).await,
            2 => {
                alice.invite(&room, &dan).await;
                dan.join(&room).await;
            }
            _ => {
                upload(&carol).await;
                upload(&dan).await;
            }
        }
        let (new, old) = (sliding.now().await, old.now().await);
        let lists = |lists: &Value| if lists.is_null() { json!({"changed": [], "left": []}) } else { lists.clone() };
        assert_eq!(lists(&part(&new)["device_lists"]), lists(&old["device_lists"]), "step {step}");
    }
}
