//! Devices that come and go, and identities that change: all who share a room must be told of each.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Crew, Person, lock};
use crate::{
    api::{Answer, Device},
    signed::{DeviceKeys, Identity},
};

/// Puts the cross-signing keys of a user in place of those before, which takes the password.
pub(super) async fn upload_identity(device: &Device, identity: &Identity) -> Result<(), String> {
    let mut body = identity.upload();
    loop {
        match device.once(Method::POST, "/keys/device_signing/upload", Some(&body)).await {
            Answer::Done(_) => return Ok(()),
            Answer::Refused(401, answer) if body.get("auth").is_none() && answer["session"].is_string() => {
                body["auth"] = device.password_for(&answer);
            }
            Answer::Refused(status, answer) => return Err(format!("device_signing/upload: {status} {answer}")),
            // The session may have ended with what was done; then the same keys again need none.
            Answer::Unknown => {
                body = identity.upload();
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        }
    }
}

impl Crew {
    /// A change of somebody's device list, from before it is asked for until it is acknowledged.
    async fn change(&self, of: &Person, work: impl Future<Output = Result<(), String>>) -> Result<(), String> {
        let began = self.ledger.books().lists.begin();
        work.await?;
        self.ledger.books().lists.acknowledged(&of.device.user_id, began);
        Ok(())
    }

    /// A device comes, is signed, and goes; sometimes the identity changes first.
    pub(super) async fn change_devices(&self, n: usize) -> Result<(), String> {
        let person = &self.people[n];
        if rand::random_ratio(1, 5) {
            let identity = Identity::new(&person.device.user_id);
            self.change(person, upload_identity(&person.device, &identity)).await?;
            *lock(&person.identity) = identity;
            let own = lock(&person.keys).signed();
            self.sign(person, own).await?;
        }
        let device = person.device.login(&self.fresh()).await?;
        let keys = DeviceKeys::new(&device).signed();
        let body = json!({"device_keys": keys});
        self.change(person, async { device.post("/keys/upload", &body).await.map(drop) }).await?;
        lock(&person.published).insert(device.device_id.clone(), keys.clone());
        self.sign(person, keys).await?;
        if rand::random_ratio(9, 10) {
            self.change(person, leave(&device)).await?;
            lock(&person.published).remove(&device.device_id);
        }
        tokio::time::sleep(Duration::from_millis(rand::random_range(200..1_000))).await;
        Ok(())
    }

    async fn sign(&self, person: &Person, keys: Value) -> Result<(), String> {
        let signed = lock(&person.identity).sign_device(keys);
        let id = signed["device_id"].as_str().unwrap_or_default().to_owned();
        let body = json!({&person.device.user_id: {&id: &signed}});
        self.change(person, async {
            let answer = person.device.post("/keys/signatures/upload", &body).await?;
            match answer["failures"].as_object() {
                Some(failures) if !failures.is_empty() => Err(format!("signatures were refused: {answer}")),
                _ => Ok(()),
            }
        })
        .await?;
        lock(&person.published).insert(id, signed);
        Ok(())
    }
}

/// Logs out; who is out already was, by the attempt before.
async fn leave(device: &Device) -> Result<(), String> {
    let mut tried = false;
    loop {
        match device.once(Method::POST, "/logout", Some(&json!({}))).await {
            Answer::Done(_) => return Ok(()),
            Answer::Refused(401, _) if tried => return Ok(()),
            Answer::Refused(status, answer) => return Err(format!("logout: {status} {answer}")),
            Answer::Unknown => tried = true,
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
