//! Real keys with real signatures, without a client's state.

use sdk_ruma::CanonicalJsonValue;
use serde_json::{Map, Value, json};
use vodozemac::{Ed25519PublicKey, Ed25519SecretKey, Ed25519Signature, olm::Account};

use super::Client;

/// The algorithm of one-time keys that clients use.
pub const ALGORITHM: &str = "signed_curve25519";

/// Claims a key of a device: the object with its one member, null if there is none.
pub async fn claim(by: &Client, of: &Client) -> Value {
    let body = json!({"one_time_keys": {of.user_id(): {of.device_id(): ALGORITHM}}});
    by.post("/keys/claim", body).await.ok()["one_time_keys"][of.user_id()][of.device_id()].clone()
}

/// How many one-time keys a device has, as it is told.
pub async fn count(of: &Client) -> Value {
    of.post("/keys/upload", json!({})).await.ok()["one_time_key_counts"][ALGORITHM].clone()
}

/// The identity keys of a device as another sees them, null if there are none.
pub async fn device_keys(by: &Client, of: &Client) -> Value {
    query(by, of).await["device_keys"][of.user_id()][of.device_id()].clone()
}

/// All that `keys/query` says of a user.
pub async fn query(by: &Client, of: &Client) -> Value {
    by.post("/keys/query", json!({"device_keys": {of.user_id(): []}})).await.ok()
}

/// The identity of one device.
///
/// ```ignore
/// let mut keys = DeviceKeys::new(&alice);
/// alice.post("/keys/upload", json!({"device_keys": keys.signed(), "one_time_keys": keys.one_time_keys(5)})).await.ok();
/// ```
pub struct DeviceKeys {
    user_id: String,
    device_id: String,
    account: Account,
}

impl DeviceKeys {
    /// New keys for the client's device.
    pub fn new(client: &Client) -> Self {
        Self::of(client.user_id(), client.device_id())
    }

    pub fn of(user_id: &str, device_id: &str) -> Self {
        Self { user_id: user_id.to_owned(), device_id: device_id.to_owned(), account: Account::new() }
    }

    /// Keys for a dehydrated device of the client's user, which is called after its identity key.
    pub fn dehydrated(client: &Client) -> Self {
        let account = Account::new();
        let device_id = account.curve25519_key().to_base64();
        Self { user_id: client.user_id().to_owned(), device_id, account }
    }

    /// The same keys for another device, as a copied client has them.
    pub fn copied_to(self, client: &Client) -> Self {
        Self { user_id: client.user_id().to_owned(), device_id: client.device_id().to_owned(), account: self.account }
    }

    pub fn device_id(&self) -> &str {
        &self.device_id
    }

    /// The device's signing key, unpadded base64.
    pub fn ed25519(&self) -> String {
        self.account.ed25519_key().to_base64()
    }

    /// The device's identity key, unpadded base64.
    pub fn curve25519(&self) -> String {
        self.account.curve25519_key().to_base64()
    }

    /// The object `device_keys`, signed by the device.
    pub fn signed(&self) -> Value {
        self.sign(json!({
            "user_id": self.user_id,
            "device_id": self.device_id,
            "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
            "keys": {
                format!("curve25519:{}", self.device_id): self.curve25519(),
                format!("ed25519:{}", self.device_id): self.ed25519(),
            },
        }))
    }

    /// So many new one-time keys: `signed_curve25519:…` to signed key.
    pub fn one_time_keys(&mut self, count: usize) -> Value {
        self.account.generate_one_time_keys(count);
        let keys = self.account.one_time_keys();
        self.account.mark_keys_as_published();
        let keys = keys.into_iter().map(|(id, key)| {
            (format!("signed_curve25519:{}", id.to_base64()), self.sign(json!({"key": key.to_base64()})))
        });
        Value::Object(keys.collect())
    }

    /// A new fallback key, as one-time keys are but with `fallback`.
    pub fn fallback_keys(&mut self) -> Value {
        self.account.generate_fallback_key();
        let keys = self.account.fallback_key();
        self.account.mark_keys_as_published();
        let keys = keys.into_iter().map(|(id, key)| {
            let key = json!({"key": key.to_base64(), "fallback": true});
            (format!("signed_curve25519:{}", id.to_base64()), self.sign(key))
        });
        Value::Object(keys.collect())
    }

    /// Uploads the device's keys with so many one-time keys and, if asked, a fallback key.
    pub async fn upload(&mut self, client: &Client, one_time_keys: usize, fallback: bool) -> Value {
        let mut body = json!({"device_keys": self.signed(), "one_time_keys": self.one_time_keys(one_time_keys)});
        if fallback {
            body["fallback_keys"] = self.fallback_keys();
        }
        client.post("/keys/upload", body).await.ok()
    }

    /// An object with this device's signature added.
    pub fn sign(&self, object: Value) -> Value {
        let signature = self.account.sign(canonical(&object));
        with_signature(object, &self.user_id, &self.device_id, &signature)
    }
}

/// The three cross-signing keys of a user.
///
/// ```ignore
/// let identity = CrossSigning::new(alice.user_id());
/// alice.post("/keys/device_signing/upload", identity.upload()).with_password().await.ok();
/// let signed = identity.sign_device(&keys.signed());
/// ```
pub struct CrossSigning {
    user_id: String,
    pub master: Ed25519SecretKey,
    pub self_signing: Ed25519SecretKey,
    pub user_signing: Ed25519SecretKey,
}

impl CrossSigning {
    pub fn new(user_id: &str) -> Self {
        Self {
            user_id: user_id.to_owned(),
            master: Ed25519SecretKey::new(),
            self_signing: Ed25519SecretKey::new(),
            user_signing: Ed25519SecretKey::new(),
        }
    }

    /// The body of `keys/device_signing/upload`.
    pub fn upload(&self) -> Value {
        json!({
            "master_key": self.master_key(),
            "self_signing_key": self.self_signing_key(),
            "user_signing_key": self.user_signing_key(),
        })
    }

    /// The master key; not signed by a device.
    pub fn master_key(&self) -> Value {
        self.key("master", &self.master)
    }

    /// The self-signing key, signed by the master key.
    pub fn self_signing_key(&self) -> Value {
        sign(self.key("self_signing", &self.self_signing), &self.user_id, &self.master)
    }

    /// The user-signing key, signed by the master key.
    pub fn user_signing_key(&self) -> Value {
        sign(self.key("user_signing", &self.user_signing), &self.user_id, &self.master)
    }

    /// A device of this user, signed by the self-signing key (earlier signatures are kept).
    pub fn sign_device(&self, device_keys: &Value) -> Value {
        sign(device_keys.clone(), &self.user_id, &self.self_signing)
    }

    /// Another user's master key, signed by the user-signing key.
    pub fn sign_user(&self, master_key: &Value) -> Value {
        sign(master_key.clone(), &self.user_id, &self.user_signing)
    }

    fn key(&self, usage: &str, key: &Ed25519SecretKey) -> Value {
        let public = key.public_key().to_base64();
        json!({"user_id": self.user_id, "usage": [usage], "keys": {format!("ed25519:{public}"): public}})
    }
}

/// Adds a signature by a key that is named after itself, as cross-signing keys are.
pub fn sign(object: Value, user_id: &str, key: &Ed25519SecretKey) -> Value {
    let signature = key.sign(canonical(&object).as_bytes());
    with_signature(object, user_id, &key.public_key().to_base64(), &signature)
}

fn with_signature(mut object: Value, user_id: &str, key: &str, signature: &Ed25519Signature) -> Value {
    if !object["signatures"][user_id].is_object() {
        object["signatures"][user_id] = json!({});
    }
    object["signatures"][user_id][format!("ed25519:{key}")] = Value::String(signature.to_base64());
    object
}

/// Whether an object carries a good signature by a key of a user.
pub fn verifies(object: &Value, user_id: &str, key_id: &str, public_key: &str) -> bool {
    let signature = object["signatures"][user_id][format!("ed25519:{key_id}")].as_str().unwrap_or_default();
    let Ok(signature) = Ed25519Signature::from_base64(signature) else { return false };
    let public_key = Ed25519PublicKey::from_base64(public_key).expect("a public key");
    public_key.verify(canonical(object).as_bytes(), &signature).is_ok()
}

/// Canonical JSON without what a signature does not cover.
fn canonical(object: &Value) -> String {
    let mut object: Map<String, Value> = object.as_object().expect("an object").clone();
    object.remove("signatures");
    object.remove("unsigned");
    CanonicalJsonValue::try_from(Value::Object(object)).expect("canonical JSON").to_string()
}
