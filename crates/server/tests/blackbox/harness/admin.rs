//! Administrators, and what they do to others.

use hmac::{Hmac, Mac as _};
use serde_json::json;
use sha1::Sha1;

use super::{Client, Server, at, unique};

/// With which the servers under test let accounts be made; `BLACKBOX_SHARED_SECRET` is that of a server elsewhere.
pub(super) const SECRET: &str = "the secret of the tests";

impl Server {
    /// A new administrator.
    pub async fn admin(&self) -> Client {
        let path = "/_synapse/admin/v1/register";
        let anonymous = self.anonymous();
        let (username, password) = (format!("admin-{}", unique()), format!("pw-{}", unique()));
        let nonce = anonymous.get(path).await.ok()["nonce"].as_str().expect("a nonce").to_owned();
        let secret = std::env::var("BLACKBOX_SHARED_SECRET").unwrap_or_else(|_| SECRET.to_owned());
        let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("a key");
        mac.update([&nonce, &username, &password, "admin"].join("\0").as_bytes());
        let mac: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let body = json!({"nonce": nonce, "username": username, "password": password, "admin": true, "mac": mac});
        let answer = anonymous.post(path, body).await.ok();
        anonymous.logged_in(&answer, password)
    }

    /// A new guest.
    pub async fn guest(&self) -> Client {
        let anonymous = self.anonymous();
        let answer = anonymous.post("/register", json!({})).query("kind", "guest").await.ok();
        anonymous.logged_in(&answer, String::new())
    }
}

impl Client {
    /// As an administrator, locks another's account or lifts the lock.
    pub async fn lock(&self, other: &Self, locked: bool) {
        self.put(at!("/_matrix/client/v1/admin/lock/{}", other.user_id()), json!({"locked": locked})).await.ok();
    }

    /// As an administrator, suspends another's account or lifts the suspension.
    pub async fn suspend(&self, other: &Self, suspended: bool) {
        let path = at!("/_matrix/client/v1/admin/suspend/{}", other.user_id());
        self.put(path, json!({"suspended": suspended})).await.ok();
    }
}
