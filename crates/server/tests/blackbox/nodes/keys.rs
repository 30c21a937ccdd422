//! Keys that were written at one node are read at all others.

use serde_json::{Value, json};

use super::support::Plan;
use crate::harness::{
    Client,
    keys::{ALGORITHM, CrossSigning, DeviceKeys, claim, count, device_keys, query},
};

/// KQ-11, OTK-13, FBK-9: what an upload, a claim or a deletion did at one node holds at all others when it is answered.
#[tokio::test]
async fn keys_are_read_at_every_node_as_soon_as_they_are_written() {
    let Some(nodes) = Plan::deaf(3).start().await else { return };
    let [alice, bob] = nodes.all()[0].users(["alice", "bob"]).await;
    for round in 0..6 {
        let writer = &nodes.all()[round % 3];
        let readers = || nodes.all().iter().map(|node| bob.via(node));
        let phone = alice.via(writer).login("PHONE").await;
        let mut keys = DeviceKeys::new(&phone);
        keys.upload(&phone, 1, true).await;
        let name = format!("Phone {round}");
        alice.via(writer).put("/devices/PHONE", json!({"display_name": name})).await.ok();
        for reader in readers() {
            let served = device_keys(&reader, &phone).await;
            assert_eq!(
                (&served["keys"], &served["unsigned"]["device_display_name"]),
                (&keys.signed()["keys"], &json!(name))
            );
        }
        let identity = CrossSigning::new(alice.user_id());
        alice.via(writer).post("/keys/device_signing/upload", identity.upload()).with_password().await.ok();
        let signed = identity.sign_device(&keys.signed());
        let signatures = json!({alice.user_id(): {"PHONE": signed}});
        assert_eq!(alice.via(writer).post("/keys/signatures/upload", signatures).await.ok()["failures"], json!({}));
        for reader in readers() {
            assert_eq!(query(&reader, &alice).await["master_keys"][alice.user_id()], identity.master_key());
            assert_eq!(device_keys(&reader, &phone).await["signatures"], signed["signatures"]);
        }
        claimed_everywhere(&bob.via(writer), &phone, nodes.all()).await;
        phone.logout().await;
        for reader in readers() {
            assert_eq!(device_keys(&reader, &phone).await, Value::Null);
            assert_eq!(claim(&reader, &phone).await, Value::Null);
        }
    }
}

/// Claims the one key there is and then the fallback key, and looks everywhere what the device is told.
async fn claimed_everywhere(by: &Client, phone: &Client, nodes: &[crate::harness::Server]) {
    for unused in [json!([ALGORITHM]), json!([])] {
        assert!(claim(by, phone).await.is_object());
        for node in nodes {
            let phone = phone.via(node);
            assert_eq!(count(&phone).await, 0);
            assert_eq!(phone.sync(None).await["device_unused_fallback_key_types"], unused);
        }
    }
}
