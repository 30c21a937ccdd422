//! `olmstead e2ee doctor` finds what is wrong, and what it advises mends it.

use std::{collections::BTreeSet, time::Duration};

use olmstead_domain::json::RawJson;
use olmstead_storage::{
    cross_signing::CrossSigningKeys,
    devices::DeviceRef,
    keys::{ClaimWant, KeysUpload},
    to_device::{OutgoingMessage, Recipient},
};
use serde_json::{Value, json};

use super::support::Managed;
use crate::{
    harness::{
        Client,
        keys::{ALGORITHM, CrossSigning, DeviceKeys, count},
    },
    olm::CryptoClient,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn raw(value: &Value) -> RawJson {
    RawJson::from_value(value).expect("JSON")
}

/// What the doctor says: kinds and devices, or users where it is about no device.
async fn findings(managed: &Managed) -> BTreeSet<(String, String)> {
    let report = managed.json("e2ee", &["doctor"]).await;
    let short = |finding: &Value| {
        for text in ["found", "users_see", "remedy"] {
            assert!(!finding[text].as_str().unwrap().is_empty(), "{finding}");
        }
        let whose = finding["device_id"].as_str().or(finding["user_id"].as_str());
        (finding["kind"].as_str().unwrap().to_owned(), whose.unwrap().to_owned())
    };
    report["findings"].as_array().unwrap().iter().map(short).collect()
}

async fn device_ref(managed: &Managed, of: &Client) -> DeviceRef {
    let user = ruma::UserId::parse(of.user_id()).unwrap();
    let device = managed.storage.device(&user, of.device_id().into()).await.unwrap();
    device.expect("a device").id
}

/// Takes all that is in the pool of a device, and its fallback key.
async fn empty(managed: &Managed, of: &Client) {
    let device = device_ref(managed, of).await;
    let (user_id, device_id) = (device.user_id, device.device_id);
    let want = ClaimWant { user_id, device_id, algorithm: ALGORITHM.to_owned(), spares: false };
    while managed
        .storage
        .claim_keys(std::slice::from_ref(&want))
        .await
        .unwrap()
        .first()
        .is_some_and(|key| !key.fallback)
    {}
}

/// Every fault is found, each by its name, and after the advised repairs none is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_is_found_and_mended() {
    let Some(managed) = Managed::start().await else { return };
    let names = ["healthy", "bare", "drained", "unsigned", "crossed", "full", "asleep", "cloned"];
    let [healthy, bare, drained, unsigned, crossed, full, asleep, cloned] = managed.server.users(names).await;
    let clone = cloned.another_device().await;
    for client in [&healthy, &drained, &crossed, &full, &asleep] {
        DeviceKeys::new(client).upload(client, 3, true).await;
    }
    managed.clock.forward(Duration::from_secs(2 * 60 * 60));
    assert_eq!(
        findings(&managed).await,
        BTreeSet::from([
            ("no_device_keys".to_owned(), bare.device_id().to_owned()),
            ("no_device_keys".to_owned(), unsigned.device_id().to_owned()),
            ("no_device_keys".to_owned(), cloned.device_id().to_owned()),
            ("no_device_keys".to_owned(), clone.device_id().to_owned()),
        ])
    );

    empty(&managed, &drained).await;
    let mut wrong = DeviceKeys::new(&unsigned).signed();
    let key = format!("ed25519:{}", unsigned.device_id());
    wrong["signatures"][unsigned.user_id()][&key] =
        DeviceKeys::new(&unsigned).signed()["signatures"][unsigned.user_id()][&key].clone();
    let spare = DeviceKeys::new(&unsigned).one_time_keys(1);
    unsigned.post("/keys/upload", json!({"device_keys": wrong, "one_time_keys": spare})).await.ok();
    let identity = CrossSigning::new(crossed.user_id());
    let mut self_signing = identity.self_signing_key();
    self_signing["signatures"] = json!({});
    let keys = CrossSigningKeys {
        master: Some(raw(&identity.master_key())),
        self_signing: Some(raw(&self_signing)),
        ..CrossSigningKeys::default()
    };
    let crossed_id = ruma::UserId::parse(crossed.user_id()).unwrap();
    managed.storage.put_cross_signing_keys(&crossed_id, 0, keys, Vec::new()).await.unwrap();
    let to_full = device_ref(&managed, &full).await;
    let event = raw(&json!({"content": {}, "sender": healthy.user_id(), "type": "org.example"}));
    let recipient = Recipient::Device(to_full.user_id, to_full.device_id);
    let messages = (0..1_000).map(|_| OutgoingMessage { recipient: recipient.clone(), event: event.clone() }).collect();
    managed.storage.send_to_device(None, messages).await.unwrap();
    healthy.send_to_device("org.example", json!({asleep.user_id(): {"*": {}}})).await;
    let mut keys = DeviceKeys::new(&cloned);
    keys.upload(&cloned, 3, true).await;
    keys.copied_to(&clone).upload(&clone, 3, true).await;
    managed.clock.forward(DAY * 8);
    let seeded = BTreeSet::from(
        [
            ("no_device_keys", bare.device_id()),
            ("empty_pool", drained.device_id()),
            ("device_keys_do_not_verify", unsigned.device_id()),
            ("cross_signing_does_not_verify", crossed.user_id()),
            ("full_inbox", full.device_id()),
            ("never_fetches", asleep.device_id()),
            ("shared_identity_key", cloned.device_id()),
            ("shared_identity_key", clone.device_id()),
        ]
        .map(|(kind, whose)| (kind.to_owned(), whose.to_owned())),
    );
    assert_eq!(findings(&managed).await, seeded);
    let text = managed.run(&["e2ee", "doctor", "--user", drained.user_id()]).await;
    assert!(
        text.code == Some(1) && text.out.contains("drop-one-time-keys") && text.out.contains("1 users"),
        "{text:?}"
    );
    managed.run(&["e2ee", "doctor", "--user", "@nobody:localhost"]).await.failed();

    // What is advised.
    let old = ["--older-than", "7d", "--yes"];
    for client in [&full, &asleep] {
        let drop = ["e2ee", "repair", "drop-inbox", client.user_id(), client.device_id()];
        let would = managed.run(&[&drop[..], &old[..2], &["--dry-run"]].concat()).await.ok();
        let number = if client.user_id() == full.user_id() { "1000" } else { "1" };
        assert!(would.contains(&format!("about {number} messages")), "{would}");
        managed.run(&[&drop[..], &old[..]].concat()).await.ok();
    }
    bare.logout().await;
    unsigned.logout().await;
    clone.logout().await;
    crossed
        .post("/keys/device_signing/upload", CrossSigning::new(crossed.user_id()).upload())
        .with_password()
        .await
        .ok();
    let mut syncing = drained.syncing();
    let token = syncing.now().await["next_batch"].as_str().unwrap().to_owned();
    let drop = ["e2ee", "repair", "drop-one-time-keys", drained.user_id(), drained.device_id(), "--yes"];
    let mut waiting = drained.syncing().since(&token);
    let (told, _) = tokio::join!(waiting.step(Duration::from_secs(15)), managed.run(&drop));
    assert_eq!(told["device_one_time_keys_count"][ALGORITHM], 0);
    DeviceKeys::new(&drained).upload(&drained, 3, true).await;
    assert_eq!(findings(&managed).await, BTreeSet::new());
    let well = managed.run(&["e2ee", "doctor"]).await.ok();
    assert!(well.contains("nothing is wrong"), "{well}");
}

/// A real client whose keys on the server are not its own any more is understood by nobody who begins to talk to it, until
/// an operator drops them: then it uploads others, and what is sent from then on is decrypted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_clients_understand_each_other_after_a_repair() {
    let Some(managed) = Managed::start().await else { return };
    let [alice, bob] = managed.server.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    let bobs = CryptoClient::new(&bob).await;
    empty(&managed, &bob).await;
    // Well-formed keys of another account under the device's name, as a client has that was put back to an older state.
    let mut others = DeviceKeys::of(bob.user_id(), bob.device_id());
    let strange = others.one_time_keys(60);
    let strange = strange.as_object().unwrap().values().enumerate();
    let strange = strange.map(|(n, key)| (format!("{ALGORITHM}:STRANGE{n}"), raw(key))).collect();
    let upload = KeysUpload { one_time_keys: strange, pool_limit: 100, claimed_memory: 1_000, ..KeysUpload::default() };
    managed.storage.upload_keys(&device_ref(&managed, &bob).await, upload).await.unwrap();
    bobs.sync().await;
    assert_eq!(count(&bob).await, 60, "the client believes that all is well");

    let drop = ["e2ee", "repair", "drop-one-time-keys", bob.user_id(), bob.device_id(), "--yes"];
    managed.run(&drop).await.ok();
    bobs.sync().await;
    let own = count(&bob).await.as_u64().unwrap();
    assert!(own > 0 && own < 60, "{own}");
    let alices = CryptoClient::new(&alice).await;
    alices.sync().await;
    alices.send_text(&room, "after the repair").await;
    let bobs = bobs.run();
    bobs.until_message(&room, "after the repair").await;
    assert!(bobs.broken_to_device().is_empty());
}

/// DL-1: an announcement reaches whoever shares a room with the user.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_announced_device_list_is_told_to_all_who_may_see_it() {
    let Some(managed) = Managed::start().await else { return };
    let [alice, bob, carol] = managed.server.users(["alice", "bob", "carol"]).await;
    DeviceKeys::new(&alice).upload(&alice, 1, true).await;
    alice.encrypted_room(&[&bob]).await;
    let (mut bobs, mut carols) = (bob.syncing(), carol.syncing());
    bobs.now().await;
    carols.now().await;
    managed.run(&["e2ee", "repair", "announce-device-list", alice.user_id(), "--yes"]).await.ok();
    bobs.until_changed(alice.user_id()).await;
    let of_carol = carols.now().await;
    assert!(crate::harness::device_lists_changed(&of_carol).is_empty(), "{of_carol}");
}
