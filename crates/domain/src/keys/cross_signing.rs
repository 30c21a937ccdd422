//! Cross-signing keys: the form of an upload, and the one decision it leads to (client-server API, Cross-signing).

use std::collections::BTreeMap;

use ruma::{
    DeviceId, OwnedDeviceId, UserId,
    canonical_json::{CanonicalJsonObject, CanonicalJsonValue},
};
use serde::{Deserialize, Serialize};

use super::{
    KeysError, MAX_KEY_OBJECT_BYTES,
    device_keys::{UNSIGNED_MEMBERS, without_unsigned},
    ed25519::{PREFIX, SignedText, is_public_key, verify_signed_by},
    signatures::{SignatureMap, device_signing_key, read_signatures, with_signatures},
};
use crate::json::{self, RawJson};

/// The role of a cross-signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyUsage {
    /// Signs the other two.
    Master,
    /// Signs the user's own devices.
    SelfSigning,
    /// Signs other users' master keys; its owner alone may see it.
    UserSigning,
}

impl KeyUsage {
    /// All roles, in the order they are checked and stored.
    pub const ALL: [Self; 3] = [Self::Master, Self::SelfSigning, Self::UserSigning];

    /// The word in `usage`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::SelfSigning => "self_signing",
            Self::UserSigning => "user_signing",
        }
    }
}

/// One cross-signing key, checked: its public key and its JSON to store and serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrossSigningKey {
    public_key: String,
    raw: RawJson,
}

/// Public keys of a user's current cross-signing keys, in unpadded base64.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrossSigningPublicKeys {
    /// The master key.
    pub master: Option<String>,
    /// The self-signing key.
    pub self_signing: Option<String>,
    /// The user-signing key; known for local users only.
    pub user_signing: Option<String>,
}

impl CrossSigningPublicKeys {
    /// Whether one of them is this key.
    #[must_use]
    pub fn contains(&self, public_key: &str) -> bool {
        [&self.master, &self.self_signing, &self.user_signing].into_iter().any(|key| key.as_deref() == Some(public_key))
    }
}

/// A user's current cross-signing keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrossSigningKeys {
    /// The master key.
    pub master: Option<CrossSigningKey>,
    /// The self-signing key.
    pub self_signing: Option<CrossSigningKey>,
    /// The user-signing key.
    pub user_signing: Option<CrossSigningKey>,
}

/// The keys in the body of `/keys/device_signing/upload`; other members are ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrossSigningUpload {
    /// The master key.
    #[serde(default, rename = "master_key", skip_serializing_if = "Option::is_none")]
    pub master: Option<RawJson>,
    /// The self-signing key.
    #[serde(default, rename = "self_signing_key", skip_serializing_if = "Option::is_none")]
    pub self_signing: Option<RawJson>,
    /// The user-signing key.
    #[serde(default, rename = "user_signing_key", skip_serializing_if = "Option::is_none")]
    pub user_signing: Option<RawJson>,
}

/// Whether an upload needs user-interactive authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadAuth {
    /// No new key and nothing to store: answer 200 (XS-7).
    Unchanged,
    /// Store without it: the first keys (XS-6), or known keys with further signatures.
    NotNeeded,
    /// Ask for it first (XS-8), unless an application service uploads (XS-9).
    Needed,
}

/// What an upload does to one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyChange {
    /// It stays as it is, or stays absent.
    Kept,
    /// The same key gains signatures.
    Signatures,
    /// A new key takes its place.
    Replaced,
    /// It goes: the new master key did not sign it (XS-14).
    Removed,
}

/// The decision about an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadPlan {
    /// Whether authentication is needed.
    pub auth: UploadAuth,
    /// All keys of the user after the upload, to be stored in one command (XS-12).
    pub keys: CrossSigningKeys,
    /// What happens to the master key.
    pub master: KeyChange,
    /// What happens to the self-signing key.
    pub self_signing: KeyChange,
    /// What happens to the user-signing key.
    pub user_signing: KeyChange,
}

impl UploadPlan {
    /// Whether the user's device list changed for others: by master or self-signing key, never by the user-signing key
    /// (XS-16).
    #[must_use]
    pub fn announces(&self) -> bool {
        self.master != KeyChange::Kept || self.self_signing != KeyChange::Kept
    }
}

impl CrossSigningKey {
    /// Checks a key against the user and the role it is for (XS-2), and that the role is its only one (XS-17). A
    /// client's `unsigned` is taken out. Signatures are checked for their form only.
    ///
    /// # Errors
    /// [`KeysError::BadJson`] if it is not an object with a canonical form, [`KeysError::InvalidParam`] for what XS-2
    /// refuses, [`KeysError::TooLarge`] beyond [`MAX_KEY_OBJECT_BYTES`].
    pub fn parse(user_id: &UserId, usage: KeyUsage, raw: &RawJson) -> Result<Self, KeysError> {
        Self::parse_object(user_id, usage, raw).map(|(key, _)| key)
    }

    fn parse_object(
        user_id: &UserId,
        usage: KeyUsage,
        raw: &RawJson,
    ) -> Result<(Self, CanonicalJsonObject), KeysError> {
        let role = usage.as_str();
        if raw.get().len() > MAX_KEY_OBJECT_BYTES {
            return Err(KeysError::TooLarge(format!("the {role} key is too large")));
        }
        let mut object = json::object(raw.as_raw())?;
        if object.get("user_id").and_then(CanonicalJsonValue::as_str) != Some(user_id.as_str()) {
            return Err(KeysError::param(format!("user_id of the {role} key is not that of the access token")));
        }
        let words = object.get("usage").and_then(CanonicalJsonValue::as_array);
        let words = words.ok_or_else(|| KeysError::param(format!("usage of the {role} key must be an array")))?;
        let has = |word: &str| words.iter().any(|found| found.as_str() == Some(word));
        if !has(role) || KeyUsage::ALL.iter().any(|other| *other != usage && has(other.as_str())) {
            return Err(KeysError::param(format!("usage of the {role} key must be {role:?} alone")));
        }
        let keys = object.get("keys").and_then(CanonicalJsonValue::as_object);
        let public_key = match keys.map(|keys| keys.iter().collect::<Vec<_>>()).as_deref() {
            Some([(name, CanonicalJsonValue::String(key))])
                if name.strip_prefix(PREFIX) == Some(key.as_str()) && is_public_key(key) =>
            {
                key.clone()
            }
            _ => {
                return Err(KeysError::param(format!(
                    "keys of the {role} key must have one member, an ed25519 key under its own name"
                )));
            }
        };
        read_signatures(&object)?;
        let raw = without_unsigned(raw, &mut object)?;
        Ok((Self { public_key, raw }, object))
    }

    /// The public key, in unpadded base64.
    #[must_use]
    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// The JSON to store and serve.
    #[must_use]
    pub const fn raw(&self) -> &RawJson {
        &self.raw
    }

    /// The same key with another JSON, such as one with more signatures.
    #[must_use]
    pub fn with_raw(&self, raw: RawJson) -> Self {
        Self { public_key: self.public_key.clone(), raw }
    }

    /// Whether this key carries a good signature by a user's ed25519 key of this public key (XS-3).
    #[must_use]
    pub fn is_signed_by(&self, user_id: &UserId, public_key: &str) -> bool {
        json::object(self.raw.as_raw()).is_ok_and(|object| verify_signed_by(&object, user_id, public_key, public_key))
    }
}

impl CrossSigningPublicKeys {
    /// The public keys of stored keys, of which nothing else is read.
    ///
    /// # Errors
    /// [`KeysError::BadJson`]; it does not happen for JSON that came out of [`CrossSigningKey::parse`].
    pub fn from_stored(
        master: Option<&RawJson>,
        self_signing: Option<&RawJson>,
        user_signing: Option<&RawJson>,
    ) -> Result<Self, KeysError> {
        #[derive(Deserialize)]
        struct Stored {
            keys: BTreeMap<String, String>,
        }
        let public = |raw: Option<&RawJson>| -> Result<Option<String>, KeysError> {
            let Some(raw) = raw else { return Ok(None) };
            let stored: Stored = raw.read()?;
            Ok(stored.keys.into_values().next())
        };
        Ok(Self { master: public(master)?, self_signing: public(self_signing)?, user_signing: public(user_signing)? })
    }
}

impl CrossSigningKeys {
    /// Reads stored keys.
    ///
    /// # Errors
    /// Those of [`CrossSigningKey::parse`]; they do not happen for JSON that came out of it.
    pub fn from_stored(
        user_id: &UserId,
        master: Option<&RawJson>,
        self_signing: Option<&RawJson>,
        user_signing: Option<&RawJson>,
    ) -> Result<Self, KeysError> {
        let parse =
            |usage, raw: Option<&RawJson>| raw.map(|raw| CrossSigningKey::parse(user_id, usage, raw)).transpose();
        Ok(Self {
            master: parse(KeyUsage::Master, master)?,
            self_signing: parse(KeyUsage::SelfSigning, self_signing)?,
            user_signing: parse(KeyUsage::UserSigning, user_signing)?,
        })
    }

    /// The public keys.
    #[must_use]
    pub fn public_keys(&self) -> CrossSigningPublicKeys {
        let public = |key: &Option<CrossSigningKey>| key.as_ref().map(|key| key.public_key.clone());
        CrossSigningPublicKeys {
            master: public(&self.master),
            self_signing: public(&self.self_signing),
            user_signing: public(&self.user_signing),
        }
    }

    /// The key of a role.
    #[must_use]
    pub const fn get(&self, usage: KeyUsage) -> Option<&CrossSigningKey> {
        match usage {
            KeyUsage::Master => self.master.as_ref(),
            KeyUsage::SelfSigning => self.self_signing.as_ref(),
            KeyUsage::UserSigning => self.user_signing.as_ref(),
        }
    }

    /// The keys that are there, with their roles.
    pub fn iter(&self) -> impl Iterator<Item = (KeyUsage, &CrossSigningKey)> {
        KeyUsage::ALL.into_iter().filter_map(|usage| Some((usage, self.get(usage)?)))
    }

    /// Whether a new device may not have this ID, because it is the public key of one of these keys (XS-17).
    #[must_use]
    pub fn collide_with_device(&self, device_id: &DeviceId) -> bool {
        self.iter().any(|(_, key)| key.public_key == device_id.as_str())
    }
}

/// Decides about an upload of cross-signing keys (XS-2 to XS-8, XS-14, XS-15, XS-17). `devices` are all devices of the
/// user with their identity keys, if they have any.
///
/// Of the signatures inside uploaded keys those are kept that an accepted key made and that verify: on the master key
/// those of the user's devices and its own, on the other two those of the master key. All others are left out (SIG-5,
/// SIG-9).
///
/// # Errors
/// [`KeysError::MissingParam`] without any master key (XS-4), [`KeysError::InvalidSignature`] (XS-3),
/// [`KeysError::Forbidden`] for the ID of a device (XS-5), [`KeysError::InvalidParam`] for a public key that has
/// another role (XS-17), and those of [`CrossSigningKey::parse`].
pub fn upload_plan(
    user_id: &UserId,
    stored: &CrossSigningKeys,
    upload: &CrossSigningUpload,
    devices: &BTreeMap<OwnedDeviceId, Option<RawJson>>,
) -> Result<UploadPlan, KeysError> {
    let parse = |usage, raw: &Option<RawJson>| match raw {
        Some(raw) => CrossSigningKey::parse_object(user_id, usage, raw).map(Some),
        None => Ok(None),
    };
    let new_master = parse(KeyUsage::Master, &upload.master)?;
    let others = [
        (KeyUsage::SelfSigning, parse(KeyUsage::SelfSigning, &upload.self_signing)?, &stored.self_signing),
        (KeyUsage::UserSigning, parse(KeyUsage::UserSigning, &upload.user_signing)?, &stored.user_signing),
    ];

    let context = Context { user_id, devices };
    let (master, master_change) = context.master(stored.master.as_ref(), new_master)?;
    let Some(master) = master else {
        return Err(KeysError::MissingParam("there is no master key, neither stored nor in this request".to_owned()));
    };
    let mut plan = UploadPlan {
        auth: UploadAuth::Unchanged,
        keys: CrossSigningKeys::default(),
        master: master_change,
        self_signing: KeyChange::Kept,
        user_signing: KeyChange::Kept,
    };
    for (usage, new, old) in others {
        let (key, change) = context.signed(usage, old.as_ref(), new, &master.public_key)?;
        match usage {
            KeyUsage::SelfSigning => (plan.keys.self_signing, plan.self_signing) = (key, change),
            _ => (plan.keys.user_signing, plan.user_signing) = (key, change),
        }
    }
    plan.keys.master = Some(master);

    let changes = [plan.master, plan.self_signing, plan.user_signing];
    context.check_new_public_keys(stored, &plan)?;
    plan.auth = if changes.iter().all(|change| *change == KeyChange::Kept) {
        UploadAuth::Unchanged
    } else if stored.master.is_none() || changes.iter().all(|c| matches!(c, KeyChange::Kept | KeyChange::Signatures)) {
        UploadAuth::NotNeeded
    } else {
        UploadAuth::Needed
    };
    Ok(plan)
}

type Parsed = (CrossSigningKey, CanonicalJsonObject);

struct Context<'a> {
    user_id: &'a UserId,
    devices: &'a BTreeMap<OwnedDeviceId, Option<RawJson>>,
}

impl Context<'_> {
    fn master(
        &self,
        old: Option<&CrossSigningKey>,
        new: Option<Parsed>,
    ) -> Result<(Option<CrossSigningKey>, KeyChange), KeysError> {
        let Some((new, object)) = new else { return Ok((old.cloned(), KeyChange::Kept)) };
        let text = SignedText::of(&object)?;
        let mut good = BTreeMap::new();
        for (name, signature) in self.by_owner(&object)? {
            let Some(key_id) = name.strip_prefix(PREFIX) else { continue };
            let verifies = if key_id == new.public_key {
                text.verifies(key_id, &signature)
            } else {
                self.device_key(key_id).is_some_and(|key| text.verifies(&key, &signature))
            };
            if verifies {
                good.insert(name, signature);
            }
        }
        self.put(old, &new, &object, good).map(|(key, change)| (Some(key), change))
    }

    fn signed(
        &self,
        usage: KeyUsage,
        old: Option<&CrossSigningKey>,
        new: Option<Parsed>,
        master: &str,
    ) -> Result<(Option<CrossSigningKey>, KeyChange), KeysError> {
        let Some((new, object)) = new else {
            return Ok(match old {
                Some(old) if !old.is_signed_by(self.user_id, master) => (None, KeyChange::Removed),
                old => (old.cloned(), KeyChange::Kept),
            });
        };
        let master_name = format!("{PREFIX}{master}");
        let text = SignedText::of(&object)?;
        let signature = self.by_owner(&object)?.remove(&master_name);
        let Some(signature) = signature.filter(|signature| text.verifies(master, signature)) else {
            return Err(KeysError::signature(format!("the {} key is not signed by the master key", usage.as_str())));
        };
        let good = BTreeMap::from([(master_name, signature)]);
        self.put(old, &new, &object, good).map(|(key, change)| (Some(key), change))
    }

    /// The key to store: the old one with further signatures if the content is the same, else the new one with its
    /// good signatures.
    fn put(
        &self,
        old: Option<&CrossSigningKey>,
        new: &CrossSigningKey,
        object: &CanonicalJsonObject,
        good: BTreeMap<String, String>,
    ) -> Result<(CrossSigningKey, KeyChange), KeysError> {
        if let Some(old) = old {
            let old_object = json::object(old.raw.as_raw())?;
            if json::equal_without(&old_object, object, UNSIGNED_MEMBERS) {
                let held = read_signatures(&old_object)?;
                let mut merged = held.clone();
                if !good.is_empty() {
                    merged.entry(self.user_id.to_string()).or_default().extend(good);
                }
                if merged == held {
                    return Ok((old.clone(), KeyChange::Kept));
                }
                return Ok((old.with_raw(with_signatures(&old.raw, &merged)?), KeyChange::Signatures));
            }
        }
        let mut kept = SignatureMap::new();
        if !good.is_empty() {
            kept.insert(self.user_id.to_string(), good);
        }
        // An object without signatures, or with none to leave out, keeps its text.
        if read_signatures(object)? == kept {
            return Ok((new.clone(), KeyChange::Replaced));
        }
        Ok((new.with_raw(with_signatures(&new.raw, &kept)?), KeyChange::Replaced))
    }

    /// XS-5 and XS-17 for the keys that are new.
    fn check_new_public_keys(&self, stored: &CrossSigningKeys, plan: &UploadPlan) -> Result<(), KeysError> {
        for (usage, key) in plan.keys.iter() {
            let is_new = stored.get(usage).is_none_or(|old| old.public_key != key.public_key);
            if is_new && self.devices.contains_key::<DeviceId>(key.public_key.as_str().into()) {
                return Err(KeysError::Forbidden("Key ID in use".to_owned()));
            }
            let in_other_role = |keys: &CrossSigningKeys| {
                keys.iter().any(|(other, found)| other != usage && found.public_key == key.public_key)
            };
            if is_new && (in_other_role(stored) || in_other_role(&plan.keys)) {
                return Err(KeysError::param(format!("the {} key has another role already", usage.as_str())));
            }
        }
        Ok(())
    }

    fn by_owner(&self, object: &CanonicalJsonObject) -> Result<BTreeMap<String, String>, KeysError> {
        Ok(read_signatures(object)?.remove(self.user_id.as_str()).unwrap_or_default())
    }

    fn device_key(&self, device_id: &str) -> Option<String> {
        let (id, raw) = self.devices.get_key_value::<DeviceId>(device_id.into())?;
        let one = BTreeMap::from([(id.clone(), raw.clone()?)]);
        device_signing_key(self.user_id, &one, device_id).ok().flatten()
    }
}
