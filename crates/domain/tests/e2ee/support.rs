//! Keys that sign, and users with all of theirs.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use olmstead_domain::{
    json::{self, RawJson},
    keys::{CrossSigningKeys, CrossSigningPublicKeys, CrossSigningUpload},
};
use ruma::{
    DeviceId, OwnedDeviceId, OwnedUserId,
    signatures::{Ed25519KeyPair, KeyPair, to_canonical_json_string_for_signing},
};
use serde_json::{Value, json};

/// An ed25519 key made from one byte.
pub(crate) struct Key {
    pair: Ed25519KeyPair,
    pub(crate) public: String,
}

impl Key {
    pub(crate) fn new(seed: u8) -> Self {
        Self::from_seed([seed; 32])
    }

    pub(crate) fn from_seed(seed: [u8; 32]) -> Self {
        // The fixed part of a PKCS #8 document around an ed25519 seed.
        let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        der.extend(seed);
        let pair = Ed25519KeyPair::from_der(&der, "1".to_owned()).unwrap();
        let public = STANDARD_NO_PAD.encode(pair.public_key());
        Self { pair, public }
    }

    pub(crate) fn name(&self) -> String {
        format!("ed25519:{}", self.public)
    }

    /// The signature of this key on an object.
    pub(crate) fn signature(&self, object: &Value) -> String {
        let object = json::object(RawJson::from_value(object).unwrap().as_raw()).unwrap();
        let text = to_canonical_json_string_for_signing(&object).unwrap();
        STANDARD_NO_PAD.encode(self.pair.sign(text.as_bytes()).as_bytes())
    }

    /// The object with a signature of this key under a key ID.
    pub(crate) fn sign(&self, user: &str, key_id: &str, mut object: Value) -> Value {
        let signature = self.signature(&object);
        object["signatures"][user][format!("ed25519:{key_id}")] = signature.into();
        object
    }

    /// The object signed as a cross-signing key does.
    pub(crate) fn cross_sign(&self, user: &str, object: Value) -> Value {
        self.sign(user, &self.public, object)
    }
}

/// A user with cross-signing keys and devices named `A` and `B`.
pub(crate) struct User {
    pub(crate) id: OwnedUserId,
    pub(crate) master: Key,
    pub(crate) self_signing: Key,
    pub(crate) user_signing: Key,
    pub(crate) devices: Vec<(OwnedDeviceId, Key)>,
}

impl User {
    /// `seed` sets the keys; users with seeds ten apart share none.
    pub(crate) fn new(id: &str, seed: u8) -> Self {
        Self {
            id: OwnedUserId::try_from(id).unwrap(),
            master: Key::new(seed),
            self_signing: Key::new(seed + 1),
            user_signing: Key::new(seed + 2),
            devices: vec![("A".into(), Key::new(seed + 3)), ("B".into(), Key::new(seed + 4))],
        }
    }

    pub(crate) fn id(&self) -> &str {
        self.id.as_str()
    }

    pub(crate) fn public(&self) -> CrossSigningPublicKeys {
        CrossSigningPublicKeys {
            master: Some(self.master.public.clone()),
            self_signing: Some(self.self_signing.public.clone()),
            user_signing: Some(self.user_signing.public.clone()),
        }
    }

    pub(crate) fn device_ids(&self) -> BTreeSet<OwnedDeviceId> {
        self.devices.iter().map(|(id, _)| id.clone()).collect()
    }

    pub(crate) fn device_key(&self, device: &str) -> &Key {
        &self.devices.iter().find(|(id, _)| id == device).unwrap().1
    }

    /// Identity keys of a device, signed by it.
    pub(crate) fn device(&self, device: &str) -> Value {
        let key = self.device_key(device);
        let object = json!({
            "user_id": self.id,
            "device_id": device,
            "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
            "keys": {
                (format!("ed25519:{device}")): key.public,
                (format!("curve25519:{device}")): "3C5BFWi2Y8MaVvjM8M22DBmh24PmgR0nPvJOIArzgyI",
            },
            "org.example.unknown": {"b": 1, "a": [null, true]},
        });
        key.sign(self.id(), device, object)
    }

    pub(crate) fn stored_devices(&self) -> BTreeMap<OwnedDeviceId, RawJson> {
        self.devices.iter().map(|(id, _)| (id.clone(), raw(&self.device(id.as_str())))).collect()
    }

    pub(crate) fn known_devices(&self) -> BTreeMap<OwnedDeviceId, Option<RawJson>> {
        self.stored_devices().into_iter().map(|(id, keys)| (id, Some(keys))).collect()
    }

    fn key(&self, usage: &str, key: &Key) -> Value {
        json!({"user_id": self.id, "usage": [usage], "keys": {(key.name()): key.public}})
    }

    pub(crate) fn master_object(&self) -> Value {
        self.key("master", &self.master)
    }

    pub(crate) fn self_signing_object(&self) -> Value {
        self.master.cross_sign(self.id(), self.key("self_signing", &self.self_signing))
    }

    pub(crate) fn user_signing_object(&self) -> Value {
        self.master.cross_sign(self.id(), self.key("user_signing", &self.user_signing))
    }

    pub(crate) fn upload(&self) -> CrossSigningUpload {
        CrossSigningUpload {
            master: Some(raw(&self.master_object())),
            self_signing: Some(raw(&self.self_signing_object())),
            user_signing: Some(raw(&self.user_signing_object())),
        }
    }

    pub(crate) fn stored(&self) -> CrossSigningKeys {
        let upload = self.upload();
        CrossSigningKeys::from_stored(
            &self.id,
            upload.master.as_ref(),
            upload.self_signing.as_ref(),
            upload.user_signing.as_ref(),
        )
        .unwrap()
    }
}

pub(crate) fn raw(value: &Value) -> RawJson {
    RawJson::from_value(value).unwrap()
}

pub(crate) fn text(text: &str) -> RawJson {
    RawJson::from_text(text.to_owned()).unwrap()
}

pub(crate) fn parsed(raw: &RawJson) -> Value {
    raw.read().unwrap()
}

pub(crate) fn device_id(id: &str) -> &DeviceId {
    id.into()
}
