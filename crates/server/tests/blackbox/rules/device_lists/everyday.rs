//! New devices, devices that go, new identities.

use serde_json::json;
use vodozemac::Ed25519SecretKey;

use super::{Lists, Told::*, Watch, clear_room, upload_identity, upload_keys};
use crate::harness::{
    Server, at,
    keys::{CrossSigning, DeviceKeys},
};

/// DL-1, DL-8, DL-9, DEV-11: whoever shares an encrypted room, and the user's own devices, hear of new keys, new identities
/// and devices that went; once, and again as long as they may not have heard.
#[tokio::test]
async fn changes_reach_those_who_share_an_encrypted_room() {
    let [alice, bob, carol, dave] = Server::shared().await.users(["alice", "bob", "carol", "dave"]).await;
    alice.encrypted_room(&[&bob]).await;
    clear_room(&alice, &[&carol]).await;
    let phone = alice.login("PHONE").await;
    let mut told = [Watch::start(&bob).await, Watch::start(&alice).await, Watch::start(&phone).await];
    let mut untold = [Watch::start(&carol).await, Watch::start(&dave).await];
    let tablet = alice.login("TABLET").await;
    let mut identity = CrossSigning::new(alice.user_id());
    for step in ["keys", "identity", "self-signing key", "name", "logout", "deletion"] {
        match step {
            "keys" => drop((upload_keys(&phone).await, upload_keys(&tablet).await)),
            "identity" => {
                alice.post("/keys/device_signing/upload", identity.upload()).await.ok();
            }
            "self-signing key" => {
                identity.self_signing = Ed25519SecretKey::new();
                let body = json!({"self_signing_key": identity.self_signing_key()});
                alice.post("/keys/device_signing/upload", body).with_password().await.ok();
            }
            "name" => {
                alice.put("/devices/PHONE", json!({"display_name": "My phone"})).await.ok();
            }
            "logout" => tablet.logout().await,
            _ => {
                upload_keys(&alice.login("WATCH").await).await;
                alice.delete("/devices/WATCH").with_password().await.ok();
            }
        }
        for watch in &mut told {
            watch.peek().await.tell(&alice, Changed, step);
            let peeked = watch.peek().await;
            peeked.tell(&alice, Changed, "a lost answer is asked for again");
            watch.next().await.tell(&alice, Changed, step);
            watch.next().await.are_empty("all was told");
        }
        for watch in &mut untold {
            watch.next().await.are_empty("who shares no encrypted room hears nothing");
        }
    }
}

/// DL-4: what is no change is not told, and a first answer has no device lists at all, whatever happened before.
#[tokio::test]
async fn a_first_answer_has_no_device_lists() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    alice.encrypted_room(&[&bob]).await;
    upload_keys(&alice).await;
    upload_identity(&bob).await;
    for client in [&alice, &bob] {
        for filter in [json!({}), json!({"room": {"timeline": {"limit": 0}}})] {
            let first = client.syncing().filter(&filter).now().await;
            Lists::of(first).are_empty("a client queries all it meets at first");
        }
        let full = client.get("/sync").query("full_state", true).await.ok();
        Lists::of(full).are_empty("nor with the full state");
    }
}

/// DL-9: the same keys again, and a device that never had keys, are no changes.
#[tokio::test]
async fn what_changes_nothing_is_not_told() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    alice.encrypted_room(&[&bob]).await;
    let mut keys = DeviceKeys::new(&alice);
    let signed = keys.signed();
    alice.post("/keys/upload", json!({"device_keys": signed})).await.ok();
    let identity = upload_identity(&alice).await;
    let mut watch = Watch::start(&bob).await;
    alice.post("/keys/upload", json!({"device_keys": signed})).await.ok();
    alice.post("/keys/upload", json!({"one_time_keys": keys.one_time_keys(3)})).await.ok();
    alice.post("/keys/device_signing/upload", identity.upload()).with_password().await.ok();
    alice.login("KEYLESS").await.logout().await;
    alice.put(at!("/profile/{}/displayname", alice.user_id()), json!({"displayname": "A"})).await.ok();
    watch.next().await.are_empty("nothing changed");
    // A full state does not change what is told either.
    upload_keys(&alice.login("NEW").await).await;
    let call = bob.get("/sync").query("since", watch.token()).query("full_state", true);
    Lists::of(call.await.ok()).tell(&alice, Changed, "with the full state");
}
