//! Device lists: nobody who must know misses a change.

use serde_json::{Value, json};

use crate::harness::{
    Client, Server, device_lists_changed, device_lists_left,
    keys::{CrossSigning, DeviceKeys},
};

async fn upload(of: &Client) {
    of.post("/keys/upload", json!({"device_keys": DeviceKeys::new(of).signed()})).await.ok();
}

async fn since(of: &Client) -> String {
    of.sync(None).await["next_batch"].as_str().unwrap().to_owned()
}

fn names(list: Vec<String>, user: &Client) -> bool {
    list.iter().any(|name| name == user.user_id())
}

/// DL-1, DL-4, DL-8, DL-9, DEV-11: new keys, new identity, a deletion; each is told to who shares an encrypted room.
#[tokio::test]
async fn changes_reach_those_who_share_an_encrypted_room() {
    let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
    alice.encrypted_room(&[&bob]).await;
    let (mut at_bob, mut at_alice, mut at_carol) = (since(&bob).await, since(&alice).await, since(&carol).await);
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
        for (client, at) in [(&bob, &mut at_bob), (&alice, &mut at_alice)] {
            let sync = client.sync(Some(at)).await;
            assert!(names(device_lists_changed(&sync), &alice), "step {step}: {sync}");
            let again = client.sync(Some(at)).await;
            assert!(names(device_lists_changed(&again), &alice), "a lost answer is asked for again");
            *at = sync["next_batch"].as_str().unwrap().to_owned();
            let quiet = client.sync(Some(at)).await;
            assert!(!names(device_lists_changed(&quiet), &alice), "{quiet}");
        }
        let sync = carol.sync(Some(&at_carol)).await;
        assert!(!names(device_lists_changed(&sync), &alice), "a stranger is told nothing: {sync}");
        at_carol = sync["next_batch"].as_str().unwrap().to_owned();
    }
    assert_eq!(bob.sync(None).await["device_lists"]["changed"].as_array().map_or(0, Vec::len), 0, "DL-4");
}

/// DL-2, DL-3, DL-5, DL-10: joins and leaves.
#[tokio::test]
async fn who_comes_is_changed_and_who_goes_is_left() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[]).await;
    upload(&bob).await;
    let at = since(&alice).await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    let sync = alice.sync(Some(&at)).await;
    assert!(names(device_lists_changed(&sync), &bob), "{sync}");
    let at = sync["next_batch"].as_str().unwrap().to_owned();
    bob.leave(&room).await;
    let sync = alice.sync(Some(&at)).await;
    assert!(names(device_lists_left(&sync), &bob) && !names(device_lists_changed(&sync), &bob), "{sync}");
    let at = sync["next_batch"].as_str().unwrap().to_owned();
    upload(&bob.login("NEW").await).await;
    let sync = alice.sync(Some(&at)).await;
    assert!(!names(device_lists_changed(&sync), &bob), "no room is shared: {sync}");
    let at = sync["next_batch"].as_str().unwrap().to_owned();
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    let sync = alice.sync(Some(&at)).await;
    assert!(names(device_lists_changed(&sync), &bob), "DL-5: {sync}");
    // In and out between two syncs: the end decides.
    let at = sync["next_batch"].as_str().unwrap().to_owned();
    bob.leave(&room).await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    let sync = alice.sync(Some(&at)).await;
    assert!(names(device_lists_changed(&sync), &bob) && !names(device_lists_left(&sync), &bob), "DL-10: {sync}");
}

/// DL-6: encryption turned on later.
#[tokio::test]
async fn turning_encryption_on_names_the_members() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.create_room(json!({"preset": "private_chat", "invite": [bob.user_id()]})).await;
    bob.join(&room).await;
    let at = since(&alice).await;
    let content = json!({"algorithm": "m.megolm.v1.aes-sha2"});
    bob.put(format!("/rooms/{}/state/m.room.encryption", crate::harness::segment(&room)), content.clone())
        .await
        .error(403, "M_FORBIDDEN");
    alice.send_state(&room, "m.room.encryption", "", content).await;
    let sync = alice.sync(Some(&at)).await;
    assert!(names(device_lists_changed(&sync), &bob), "{sync}");
}

/// DL-15 to DL-20: both bounds count, and foreign tokens are refused.
#[tokio::test]
async fn changes_between_two_tokens_can_be_asked_for() {
    let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
    let room = alice.create_room(json!({"preset": "public_chat"})).await;
    bob.join(&room).await;
    carol.join(&room).await;
    let first = since(&alice).await;
    upload(&bob).await;
    let second = since(&alice).await;
    upload(&carol).await;
    let third = since(&alice).await;
    let changes = |from: &str, to: &str| alice.get("/keys/changes").query("from", from).query("to", to);
    let named = |answer: Value| {
        let has = |user: &Client| answer["changed"].as_array().unwrap().iter().any(|name| name == user.user_id());
        (has(&bob), has(&carol))
    };
    assert_eq!(named(changes(&first, &second).await.ok()), (true, false));
    assert_eq!(named(changes(&second, &third).await.ok()), (false, true));
    assert_eq!(named(changes(&first, &third).await.ok()), (true, true));
    changes("nonsense", &third).await.error(400, "M_INVALID_PARAM");
    alice.get("/keys/changes").query("from", &first).await.error(400, "M_MISSING_PARAM");
}

/// DL-22, TD-15: a waiting sync is woken by a change of keys and by a message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_sync_is_woken() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    alice.encrypted_room(&[&bob]).await;
    let mut syncing = bob.syncing();
    syncing.now().await;
    let waiting = tokio::spawn(async move {
        let user = syncing
            .until("a message", |sync| (!crate::harness::to_device(sync).is_empty()).then(|| sync.clone()))
            .await;
        drop(user);
        syncing
    });
    bob.send_to_device("io.example.wake", json!({bob.user_id(): {bob.device_id(): {}}})).await;
    let mut syncing = waiting.await.unwrap();
    let alice_id = alice.user_id().to_owned();
    let waiting = tokio::spawn(async move { syncing.until_changed(&alice_id).await });
    upload(&alice).await;
    waiting.await.unwrap();
}
