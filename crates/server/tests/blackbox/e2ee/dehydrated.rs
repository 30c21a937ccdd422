//! A dehydrated device as clients use it: keys are not lost while nobody of a user is logged in.

use matrix_sdk_crypto::{DecryptionSettings, TrustRequirement, store::types::DehydratedDeviceKey};
use sdk_ruma::serde::Raw;
use serde_json::{Value, json};

use crate::{
    harness::{Client, Server, segment},
    olm::CryptoClient,
    rules::dehydrated::PATH,
};

/// Makes a dehydrated device that the user's self-signing key signed, and uploads it; its id.
async fn dehydrate(user: &CryptoClient, key: &DehydratedDeviceKey) -> String {
    let device = user.machine().dehydrated_devices().create().await.expect("a dehydrated device");
    let request = device.keys_for_upload("Dehydrated".to_owned(), key).await.expect("its keys");
    let body = json!({
        "device_id": request.device_id,
        "device_data": request.device_data,
        "device_keys": request.device_keys,
        "one_time_keys": request.one_time_keys,
        "fallback_keys": request.fallback_keys,
        "initial_device_display_name": request.initial_device_display_name,
    });
    let answer = user.client().put(PATH, body).await.ok();
    answer["device_id"].as_str().expect("an id").to_owned()
}

/// Takes in what the dehydrated device was sent; how many room keys there were.
async fn rehydrate(user: &CryptoClient, key: &DehydratedDeviceKey) -> usize {
    let client: &Client = user.client();
    let stored = client.get(PATH).await.ok();
    let id = stored["device_id"].as_str().expect("an id");
    let data = Raw::from_json_string(stored["device_data"].to_string()).expect("JSON");
    let devices = user.machine().dehydrated_devices();
    let device = devices.rehydrate(key, id.into(), data).await.expect("the device lives again");
    let settings = DecryptionSettings { sender_device_trust_requirement: TrustRequirement::Untrusted };
    let (mut body, mut keys) = (json!({}), 0);
    loop {
        let page = client.post(format!("{PATH}/{}/events", segment(id)), body).await.ok();
        if page["events"] == json!([]) {
            return keys;
        }
        let events = serde_json::from_value(page["events"].clone()).expect("to-device events");
        keys += device.receive_events(events, &settings).await.expect("events are taken in").len();
        body = json!({"next_batch": page["next_batch"]});
    }
}

/// UNS-1, UNS-2, UNS-3: who logs out of the last device reads what was said meanwhile on the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_to_nobody_is_read_later() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = bob.encrypted_room(&[&alice]).await;
    let (laptop, bobs) = (CryptoClient::new(&alice).await, CryptoClient::new(&bob).await);
    laptop.bootstrap_cross_signing().await;
    let key = DehydratedDeviceKey::new();
    // The second takes the place of the first.
    dehydrate(&laptop, &key).await;
    let id = dehydrate(&laptop, &key).await;
    laptop.logout().await;

    bobs.sync().await;
    let shown = bob.post("/keys/query", json!({"device_keys": {alice.user_id(): []}})).await.ok();
    let devices: Value = shown["device_keys"][alice.user_id()].clone();
    assert_eq!(devices.as_object().unwrap().keys().collect::<Vec<_>>(), [&id]);
    assert_eq!(devices[&id]["dehydrated"], true);
    for text in ["one", "two"] {
        let sent = bobs.send_text(&room, text).await;
        assert!(sent.shared_with.contains(&(alice.user_id().to_owned(), id.clone())), "{sent:?}");
    }

    let phone = alice.another_device().await;
    let phone = CryptoClient::new(&phone).await;
    assert!(phone.messages(&room).is_empty(), "{:?}", phone.messages(&room));
    assert_eq!(rehydrate(&phone, &key).await, 1);
    phone.sync().await;
    let texts: Vec<_> = phone.messages(&room).into_iter().map(|message| message.body).collect();
    assert_eq!(texts, ["one", "two"]);
    // Reading takes nothing away: should the phone be lost now, the next one can do the same.
    let tablet = CryptoClient::new(&alice.another_device().await).await;
    assert_eq!(rehydrate(&tablet, &key).await, 1);
    tablet.sync().await;
    assert_eq!(tablet.messages(&room).len(), 2);
}
