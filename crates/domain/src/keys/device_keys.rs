//! Identity keys of a device: what an upload must look like, and what it does to the keys already stored.

use std::collections::BTreeMap;

use ruma::{
    DeviceId, OwnedDeviceId, OwnedUserId, UserId,
    canonical_json::{CanonicalJsonObject, CanonicalJsonValue},
};

use super::{
    CrossSigningPublicKeys, KeysError, MAX_KEY_OBJECT_BYTES,
    ed25519::{PREFIX, SignedText, verify_signed_by},
    signatures::{SignatureMap, read_signatures, with_signatures},
};
use crate::{
    identifiers::check_device_id,
    json::{self, Fields, RawJson},
};

/// Members of a signed object that its signatures do not cover.
pub(super) const UNSIGNED_MEMBERS: &[&str] = &["signatures", "unsigned"];

/// The identity keys of one device, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceKeys {
    user_id: OwnedUserId,
    device_id: OwnedDeviceId,
    raw: RawJson,
    object: CanonicalJsonObject,
}

/// What uploading identity keys over stored ones does (DK-8, DK-12).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceKeysUpload {
    /// Nothing new: nothing is stored, nobody is told.
    Unchanged,
    /// The same content with signatures not held before. Store this; the device list changed.
    SignaturesOnly(RawJson),
    /// Other content under the same identity keys, or the first upload. Signatures on the old content are gone with
    /// it. Store this; the device list changed.
    Changed(RawJson),
    /// Other identity keys. Store this, drop the one-time and fallback keys of the old identity; the device list
    /// changed.
    NewIdentity(RawJson),
}

impl DeviceKeys {
    /// Checks identity keys against the device they are for (DK-3, DK-4). `unsigned` is taken out (DK-6); all other
    /// members are kept as they are (DK-5). A fraction or an integer out of range anywhere in the object is refused,
    /// since no signature could cover it (GEN-11). Signatures are not verified (DK-11).
    ///
    /// # Errors
    /// [`KeysError::BadJson`] for the wrong shape, [`KeysError::InvalidParam`] for another user or device or a device
    /// ID over its limit, [`KeysError::TooLarge`] beyond [`MAX_KEY_OBJECT_BYTES`].
    pub fn parse(user_id: &UserId, device_id: &DeviceId, raw: &RawJson) -> Result<Self, KeysError> {
        if raw.get().len() > MAX_KEY_OBJECT_BYTES {
            return Err(KeysError::TooLarge("device_keys is too large".to_owned()));
        }
        let mut object = json::object(raw.as_raw())?;
        check_device_id(device_id.as_str())?;
        for (member, expected) in [("user_id", user_id.as_str()), ("device_id", device_id.as_str())] {
            match object.get(member) {
                Some(CanonicalJsonValue::String(found)) if found == expected => {}
                Some(CanonicalJsonValue::String(_)) => {
                    return Err(KeysError::param(format!("device_keys.{member} is not that of the access token")));
                }
                _ => return Err(KeysError::bad(format!("device_keys.{member} must be a string"))),
            }
        }
        match object.get("algorithms") {
            Some(CanonicalJsonValue::Array(algorithms)) if algorithms.iter().all(CanonicalJsonValue::is_string) => {}
            _ => return Err(KeysError::bad("device_keys.algorithms must be an array of strings")),
        }
        match object.get("keys") {
            Some(CanonicalJsonValue::Object(keys)) if keys.values().all(CanonicalJsonValue::is_string) => {}
            _ => return Err(KeysError::bad("device_keys.keys must be an object of strings")),
        }
        if !object.contains_key("signatures") {
            return Err(KeysError::bad("device_keys.signatures is missing"));
        }
        read_signatures(&object)?;
        let raw = without_unsigned(raw, &mut object)?;
        Ok(Self { user_id: user_id.to_owned(), device_id: device_id.to_owned(), raw, object })
    }

    /// The JSON to store and serve.
    #[must_use]
    pub const fn raw(&self) -> &RawJson {
        &self.raw
    }

    /// The parsed object, without `unsigned`.
    #[must_use]
    pub const fn object(&self) -> &CanonicalJsonObject {
        &self.object
    }

    /// The public key of an algorithm, such as `ed25519` or `curve25519`, under the name of this device.
    #[must_use]
    pub fn public_key(&self, algorithm: &str) -> Option<&str> {
        let CanonicalJsonValue::Object(keys) = self.object.get("keys")? else { return None };
        keys.get(&format!("{algorithm}:{}", self.device_id))?.as_str()
    }

    /// All public keys, by their full names `<algorithm>:<device_id>`.
    #[must_use]
    pub fn public_keys(&self) -> BTreeMap<&str, &str> {
        match self.object.get("keys") {
            Some(CanonicalJsonValue::Object(keys)) => {
                keys.iter().filter_map(|(name, key)| Some((name.as_str(), key.as_str()?))).collect()
            }
            _ => BTreeMap::new(),
        }
    }

    /// Whether the device signed its own keys. Only counted, never a reason to refuse (DK-11).
    #[must_use]
    pub fn is_self_signed(&self) -> bool {
        self.public_key("ed25519")
            .is_some_and(|key| verify_signed_by(&self.object, &self.user_id, self.device_id.as_str(), key))
    }

    /// The same keys with those signatures alone that can ever be shown: the device's own as they are, and those that the
    /// user's current cross-signing keys made, if they verify (SIG-5, SIG-9). Kept without a look, a signature in the name
    /// of a key to come would be shown from the day that key is there.
    ///
    /// # Errors
    /// [`KeysError`]; it does not happen for keys that were parsed.
    pub fn with_good_signatures(self, keys: &CrossSigningPublicKeys) -> Result<Self, KeysError> {
        let before = read_signatures(&self.object)?;
        let text = SignedText::of(&self.object)?;
        let mut good = before.clone();
        good.retain(|user, _| user == self.user_id.as_str());
        for by_owner in good.values_mut() {
            by_owner.retain(|name, signature| {
                let of_user = |key: &str| keys.contains(key) && text.verifies(key, signature);
                self.is_own_name(name) || name.strip_prefix(PREFIX).is_some_and(of_user)
            });
        }
        if good == before {
            return Ok(self);
        }
        let raw = with_signatures(&self.raw, &good)?;
        Self::parse(&self.user_id, &self.device_id, &raw)
    }

    /// Whether the keys carry signatures besides the device's own.
    #[must_use]
    pub fn has_further_signatures(&self) -> bool {
        let Ok(signatures) = read_signatures(&self.object) else { return false };
        signatures
            .iter()
            .any(|(user, by_user)| user != self.user_id.as_str() || !by_user.keys().all(|name| self.is_own_name(name)))
    }

    /// Whether a signature of this name is the device's, of whatever algorithm.
    fn is_own_name(&self, name: &str) -> bool {
        name.split_once(':').is_some_and(|(_, id)| id == self.device_id.as_str())
    }

    /// Whether both name the same public keys (DK-12).
    #[must_use]
    pub fn same_identity(&self, other: &Self) -> bool {
        self.object.get("keys") == other.object.get("keys")
    }

    /// What uploading these keys does, given those stored (DK-8, DK-12). Of two signatures under one name, the new one
    /// wins if it is the device's own, and the held one, which was verified, if not.
    ///
    /// # Errors
    /// [`KeysError`]; it does not happen for keys that were parsed.
    pub fn upload_over(&self, stored: Option<&Self>) -> Result<DeviceKeysUpload, KeysError> {
        let Some(stored) = stored else { return Ok(DeviceKeysUpload::Changed(self.raw.clone())) };
        if !self.same_identity(stored) {
            return Ok(DeviceKeysUpload::NewIdentity(self.raw.clone()));
        }
        if !json::equal_without(&self.object, &stored.object, UNSIGNED_MEMBERS) {
            return Ok(DeviceKeysUpload::Changed(self.raw.clone()));
        }
        let held: SignatureMap = read_signatures(&stored.object)?;
        let mut merged = held.clone();
        let own_name = format!("{PREFIX}{}", self.device_id);
        for (user, by_user) in read_signatures(&self.object)? {
            let is_owner = user == self.user_id.as_str();
            let known = merged.entry(user).or_default();
            for (name, signature) in by_user {
                if is_owner && name == own_name {
                    known.insert(name, signature);
                } else {
                    known.entry(name).or_insert(signature);
                }
            }
        }
        merged.retain(|_, by_user| !by_user.is_empty());
        if merged == held {
            return Ok(DeviceKeysUpload::Unchanged);
        }
        Ok(DeviceKeysUpload::SignaturesOnly(with_signatures(&stored.raw, &merged)?))
    }
}

/// What uploading checked identity keys over stored ones does, for engines that hold both as JSON: see
/// [`DeviceKeys::upload_over`].
///
/// # Errors
/// Those of [`DeviceKeys::parse`]; they do not happen for JSON that came out of it.
pub fn merge_upload(
    user_id: &UserId,
    device_id: &DeviceId,
    stored: Option<&RawJson>,
    new: &RawJson,
) -> Result<DeviceKeysUpload, KeysError> {
    if stored == Some(new) {
        return Ok(DeviceKeysUpload::Unchanged);
    }
    let new = DeviceKeys::parse(user_id, device_id, new)?;
    let stored = stored.map(|stored| DeviceKeys::parse(user_id, device_id, stored)).transpose()?;
    new.upload_over(stored.as_ref())
}

/// Takes a client's `unsigned` out of an object and its text; the text is kept as it is if there is none.
pub(super) fn without_unsigned(raw: &RawJson, object: &mut CanonicalJsonObject) -> Result<RawJson, KeysError> {
    if object.remove("unsigned").is_none() {
        return Ok(raw.clone());
    }
    let mut fields = Fields::parse(raw.as_raw())?;
    fields.remove("unsigned");
    Ok(fields.to_raw()?)
}
