//! Whose a backup is, and how long it stays.

use serde_json::json;

use super::{KEYS, all, at_version, get, info, key, new_version, of_version, path, put};
use crate::harness::Server;

/// BKP-32: everybody has backups of their own, also under the same version.
#[tokio::test]
async fn nobody_reaches_the_backup_of_another() {
    let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
    let version = new_version(&alice).await;
    put(&alice, &version, "s", &key(5, 5, false)).await;
    let before = (info(&alice, &version).await, all(&alice, &version).await);
    // Carol has none.
    carol.get(at_version(&version)).await.error(404, "M_NOT_FOUND");
    of_version(carol.get(KEYS), &version).await.error(404, "M_NOT_FOUND");
    of_version(carol.get(path("s")), &version).await.error(404, "M_NOT_FOUND");
    of_version(carol.put(path("s"), key(0, 0, true)), &version).await.error(404, "M_NOT_FOUND");
    of_version(carol.delete(KEYS), &version).await.error(404, "M_NOT_FOUND");
    carol.delete(at_version(&version)).await.error(404, "M_NOT_FOUND");
    // Bob has one of the same name.
    assert_eq!(new_version(&bob).await, version);
    assert_eq!(all(&bob, &version).await, json!({"rooms": {}}));
    put(&bob, &version, "s", &key(0, 0, true)).await;
    put(&bob, &version, "t", &key(0, 0, true)).await;
    new_version(&bob).await;
    of_version(bob.delete(KEYS), &version).await.ok();
    bob.delete(at_version(&version)).await.ok();
    assert_eq!((info(&alice, &version).await, all(&alice, &version).await), before);
    assert_eq!(alice.get("/room_keys/version").await.ok()["version"], json!(version));
}

/// BKP-33: it outlives every device, and any device of the user has it.
#[tokio::test]
async fn a_backup_outlives_the_devices() {
    let [alice] = Server::shared().await.users(["alice"]).await;
    let (phone, tablet) = (alice.another_device().await, alice.another_device().await);
    let version = new_version(&phone).await;
    put(&phone, &version, "s", &key(5, 5, false)).await;
    let before = info(&phone, &version).await;
    phone.logout().await;
    alice.post("/delete_devices", json!({"devices": [tablet.device_id()]})).with_password().await.ok();
    assert_eq!(info(&alice, &version).await, before);
    alice.post("/logout/all", json!({})).await.ok();
    let again = alice.login(phone.device_id()).await;
    assert_eq!(again.get("/room_keys/version").await.ok(), before);
    assert_eq!(get(&again, &version, "s").await, key(5, 5, false));
    put(&again, &version, "s", &key(5, 5, true)).await;
    let change = json!({"new_password": "another-good-one-9"});
    again.post("/account/password", change).with_password().await.ok();
    assert_eq!(get(&again, &version, "s").await, key(5, 5, true));
}
