//! Messages of devices that go.

use serde_json::json;

use super::{KIND, next_batch, numbers, put, send};
use crate::harness::{Client, Server, to_device};

async fn end(way: &str, owner: &Client, device: &Client) {
    match way {
        "logout" => device.logout().await,
        "delete" => {
            owner.delete(format!("/devices/{}", device.device_id())).with_password().await.ok();
        }
        "delete_devices" => {
            let body = json!({"devices": [device.device_id()]});
            owner.post("/delete_devices", body).with_password().await.ok();
        }
        _ => {
            device.post("/logout/all", json!({})).await.ok();
        }
    }
}

/// TD-13: however a device ends, its messages end with it; a new device of the same name gets none of them, nor those sent
/// while there was no device.
#[tokio::test]
async fn a_deleted_device_takes_its_messages_along() {
    for way in ["logout", "delete", "delete_devices", "logout/all"] {
        let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
        let phone = bob.login("PHONE").await;
        let before = next_batch(&phone.sync(None).await);
        for number in 0..3 {
            send(&alice, &format!("{number}"), &phone, number).await;
        }
        let half = next_batch(&phone.sync(Some(&before)).await);
        send(&alice, "3", &phone, 3).await;
        end(way, &bob, &phone).await;
        send(&alice, "4", &phone, 4).await;
        let phone = bob.login("PHONE").await;
        for since in [None, Some(&*before), Some(&*half)] {
            assert!(to_device(&phone.sync(since).await).is_empty(), "{way}");
        }
        send(&alice, "5", &phone, 5).await;
        // A token that the old device was given acknowledges nothing for the new one.
        for since in [Some(&*before), Some(&*half), None, Some(&*half)] {
            assert_eq!(numbers(&phone.sync(since).await), [5], "{way}");
        }
    }
}

/// TD-8, TD-13: who logs in again as a device that is still there goes on with its messages, each once.
#[tokio::test]
async fn logging_in_again_keeps_messages() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let since = next_batch(&bob.sync(None).await);
    send(&alice, "0", &bob, 0).await;
    let sync = bob.sync(Some(&since)).await;
    assert_eq!(numbers(&sync), [0]);
    send(&alice, "1", &bob, 1).await;
    let again = bob.login(bob.device_id()).await;
    put(&alice, KIND, "2", json!({bob.user_id(): {"*": {"number": 2}}})).await.ok();
    assert_eq!(numbers(&again.sync(Some(&next_batch(&sync))).await), [1, 2]);
    assert_eq!(numbers(&again.sync(None).await), [1, 2]);
}

/// TD-13: one device that goes takes nothing from another of the same user.
#[tokio::test]
async fn other_devices_keep_their_messages() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let phone = bob.another_device().await;
    put(&alice, KIND, "t", json!({bob.user_id(): {"*": {"number": 1}}})).await.ok();
    phone.logout().await;
    assert_eq!(numbers(&bob.sync(None).await), [1]);
}
