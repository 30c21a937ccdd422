//! The end of a device: whichever way it goes, all that is its own goes along, and those who write to it hear of it.

use http::Method;
use serde_json::{Value, json};

use crate::harness::{
    Client, Server, at, device_lists_changed, device_lists_left,
    keys::{CrossSigning, DeviceKeys},
    to_device, unique,
};

/// How a device goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Delete,
    DeleteMany,
    Logout,
    LogoutAll,
    NewPassword,
    Deactivation,
}

const WAYS: [Way; 6] = [Way::Delete, Way::DeleteMany, Way::Logout, Way::LogoutAll, Way::NewPassword, Way::Deactivation];
const NEW_PASSWORD: &str = "a-new-password-4";
const DEHYDRATED: &str = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device";

impl Way {
    /// Ends `phone` in this way; `owner` is another device of the user.
    async fn end(self, owner: &Client, phone: &Client) {
        let call = match self {
            Self::Delete => owner.delete(at!("/devices/{}", phone.device_id())),
            Self::DeleteMany => owner.post("/delete_devices", json!({"devices": [phone.device_id(), "NONE"]})),
            Self::Logout => phone.post("/logout", json!({})),
            Self::LogoutAll => phone.post("/logout/all", json!({})),
            Self::NewPassword => owner.post("/account/password", json!({"new_password": NEW_PASSWORD})),
            Self::Deactivation => owner.post("/account/deactivate", json!({})),
        };
        call.with_password().await.ok();
    }

    /// The same id again, as a new device; none if nobody logs in any more.
    async fn log_in_again(self, owner: &Client, id: &str) -> Option<Client> {
        let login = match self {
            Self::Deactivation => return None,
            Self::NewPassword => json!({"device_id": id, "password": NEW_PASSWORD}),
            _ => json!({"device_id": id}),
        };
        Some(owner.login_with(login).await.0)
    }
}

async fn query(by: &Client, of: &Client) -> Value {
    by.post("/keys/query", json!({"device_keys": {of.user_id(): []}})).await.ok()
}

async fn since(of: &Client) -> String {
    of.sync(None).await["next_batch"].as_str().unwrap().to_owned()
}

fn names(list: &[String], user: &Client) -> bool {
    list.iter().any(|name| name == user.user_id())
}

/// A device with everything that a device can have.
struct Equipped {
    client: Client,
    refresh_token: String,
    keys: DeviceKeys,
    room: String,
    transaction: String,
    event_id: String,
}

impl Equipped {
    async fn new(owner: &Client, peer: &Client, room: &str) -> Self {
        let (client, answer) = owner.login_with(json!({"device_id": "PHONE", "refresh_token": true})).await;
        let mut keys = DeviceKeys::new(&client);
        keys.upload(&client, 3, true).await;

        // Signed by its user, whose master key it signs.
        let identity = CrossSigning::new(owner.user_id());
        client.post("/keys/device_signing/upload", identity.upload()).await.ok();
        let signed = json!({owner.user_id(): {
            "PHONE": identity.sign_device(&keys.signed()),
            identity.master.public_key().to_base64(): keys.sign(identity.master_key()),
        }});
        assert_eq!(client.post("/keys/signatures/upload", signed).await.ok()["failures"], json!({}));

        let pusher = json!({"app_id": "io.example.app", "pushkey": "of-phone", "kind": "http", "lang": "en",
            "app_display_name": "App", "device_display_name": "Phone",
            "data": {"url": "https://push.example.org/_matrix/push/v1/notify"}});
        client.post("/pushers/set", pusher).await.ok();
        peer.send_to_device("io.example.waits", json!({owner.user_id(): {"PHONE": {}}})).await;

        let transaction = unique();
        let event_id = send(&client, room, &transaction).await;
        write(&client, &transaction, peer).await;
        Self {
            refresh_token: answer["refresh_token"].as_str().expect("a refresh token").to_owned(),
            client,
            keys,
            room: room.to_owned(),
            transaction,
            event_id,
        }
    }

    /// All is there, so that what is gone later was there.
    async fn check_there(&self, peer: &Client) {
        let answer = query(peer, &self.client).await;
        let (device, master) = signers(&answer, &self.client);
        assert_eq!((device.len(), master), (2, vec!["ed25519:PHONE".to_owned()]), "{answer}");
        assert_eq!(send(&self.client, &self.room, &self.transaction).await, self.event_id);
        assert_eq!(self.client.get("/pushers").await.ok()["pushers"].as_array().map_or(0, Vec::len), 1);
        let sync = self.client.sync(None).await;
        assert_eq!(to_device(&sync).len(), 1, "{sync}");
        assert_eq!(sync["device_one_time_keys_count"]["signed_curve25519"], 3, "{sync}");
        assert_eq!(sync["device_unused_fallback_key_types"], json!(["signed_curve25519"]), "{sync}");
    }

    /// What anybody can see of the end.
    async fn check_gone(&self, peer: &Client) {
        let error = self.client.get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
        assert_eq!(error["soft_logout"], false, "there is nothing to come back to");
        let refresh = json!({"refresh_token": self.refresh_token});
        let error = peer.post("/refresh", refresh).token(None).await.error(401, "M_UNKNOWN_TOKEN");
        assert_eq!(error["soft_logout"], false);
        let answer = query(peer, &self.client).await;
        let (device, master) = signers(&answer, &self.client);
        assert_eq!((device, master), (vec![], vec![]), "{answer}");
        let claim = json!({"one_time_keys": {self.client.user_id(): {"PHONE": "signed_curve25519"}}});
        assert_eq!(peer.post("/keys/claim", claim).await.ok()["one_time_keys"], json!({}));
    }

    /// A device made anew under the id has nothing of the old one.
    async fn check_new_life(&self, again: &Client, peer: &Client) {
        let counts = again.post("/keys/upload", json!({})).await.ok()["one_time_key_counts"].clone();
        assert_eq!(counts["signed_curve25519"].as_u64().unwrap_or(0), 0);
        let sync = again.sync(None).await;
        assert!(to_device(&sync).is_empty(), "{sync}");
        assert_eq!(sync["device_unused_fallback_key_types"], json!([]));
        assert_eq!(again.get("/pushers").await.ok()["pushers"], json!([]));
        let claim = json!({"one_time_keys": {again.user_id(): {"PHONE": "signed_curve25519"}}});
        assert_eq!(peer.post("/keys/claim", claim).await.ok()["one_time_keys"], json!({}));

        // The very keys of the old one do not bring the signatures back.
        again.post("/keys/upload", json!({"device_keys": self.keys.signed()})).await.ok();
        let answer = query(peer, again).await;
        let (device, master) = signers(&answer, again);
        assert_eq!((device, master), (vec!["ed25519:PHONE".to_owned()], vec![]), "{answer}");

        // The same transactions are new ones.
        assert_ne!(send(again, &self.room, &self.transaction).await, self.event_id);
        let mut sync = peer.syncing();
        let messages = to_device(&sync.now().await).len();
        write(again, &self.transaction, peer).await;
        assert_eq!(to_device(&peer.sync(None).await).len(), messages + 1);
    }
}

async fn send(by: &Client, room: &str, transaction: &str) -> String {
    let path = at!("/rooms/{}/send/m.room.encrypted/{}", room, transaction);
    by.put(path, json!({"ciphertext": "…"})).await.ok()["event_id"].as_str().unwrap().to_owned()
}

async fn write(by: &Client, transaction: &str, to: &Client) {
    let body = json!({"messages": {to.user_id(): {to.device_id(): {}}}});
    by.put(at!("/sendToDevice/io.example.note/{}", transaction), body).await.ok();
}

/// Whose signatures are on `PHONE`, and which of devices are on the master key.
fn signers(answer: &Value, of: &Client) -> (Vec<String>, Vec<String>) {
    let user = of.user_id();
    let keys = |object: &Value| -> Vec<String> {
        object["signatures"][user].as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect()
    };
    let mut master = keys(&answer["master_keys"][user]);
    master.retain(|key| key == "ed25519:PHONE");
    (keys(&answer["device_keys"][user]["PHONE"]), master)
}

/// DEV-8, DEV-9, DEV-10, DEV-11, DEV-17, DEV-18: on every way tokens, keys, inbox, transactions, pushers and signatures
/// go along, and everyone who shares an encrypted room is told.
#[tokio::test]
async fn a_device_takes_everything_along_on_every_way() {
    for way in WAYS {
        eprintln!("{way:?}");
        let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
        let room = alice.encrypted_room(&[&bob]).await;
        let phone = Equipped::new(&alice, &bob, &room).await;
        phone.check_there(&bob).await;
        let (at_bob, at_alice) = (since(&bob).await, since(&alice).await);

        way.end(&alice, &phone.client).await;

        let sync = bob.sync(Some(&at_bob)).await;
        let now = sync["next_batch"].as_str().unwrap();
        let changes = bob.get("/keys/changes").query("from", &at_bob).query("to", now).await.ok();
        let listed = |list: &Value| list.as_array().unwrap().iter().any(|name| name == alice.user_id());
        if way == Way::Deactivation {
            // Who is deactivated is in no room any more.
            assert!(names(&device_lists_left(&sync), &alice), "{sync}");
            assert!(listed(&changes["left"]), "{changes}");
        } else {
            assert!(names(&device_lists_changed(&sync), &alice), "{sync}");
            assert!(listed(&changes["changed"]), "{changes}");
        }
        phone.check_gone(&bob).await;
        match way {
            Way::LogoutAll | Way::Deactivation => {
                let error = alice.get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
                assert_eq!(error["soft_logout"], false);
            }
            _ => {
                let sync = alice.sync(Some(&at_alice)).await;
                assert!(names(&device_lists_changed(&sync), &alice), "one's own devices hear of it, too: {sync}");
                alice.get("/devices/PHONE").await.error(404, "M_NOT_FOUND");
            }
        }
        match way.log_in_again(&alice, "PHONE").await {
            Some(again) => phone.check_new_life(&again, &bob).await,
            None => {
                let refused = alice.post("/login", alice.password_login()).token(None).await;
                assert_eq!(refused.status, 403, "{refused}");
            }
        }
    }
}

/// DEV-23, DEV-11: on every way, a device that never had keys goes without a word.
#[tokio::test]
async fn a_device_without_keys_goes_silently_on_every_way() {
    for way in WAYS {
        eprintln!("{way:?}");
        let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
        alice.encrypted_room(&[&bob]).await;
        let phone = alice.login("PHONE").await;
        let before = since(&bob).await;
        way.end(&alice, &phone).await;
        phone.get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
        let sync = bob.sync(Some(&before)).await;
        assert!(device_lists_changed(&sync).is_empty(), "{sync}");
        let now = sync["next_batch"].as_str().unwrap();
        let changes = bob.get("/keys/changes").query("from", &before).query("to", now).await.ok();
        assert_eq!(changes["changed"], json!([]));
    }
}

/// DEV-5, DEV-19: the access token alone deletes nothing; with the password the device is gone, and may be gone already.
#[tokio::test]
async fn a_device_is_deleted_with_the_password_only() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let phone = alice.login("PHONE").await;
    bob.login("PHONE").await;
    let refused = alice.delete("/devices/PHONE").await;
    assert_eq!(refused.status, 401, "{refused}");
    assert_eq!(refused.json()["flows"], json!([{"stages": ["m.login.password"]}]));
    // Not even the device itself is spared the question.
    assert_eq!(phone.delete("/devices/PHONE").await.status, 401);
    let bodiless = alice.call(Method::DELETE, "/devices/PHONE").await;
    assert_eq!(bodiless.status, 401, "{bodiless}");
    phone.get("/account/whoami").await.ok();

    assert_eq!(alice.delete("/devices/PHONE").with_password().await.ok(), json!({}));
    phone.get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
    assert_eq!(alice.delete("/devices/PHONE").with_password().await.ok(), json!({}));
    assert_eq!(alice.delete("/devices/NEVER").with_password().await.ok(), json!({}));
    assert_eq!(bob.get("/devices/PHONE").await.ok()["device_id"], "PHONE", "another user's is another one");
}

/// DEV-6, DEV-19: a list of devices likewise.
#[tokio::test]
async fn several_devices_are_deleted_at_once() {
    let alice = Server::shared().await.user("alice").await;
    let (one, two, three) = (alice.login("ONE").await, alice.login("TWO").await, alice.login("THREE").await);
    let list = json!({"devices": ["ONE", "TWO", "NEVER"]});
    let refused = alice.post("/delete_devices", list.clone()).await;
    assert_eq!(refused.status, 401);
    assert!(refused.json()["session"].is_string() && refused.json()["flows"].is_array(), "{refused}");
    one.get("/account/whoami").await.ok();
    alice.post("/delete_devices", json!({})).await.error(400, "M_MISSING_PARAM");
    for bad in [json!({"devices": "ONE"}), json!({"devices": [1]}), json!({"devices": {"ONE": 1}})] {
        alice.post("/delete_devices", bad).with_password().await.error(400, "M_BAD_JSON");
    }
    assert_eq!(alice.post("/delete_devices", list.clone()).with_password().await.ok(), json!({}));
    for gone in [&one, &two] {
        gone.get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
    }
    three.get("/account/whoami").await.ok();
    alice.post("/delete_devices", list).with_password().await.ok();
    alice.post("/delete_devices", json!({"devices": []})).with_password().await.ok();
    three.get("/account/whoami").await.ok();
}

/// DEV-8, DEV-9: logging out ends one device or all, and asks for no password.
#[tokio::test]
async fn logging_out_needs_no_password() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let (one, two) = (alice.login("ONE").await, alice.login("TWO").await);
    DeviceKeys::new(&one).upload(&one, 1, false).await;
    assert_eq!(one.post("/logout", json!({})).await.ok(), json!({}));
    one.get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
    alice.get("/devices/ONE").await.error(404, "M_NOT_FOUND");
    assert_eq!(query(&bob, &alice).await["device_keys"][alice.user_id()]["ONE"], Value::Null);
    assert_eq!(two.call(Method::POST, "/logout/all").await.ok(), json!({}));
    for gone in [&alice, &two] {
        gone.get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
    }
    let again = alice.login("AGAIN").await;
    assert_eq!(again.get("/devices").await.ok()["devices"].as_array().unwrap().len(), 1);
    bob.get("/account/whoami").await.ok();
}

/// DEV-17: a new password ends the other devices unless it is told not to; the one that sets it stays as it is.
#[tokio::test]
async fn a_new_password_ends_the_other_devices() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    DeviceKeys::new(&alice).upload(&alice, 2, false).await;
    let phone = alice.login("PHONE").await;
    let stay = json!({"new_password": "second-password", "logout_devices": false});
    alice.post("/account/password", stay).with_password().await.ok();
    phone.get("/account/whoami").await.ok();
    alice.post("/login", alice.password_login()).token(None).await.error(403, "M_FORBIDDEN");

    let (tablet, _) = alice.login_with(json!({"device_id": "TABLET", "password": "second-password"})).await;
    tablet.post("/account/password", json!({"new_password": "third-password"})).with_password().await.ok();
    tablet.get("/account/whoami").await.ok();
    for gone in [&alice, &phone] {
        gone.get("/account/whoami").await.error(401, "M_UNKNOWN_TOKEN");
    }
    assert_eq!(query(&bob, &alice).await["device_keys"][alice.user_id()][alice.device_id()], Value::Null);
    let devices = tablet.get("/devices").await.ok()["devices"].clone();
    assert_eq!(devices.as_array().unwrap().len(), 1, "{devices}");
}

/// DEV-18: a deactivated user has no device left, not even a dehydrated one, and is in no room.
#[tokio::test]
async fn deactivation_leaves_no_device() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    let room = alice.encrypted_room(&[&bob]).await;
    DeviceKeys::new(&alice).upload(&alice, 1, true).await;
    let mut asleep = DeviceKeys::of(alice.user_id(), "ASLEEP");
    let body = json!({"device_id": "ASLEEP", "device_data": {"algorithm": "x"}, "device_keys": asleep.signed(),
        "one_time_keys": asleep.one_time_keys(1)});
    alice.put(DEHYDRATED, body).await.ok();
    assert_eq!(query(&bob, &alice).await["device_keys"][alice.user_id()].as_object().unwrap().len(), 2);
    assert_eq!(alice.post("/account/deactivate", json!({})).await.status, 401);

    let answer = alice.post("/account/deactivate", json!({})).with_password().await.ok();
    assert_eq!(answer["id_server_unbind_result"], "success");
    let answer = query(&bob, &alice).await["device_keys"].clone();
    assert!(answer[alice.user_id()].as_object().is_none_or(serde_json::Map::is_empty), "{answer}");
    let members = bob.get(at!("/rooms/{}/joined_members", room)).await.ok()["joined"].clone();
    assert_eq!(members.as_object().unwrap().keys().collect::<Vec<_>>(), [bob.user_id()]);
    let localpart = alice.user_id()[1..].split(':').next().unwrap().to_owned();
    let body = json!({"username": localpart, "password": "x", "auth": {"type": "m.login.dummy"}});
    alice.post("/register", body).token(None).await.error(400, "M_USER_IN_USE");
}

/// DEV-10: of a deletion and what runs beside it, nothing is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_written_beside_a_deletion_outlives_it() {
    let [alice, bob] = Server::shared().await.users(["alice", "bob"]).await;
    for _ in 0..8 {
        let phone = alice.login("PHONE").await;
        let mut keys = DeviceKeys::new(&phone);
        let upload = json!({"device_keys": keys.signed(), "one_time_keys": keys.one_time_keys(3),
            "fallback_keys": keys.fallback_keys()});
        let (upload, write, logout) = (
            phone.post("/keys/upload", upload),
            bob.put(
                at!("/sendToDevice/io.example.late/{}", unique()),
                json!({"messages": {alice.user_id(): {"PHONE": {}}}}),
            ),
            phone.post("/logout", json!({})),
        );
        let (upload, write, logout) = tokio::join!(upload.into_future(), write.into_future(), logout.into_future());
        assert!(matches!(upload.status, 200 | 401 | 404), "{upload}");
        write.ok();
        logout.ok();
        assert_eq!(query(&bob, &alice).await["device_keys"][alice.user_id()]["PHONE"], Value::Null);
        let again = alice.login("PHONE").await;
        let sync = again.sync(None).await;
        assert!(to_device(&sync).is_empty(), "{sync}");
        assert_eq!(sync["device_one_time_keys_count"]["signed_curve25519"].as_u64().unwrap_or(0), 0);
        assert_eq!(sync["device_unused_fallback_key_types"], json!([]));
        again.logout().await;
    }
}
