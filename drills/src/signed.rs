//! Keys as clients make them, signed.

use sdk_ruma::CanonicalJsonValue;
use serde_json::{Map, Value, json};
use vodozemac::{Ed25519SecretKey, olm::Account};

use crate::api::Device;

/// The keys of a device.
pub(crate) struct DeviceKeys {
    account: Account,
    user_id: String,
    device_id: String,
}

impl DeviceKeys {
    pub(crate) fn new(device: &Device) -> Self {
        Self { account: Account::new(), user_id: device.user_id.clone(), device_id: device.device_id.clone() }
    }

    /// The object `device_keys`.
    pub(crate) fn signed(&self) -> Value {
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
    pub(crate) fn one_time_keys(&mut self, count: usize) -> Value {
        let created = self.account.generate_one_time_keys(count).created;
        self.account.mark_keys_as_published();
        let named = created.into_iter().map(|key| {
            let key = key.to_base64();
            (format!("signed_curve25519:{key}"), self.sign(json!({"key": key})))
        });
        Value::Object(named.collect())
    }

    fn sign(&self, object: Value) -> Value {
        let signature = self.account.sign(canonical(&object)).to_base64();
        with_signature(object, &self.user_id, &self.device_id, signature)
    }
}

/// The cross-signing keys of a user.
pub(crate) struct Identity {
    user_id: String,
    keys: [Ed25519SecretKey; 3],
}

impl Identity {
    pub(crate) fn new(user_id: &str) -> Self {
        Self { user_id: user_id.to_owned(), keys: std::array::from_fn(|_| Ed25519SecretKey::new()) }
    }

    /// The body of `keys/device_signing/upload`.
    pub(crate) fn upload(&self) -> Value {
        let [master, own, others] = &self.keys;
        json!({
            "master_key": self.key("master", master),
            "self_signing_key": self.sign(self.key("self_signing", own), master),
            "user_signing_key": self.sign(self.key("user_signing", others), master),
        })
    }

    /// The id of the self-signing key.
    pub(crate) fn signs_devices_with(&self) -> String {
        format!("ed25519:{}", self.keys[1].public_key().to_base64())
    }

    /// A device with the signature of the self-signing key.
    pub(crate) fn sign_device(&self, device: Value) -> Value {
        self.sign(device, &self.keys[1])
    }

    fn key(&self, usage: &str, key: &Ed25519SecretKey) -> Value {
        let public = key.public_key().to_base64();
        json!({"user_id": self.user_id, "usage": [usage], "keys": {format!("ed25519:{public}"): public}})
    }

    fn sign(&self, object: Value, key: &Ed25519SecretKey) -> Value {
        let signature = key.sign(canonical(&object).as_bytes()).to_base64();
        with_signature(object, &self.user_id, &key.public_key().to_base64(), signature)
    }
}

fn with_signature(mut object: Value, user_id: &str, key: &str, signature: String) -> Value {
    let mut signatures = object["signatures"].as_object().cloned().unwrap_or_default();
    signatures.entry(user_id.to_owned()).or_insert_with(|| json!({}))[format!("ed25519:{key}")] = signature.into();
    object["signatures"] = Value::Object(signatures);
    object
}

/// Canonical JSON without what a signature does not cover.
fn canonical(object: &Value) -> String {
    let mut object: Map<String, Value> = object.as_object().cloned().unwrap_or_default();
    object.remove("signatures");
    object.remove("unsigned");
    // Objects of short texts always have that form.
    CanonicalJsonValue::try_from(Value::Object(object)).map(|value| value.to_string()).unwrap_or_default()
}
