//! `olmstead e2ee inspect`

use serde_json::json;

use super::support::Managed;
use crate::harness::keys::{CrossSigning, DeviceKeys};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_a_user_is_seen() {
    let Some(managed) = Managed::start().await else { return };
    let [alice, bob] = managed.server.users(["alice", "bob"]).await;
    let mut keys = DeviceKeys::new(&alice);
    keys.upload(&alice, 7, true).await;
    let identity = CrossSigning::new(alice.user_id());
    let mut upload = identity.upload();
    upload["master_key"] = keys.sign(identity.master_key());
    alice.post("/keys/device_signing/upload", upload).await.ok();
    let signed = identity.sign_device(&keys.signed());
    let body = json!({alice.user_id(): {alice.device_id(): signed}});
    assert_eq!(alice.post("/keys/signatures/upload", body).await.ok()["failures"], json!({}));
    let bobs = CrossSigning::new(bob.user_id());
    bob.post("/keys/device_signing/upload", bobs.upload()).await.ok();
    let public = identity.master.public_key().to_base64();
    let body = json!({alice.user_id(): {public: bobs.sign_user(&identity.master_key())}});
    assert_eq!(bob.post("/keys/signatures/upload", body).await.ok()["failures"], json!({}));
    bob.send_to_device("org.example", json!({alice.user_id(): {"*": {"a": 1}}})).await;
    let version = alice.post("/room_keys/version", json!({"algorithm": "org.example", "auth_data": {}})).await.ok();

    let (user, device) = (alice.user_id(), alice.device_id());
    let report = managed.json("e2ee", &["inspect", user]).await;
    assert_eq!(report["user_id"], user);
    let signed_by = |key: &str| report["cross_signing"][key]["signed_by"].clone();
    assert_eq!(signed_by("master"), json!([{"by": device, "verifies": true}, {"by": bob.user_id(), "verifies": true}]));
    assert_eq!(signed_by("self_signing"), json!([{"by": "master", "verifies": true}]));
    assert_eq!(report["cross_signing"]["master"]["public_key"], identity.master.public_key().to_base64());
    assert!(report["list_changed"].is_u64(), "{report}");
    let of_device = &report["devices"][0];
    assert_eq!(of_device["device_id"], device);
    assert_eq!(of_device["identity_keys"], json!({"curve25519": keys.curve25519(), "ed25519": keys.ed25519()}));
    let mut signers: Vec<_> = of_device["signed_by"].as_array().unwrap().clone();
    signers.sort_by_key(|signer| signer["by"].as_str() == Some("self_signing"));
    assert_eq!(json!(signers), json!([{"by": device, "verifies": true}, {"by": "self_signing", "verifies": true}]));
    assert_eq!(of_device["one_time_keys"], json!({"signed_curve25519": 7}));
    assert_eq!(of_device["fallback_keys"], json!({"signed_curve25519": false}));
    assert_eq!(of_device["inbox"]["waiting"], 1);
    assert!(of_device["inbox"]["oldest_at"].as_u64().unwrap() > 1_700_000_000_000);
    assert_eq!(report["backups"][0]["version"], version["version"]);

    // The name alone is enough.
    let name = user.trim_start_matches('@').split(':').next().unwrap();
    let text = managed.run(&["e2ee", "inspect", name, device]).await.ok();
    for part in [user, device, "signed by", "7 signed_curve25519", "1 waiting", &keys.curve25519()] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(managed.run(&["e2ee", "inspect", name, "NONE"]).await.failed().contains("no device NONE"));
    assert!(managed.run(&["e2ee", "inspect", "nobody"]).await.failed().contains("M_NOT_FOUND"));
    assert!(managed.run(&["e2ee", "inspect", "@a:b c"]).await.failed().contains("M_INVALID_PARAM"));
}
