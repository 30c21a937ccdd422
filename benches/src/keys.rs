//! Keys as clients make them, signed.

// A run that cannot go on ends, with what it saw.
#![allow(clippy::panic)]

use std::fmt;

use ruma::CanonicalJsonValue;
use serde_json::{Map, Value, json};
use vodozemac::{Ed25519SecretKey, olm::Account};

use crate::client::Client;

/// The keys of a device.
pub struct Device {
    account: Account,
    user_id: String,
    device_id: String,
}

impl Device {
    /// New keys for a client.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self::of(&client.user_id, &client.device_id)
    }

    /// New keys for the device with these ids.
    #[must_use]
    pub fn of(user_id: &str, device_id: &str) -> Self {
        Self { account: Account::new(), user_id: user_id.to_owned(), device_id: device_id.to_owned() }
    }

    /// The object `device_keys`.
    ///
    /// # Panics
    /// Never: what is signed is canonical JSON.
    #[must_use]
    pub fn signed(&self) -> Value {
        let device = &self.device_id;
        self.sign(json!({
            "user_id": self.user_id,
            "device_id": device,
            "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
            "keys": {
                format!("curve25519:{device}"): self.account.curve25519_key().to_base64(),
                format!("ed25519:{device}"): self.account.ed25519_key().to_base64(),
            },
        }))
    }

    /// So many new one-time keys.
    pub fn one_time_keys(&mut self, count: usize) -> Value {
        let mut all = Map::new();
        while all.len() < count {
            let keys = self.account.generate_one_time_keys((count - all.len()).min(50)).created;
            self.account.mark_keys_as_published();
            for key in keys {
                // Clients number their keys; the key itself is as good a name.
                let name = format!("signed_curve25519:{}", key.to_base64());
                all.insert(name, self.sign(json!({"key": key.to_base64()})));
            }
        }
        Value::Object(all)
    }

    /// A fallback key.
    pub fn fallback_key(&mut self) -> Value {
        self.account.generate_fallback_key();
        let keys = self.account.fallback_key();
        let keys = keys.into_iter().map(|(id, key)| {
            let signed = self.sign(json!({"key": key.to_base64(), "fallback": true}));
            (format!("signed_curve25519:{}", id.to_base64()), signed)
        });
        Value::Object(keys.collect())
    }

    fn sign(&self, mut object: Value) -> Value {
        let signature = self.account.sign(canonical(&object)).to_base64();
        object["signatures"] = json!({&self.user_id: {format!("ed25519:{}", self.device_id): signature}});
        object
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({} {})", self.user_id, self.device_id)
    }
}

/// The cross-signing keys of a user.
pub struct Identity {
    user_id: String,
    master: Ed25519SecretKey,
    self_signing: Ed25519SecretKey,
    user_signing: Ed25519SecretKey,
}

impl Identity {
    /// A new identity of a user.
    #[must_use]
    pub fn new(user_id: &str) -> Self {
        let [master, self_signing, user_signing] = std::array::from_fn(|_| Ed25519SecretKey::new());
        Self { user_id: user_id.to_owned(), master, self_signing, user_signing }
    }

    /// The body of `keys/device_signing/upload`.
    #[must_use]
    pub fn upload(&self) -> Value {
        json!({
            "master_key": self.key("master", &self.master),
            "self_signing_key": self.sign(self.key("self_signing", &self.self_signing), &self.master),
            "user_signing_key": self.sign(self.key("user_signing", &self.user_signing), &self.master),
        })
    }

    /// A device with the signature of the self-signing key.
    #[must_use]
    pub fn sign_device(&self, device: Value) -> Value {
        self.sign(device, &self.self_signing)
    }

    fn key(&self, usage: &str, key: &Ed25519SecretKey) -> Value {
        let public = key.public_key().to_base64();
        json!({"user_id": self.user_id, "usage": [usage], "keys": {format!("ed25519:{public}"): public}})
    }

    fn sign(&self, mut object: Value, key: &Ed25519SecretKey) -> Value {
        let mut signatures = object["signatures"].as_object().cloned().unwrap_or_default();
        let signature = key.sign(canonical(&object).as_bytes()).to_base64();
        let own = signatures.entry(self.user_id.clone()).or_insert_with(|| json!({}));
        own[format!("ed25519:{}", key.public_key().to_base64())] = json!(signature);
        object["signatures"] = Value::Object(signatures);
        object
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.user_id)
    }
}

/// Canonical JSON without what a signature does not cover.
fn canonical(object: &Value) -> String {
    let mut object = object.as_object().cloned().unwrap_or_default();
    object.remove("signatures");
    object.remove("unsigned");
    let canonical = CanonicalJsonValue::try_from(Value::Object(object));
    canonical.unwrap_or_else(|error| panic!("canonical JSON: {error}")).to_string()
}
