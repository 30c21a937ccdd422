//! Encrypted conversations over sliding sync.

use crate::{
    harness::{Server, deadline},
    olm::CryptoClient,
};

/// SSS-1, SSS-5: all that encryption needs comes over sliding sync alone: keys run out and are replaced, new
/// devices get the next message, and each room key comes once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_over_sliding_sync() {
    let [alice, bob, carol] = Server::shared().await.users(["alice", "bob", "carol"]).await;
    let room = alice.encrypted_room(&[&bob, &carol]).await;
    let alice = CryptoClient::running(&alice).await;
    let bob = CryptoClient::sliding(&bob).await;
    let carol = CryptoClient::sliding(&carol).await;
    let everybody = [alice.device(), bob.device(), carol.device()];
    for (number, sender) in [&alice, &bob, &carol, &bob].into_iter().enumerate() {
        let body = format!("message {number}");
        let knows_all = async |this: &CryptoClient| {
            let users = everybody.iter().map(|(user, _)| user.clone()).collect();
            let known = this.known_devices(&users).await;
            if everybody.iter().all(|device| known.contains(device)) { Ok(()) } else { Err(format!("{known:?}")) }
        };
        sender.until("knowing all devices", deadline(), knows_all).await;
        sender.send_text(&room, &body).await;
        for reader in [&alice, &bob, &carol] {
            reader.until_message(&room, &body).await;
        }
    }
    // Devices that come later, more of them than the others have one-time keys at a time.
    let mut devices = Vec::new();
    for number in 0..5 {
        let device = CryptoClient::sliding(&alice.client().another_device().await).await;
        let body = format!("to the new device {number}");
        let knows_it = async |this: &CryptoClient| {
            let known = this.known_devices(&[device.device().0].into()).await;
            if known.contains(&device.device()) { Ok(()) } else { Err(format!("{known:?}")) }
        };
        bob.until("knowing the new device", deadline(), knows_it).await;
        bob.send_text(&room, &body).await;
        device.until_message(&room, &body).await;
        devices.push(device);
    }
    for client in devices.iter().chain([&alice, &bob, &carol]) {
        assert!(client.broken_to_device().is_empty(), "{:?}", client.broken_to_device());
    }
}
