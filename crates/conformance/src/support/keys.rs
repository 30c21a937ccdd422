//! Keys of devices and users, in the shapes that clients upload.

use olmstead_domain::{json::RawJson, rooms::ServerKey};
use olmstead_storage::{
    cross_signing::{CrossSigningKeys, PutCrossSigningOutcome},
    devices::DeviceRef,
    keys::{ClaimWant, ClaimedKey, DeviceKeysRow, KeyCounts, KeyQuery, KeysUpload, UploadOutcome, UserKeys},
};
use ruma::{ServerName, UserId};
use serde_json::{Value, json};

use super::{SERVER, raw};
use crate::Store;

/// The algorithm of all one-time keys that does not matter.
pub(crate) const CURVE: &str = "signed_curve25519";

/// An upload with nothing in it, and limits that no case reaches by accident.
pub(crate) fn nothing() -> KeysUpload {
    KeysUpload { pool_limit: 5_000, claimed_memory: 5_000, ..KeysUpload::default() }
}

/// One-time keys with the standard algorithm, one for each number.
pub(crate) fn one_time_keys(numbers: impl IntoIterator<Item = u64>) -> Vec<(String, RawJson)> {
    numbers.into_iter().map(|number| (key_name(number), one_time_key(number, "sig"))).collect()
}

/// `signed_curve25519:<id>`.
pub(crate) fn key_name(number: u64) -> String {
    format!("{CURVE}:AAA{number}")
}

/// A one-time key, the text of which is not canonical JSON.
pub(crate) fn one_time_key(number: u64, signature: &str) -> RawJson {
    let text =
        format!(r#"{{ "signatures": {{ "@u:{SERVER}": {{ "ed25519:D": "{signature}" }} }}, "key": "otk{number}" }}"#);
    RawJson::from_text(text).unwrap()
}

/// A fallback key.
pub(crate) fn fallback_key(number: u64, signature: &str) -> RawJson {
    let text = format!(
        r#"{{ "signatures": {{ "@u:{SERVER}": {{ "ed25519:D": "{signature}" }} }}, "fallback": true, "key": "fb{number}" }}"#
    );
    RawJson::from_text(text).unwrap()
}

/// Identity keys of a device; another `identity` is another device as far as clients can tell.
pub(crate) fn identity_keys(device: &DeviceRef, identity: &str) -> RawJson {
    identity_keys_signed(device, identity, &json!({ format!("ed25519:{}", device.device_id): "own" }))
}

/// Identity keys with these signatures of the owner.
pub(crate) fn identity_keys_signed(device: &DeviceRef, identity: &str, signatures: &Value) -> RawJson {
    let id = &device.device_id;
    raw(json!({
        "user_id": device.user_id,
        "device_id": id,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
        "keys": { format!("ed25519:{id}"): format!("ed{identity}"), format!("curve25519:{id}"): format!("cu{identity}") },
        "org.example.kept": [1, 2, 3],
        "signatures": { device.user_id.as_str(): signatures },
    }))
}

/// A real public key, in unpadded base64.
pub(crate) fn public_key(number: u64) -> String {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    let name = ServerName::parse(SERVER).unwrap();
    ServerKey::from_seed(name, &seed, "1").unwrap().public_key()
}

/// A cross-signing key, said to be signed by the master key.
pub(crate) fn cross_signing_key(user_id: &UserId, usage: &str, public: &str, signed_by: Option<&str>) -> RawJson {
    let mut key = json!({
        "user_id": user_id,
        "usage": [usage],
        "keys": { format!("ed25519:{public}"): public },
        "org.example.kept": "yes",
    });
    if let Some(master) = signed_by {
        key["signatures"] = json!({ user_id.as_str(): { format!("ed25519:{master}"): "by master" } });
    }
    raw(key)
}

/// A user's cross-signing keys: the public keys, and the objects.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) public: [String; 3],
    pub(crate) keys: CrossSigningKeys,
}

/// A set of cross-signing keys; another number makes another set.
pub(crate) fn identity(user_id: &UserId, number: u64) -> Identity {
    let public = [public_key(number * 3), public_key(number * 3 + 1), public_key(number * 3 + 2)];
    let key = |usage: &str, at: usize, by: Option<&str>| Some(cross_signing_key(user_id, usage, &public[at], by));
    let keys = CrossSigningKeys {
        revision: 0,
        master: key("master", 0, None),
        self_signing: key("self_signing", 1, Some(&public[0])),
        user_signing: key("user_signing", 2, Some(&public[0])),
    };
    Identity { public, keys }
}

/// The same keys but for the revision, which is the engine's.
#[track_caller]
pub(crate) fn assert_same_keys(stored: &CrossSigningKeys, expected: &CrossSigningKeys) {
    let expected = CrossSigningKeys { revision: stored.revision, ..expected.clone() };
    assert_eq!(*stored, expected);
}

/// A wish for a key of a device with the standard algorithm.
pub(crate) fn want(device: &DeviceRef) -> ClaimWant {
    want_of(device, CURVE)
}

/// A wish for a key of a device.
pub(crate) fn want_of(device: &DeviceRef, algorithm: &str) -> ClaimWant {
    ClaimWant {
        user_id: device.user_id.clone(),
        device_id: device.device_id.clone(),
        algorithm: algorithm.to_owned(),
        spares: false,
    }
}

impl Store {
    /// Uploads keys and expects them to be stored; the answer is the counts, and whether the device list changed.
    pub(crate) async fn upload(&self, device: &DeviceRef, upload: KeysUpload) -> (KeyCounts, bool) {
        match self.upload_keys(device, upload).await.unwrap() {
            UploadOutcome::Stored { counts, device_list_changed, .. } => (counts, device_list_changed),
            other => panic!("upload of {device:?}: {other:?}"),
        }
    }

    /// Uploads one-time keys with the standard algorithm and answers how many are there.
    pub(crate) async fn upload_one_time(&self, device: &DeviceRef, numbers: impl IntoIterator<Item = u64>) -> u64 {
        let one_time_keys = one_time_keys(numbers);
        let (counts, _) = self.upload(device, KeysUpload { one_time_keys, ..nothing() }).await;
        counts.one_time_keys.get(CURVE).copied().unwrap_or_default()
    }

    /// Uploads a fallback key with the standard algorithm.
    pub(crate) async fn upload_fallback(&self, device: &DeviceRef, number: u64) {
        let fallback_keys = vec![(format!("{CURVE}:FB{number}"), fallback_key(number, "sig"))];
        self.upload(device, KeysUpload { fallback_keys, ..nothing() }).await;
    }

    /// Uploads identity keys; the answer is whether the device list changed.
    pub(crate) async fn upload_identity(&self, device: &DeviceRef, identity: &str) -> bool {
        let device_keys = Some(identity_keys(device, identity));
        self.upload(device, KeysUpload { device_keys, ..nothing() }).await.1
    }

    /// The unclaimed one-time keys of a device with the standard algorithm.
    pub(crate) async fn count(&self, device: &DeviceRef) -> u64 {
        self.key_counts(device).await.unwrap().one_time_keys.get(CURVE).copied().unwrap_or_default()
    }

    /// Claims one key of one device.
    pub(crate) async fn claim(&self, device: &DeviceRef) -> Option<ClaimedKey> {
        let mut claimed = self.claim_keys(&[want(device)]).await.unwrap();
        assert!(claimed.len() <= 1, "one wish gets one key at most: {claimed:?}");
        claimed.pop()
    }

    /// Claims one key of one device; the answer is its name.
    pub(crate) async fn claim_name(&self, device: &DeviceRef) -> Option<String> {
        self.claim(device).await.map(|claimed| claimed.key_name)
    }

    /// All keys of one user.
    pub(crate) async fn keys_of(&self, user_id: &UserId, asker: Option<&UserId>) -> UserKeys {
        let query = KeyQuery { user_id: user_id.to_owned(), device_ids: Vec::new() };
        let mut answer = self.query_keys(&[query], asker).await.unwrap();
        assert_eq!(answer.len(), 1, "one entry for each query");
        answer.remove(0)
    }

    /// The identity keys of one device.
    pub(crate) async fn identity_of(&self, device: &DeviceRef) -> Option<RawJson> {
        let rows = self.keys_of(&device.user_id, None).await.devices;
        rows.into_iter().find(|row: &DeviceKeysRow| row.device_id == device.device_id).map(|row| row.keys)
    }

    /// Replaces the user's cross-signing keys, whatever they are.
    pub(crate) async fn put_identity(&self, user_id: &UserId, identity: &Identity) {
        let revision = self.cross_signing_keys(user_id).await.unwrap().revision;
        let outcome =
            self.put_cross_signing_keys(user_id, revision, identity.keys.clone(), identity.public.to_vec()).await;
        assert_eq!(outcome.unwrap(), PutCrossSigningOutcome::Stored);
    }
}
