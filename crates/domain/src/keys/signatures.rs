//! Signatures on keys: their place in an object, and which of those a user uploads are accepted
//! (client-server API, Cross-signing).

use std::collections::BTreeMap;

use super::{
    CrossSigningKeys, CrossSigningPublicKeys, DeviceKeys, KeyUsage, KeysError, MAX_KEY_OBJECT_BYTES,
    device_keys::UNSIGNED_MEMBERS,
    ed25519::{PREFIX, SignedText},
};
use crate::json::{self, Fields, RawJson};
use ruma::{
    DeviceId, OwnedDeviceId, UserId,
    canonical_json::{CanonicalJsonObject, CanonicalJsonValue},
};

/// Signatures by user, then by the full name of the key that made them.
pub type SignatureMap = BTreeMap<String, BTreeMap<String, String>>;

/// Who uploads signatures, and with what keys they can be verified (SIG-5).
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// The user of the access token.
    pub user_id: &'a UserId,
    /// The user's current cross-signing public keys.
    pub keys: &'a CrossSigningPublicKeys,
    /// The identity keys of the user's devices, as stored.
    pub devices: &'a BTreeMap<OwnedDeviceId, RawJson>,
}

/// A stored object that is to be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// The identity keys of a device.
    Device(&'a RawJson),
    /// A cross-signing key.
    Key(KeyUsage, &'a RawJson),
}

impl<'a> Target<'a> {
    /// The object that `key` names: the public key of a cross-signing key, or a device ID (SIG-1).
    #[must_use]
    pub fn find(key: &str, keys: &'a CrossSigningKeys, devices: &'a BTreeMap<OwnedDeviceId, RawJson>) -> Option<Self> {
        let cross_signing = keys.iter().find(|(_, stored)| stored.public_key() == key);
        if let Some((usage, stored)) = cross_signing {
            return Some(Self::Key(usage, stored.raw()));
        }
        devices.get::<DeviceId>(key.into()).map(Self::Device)
    }

    /// The stored object.
    #[must_use]
    pub const fn raw(&self) -> &'a RawJson {
        match self {
            Self::Device(raw) | Self::Key(_, raw) => raw,
        }
    }
}

/// Judges one entry of `/keys/signatures/upload` (SIG-1 to SIG-7). `target` is the stored object the entry names, if
/// there is one; `held` are the signatures of the signer that are stored beside it, by full name of the key.
///
/// The answer holds the signatures that are new, by full name of the key, all of them verified: on an own object they
/// belong in it ([`add_signatures`]), on another user's master key beside it (SIG-8, SIG-15). It is empty if all are
/// held. It is empty, too, for an own self-signing or user-signing key, which carries the signature of the master key
/// since it was uploaded (XS-3).
///
/// Four kinds of signature are accepted (SIG-4): own self-signing key on own device, own device on own master key, own
/// master key on own objects, own user-signing key on another user's master key. Each is verified, also one that is
/// stored already: identity keys are taken with whatever signatures they carry. Others of the signer that the stored
/// object carries, such as a device's on itself, pass; those of other users are not taken from here and are ignored,
/// and so are those of unknown algorithms.
///
/// # Errors
/// For the entry of `failures`: [`KeysError::NotFound`] for an unknown target, [`KeysError::InvalidParam`] if the object
/// differs from the stored one, [`KeysError::InvalidSignature`] if a signature is not of an accepted kind, does not
/// verify, or none is there, [`KeysError::BadJson`] for the wrong shape.
pub fn accept(
    signer: &Signer<'_>,
    target_user: &UserId,
    target: Option<Target<'_>>,
    held: &[(String, String)],
    uploaded: &RawJson,
) -> Result<BTreeMap<String, String>, KeysError> {
    let Some(target) = target else {
        return Err(KeysError::NotFound("no such device or key".to_owned()));
    };
    if uploaded.get().len() > MAX_KEY_OBJECT_BYTES {
        return Err(KeysError::TooLarge("the signed object is too large".to_owned()));
    }
    let object = json::object(uploaded.as_raw())?;
    let stored = json::object(target.raw().as_raw())?;
    if !json::equal_without(&object, &stored, UNSIGNED_MEMBERS) {
        return Err(KeysError::param("the object is not the one stored under this key"));
    }
    let by_signer = read_signatures(&object)?.remove(signer.user_id.as_str()).unwrap_or_default();
    let stored_by_signer = read_signatures(&stored)?.remove(signer.user_id.as_str()).unwrap_or_default();
    let is_held = |name: &str, signature: &str| {
        stored_by_signer.get(name).is_some_and(|held| held == signature)
            || held.iter().any(|(held_name, held)| held_name == name && held == signature)
    };
    let text = SignedText::of(&object)?;
    let own = target_user == signer.user_id;
    let (mut usable, mut new) = (0_usize, BTreeMap::new());
    for (name, signature) in by_signer {
        let held = is_held(&name, &signature);
        let public_key = match name.strip_prefix(PREFIX) {
            Some(key_id) => signing_key(signer, own, &target, key_id)?,
            None if held => None,
            None => continue,
        };
        match public_key {
            Some(public_key) if !text.verifies(&public_key, &signature) => {
                return Err(KeysError::signature(format!("the signature by {name:?} does not verify")));
            }
            None if !held => {
                return Err(KeysError::signature(format!("a signature by {name:?} is not accepted on this object")));
            }
            _ => usable += 1,
        }
        if !held {
            new.insert(name, signature);
        }
    }
    if usable == 0 {
        return Err(KeysError::signature("the object carries no signature of yours"));
    }
    if matches!(target, Target::Key(KeyUsage::SelfSigning | KeyUsage::UserSigning, _)) {
        new.clear();
    }
    Ok(new)
}

/// The public key a signature named `ed25519:<key_id>` must be verified with, if such a signature is accepted (SIG-4).
fn signing_key(signer: &Signer<'_>, own: bool, target: &Target<'_>, key_id: &str) -> Result<Option<String>, KeysError> {
    let is = |key: &Option<String>| key.as_deref() == Some(key_id);
    let accepted = match (own, target) {
        (true, Target::Device(_)) => is(&signer.keys.self_signing) || is(&signer.keys.master),
        (true, Target::Key(..)) => is(&signer.keys.master),
        (false, Target::Key(KeyUsage::Master, ..)) => is(&signer.keys.user_signing),
        (false, _) => false,
    };
    if accepted {
        return Ok(Some(key_id.to_owned()));
    }
    if let (true, Target::Key(KeyUsage::Master, ..)) = (own, target) {
        return device_signing_key(signer.user_id, signer.devices, key_id);
    }
    Ok(None)
}

/// The ed25519 key of one of a user's devices.
pub(super) fn device_signing_key(
    user_id: &UserId,
    devices: &BTreeMap<OwnedDeviceId, RawJson>,
    device_id: &str,
) -> Result<Option<String>, KeysError> {
    let device_id: &DeviceId = device_id.into();
    let Some(raw) = devices.get(device_id) else { return Ok(None) };
    let keys = DeviceKeys::parse(user_id, device_id, raw)?;
    Ok(keys.public_key("ed25519").map(ToOwned::to_owned))
}

/// Adds a user's signatures to an object; those already there stay (SIG-6). A signature under a name that is taken
/// replaces it: it was verified against the current key.
///
/// # Errors
/// [`KeysError::BadJson`] if the object cannot be read.
pub fn add_signatures(object: &RawJson, signer: &UserId, new: &BTreeMap<String, String>) -> Result<RawJson, KeysError> {
    let mut signatures = read_signatures(&json::object(object.as_raw())?)?;
    let by_signer = signatures.entry(signer.to_string()).or_default();
    by_signer.extend(new.iter().map(|(name, signature)| (name.clone(), signature.clone())));
    with_signatures(object, &signatures)
}

/// The object without the signatures that a user's device made on it; `None` if there are none. A device that is gone
/// vouches for nothing (DEV-10).
///
/// # Errors
/// [`KeysError::BadJson`] if the object cannot be read.
pub fn without_device(object: &RawJson, user_id: &UserId, device_id: &DeviceId) -> Result<Option<RawJson>, KeysError> {
    let mut signatures = read_signatures(&json::object(object.as_raw())?)?;
    let Some(by_user) = signatures.get_mut(user_id.as_str()) else { return Ok(None) };
    let before = by_user.len();
    by_user.retain(|name, _| name.split_once(':').is_none_or(|(_, id)| id != device_id.as_str()));
    if by_user.len() == before {
        return Ok(None);
    }
    if by_user.is_empty() {
        signatures.remove(user_id.as_str());
    }
    with_signatures(object, &signatures).map(Some)
}

/// Whether two objects carry the same signatures, however these are written.
#[must_use]
pub fn same_signatures(a: &RawJson, b: &RawJson) -> bool {
    let read = |raw: &RawJson| -> Option<SignatureMap> {
        serde_json::from_str(Fields::parse(raw.as_raw()).ok()?.get("signatures")?.get()).ok()
    };
    a == b || read(a).is_some_and(|signatures| read(b) == Some(signatures))
}

/// Whether two key objects name the same public keys; signatures and the like may differ.
#[must_use]
pub fn same_public_key(a: Option<&RawJson>, b: Option<&RawJson>) -> bool {
    let keys = |raw: &RawJson| -> Option<BTreeMap<String, String>> {
        serde_json::from_str(Fields::parse(raw.as_raw()).ok()?.get("keys")?.get()).ok()
    };
    match (a, b) {
        (Some(a), Some(b)) => a == b || keys(a).is_some_and(|a| keys(b) == Some(a)),
        (None, None) => true,
        _ => false,
    }
}

/// The `signatures` of an object; none if the member is absent.
pub(super) fn read_signatures(object: &CanonicalJsonObject) -> Result<SignatureMap, KeysError> {
    let shape = || KeysError::bad("signatures must map users to maps of key names to strings");
    let users = match object.get("signatures") {
        None => return Ok(SignatureMap::new()),
        Some(CanonicalJsonValue::Object(users)) => users,
        Some(_) => return Err(shape()),
    };
    users
        .iter()
        .map(|(user, by_user)| {
            let by_user = by_user.as_object().ok_or_else(shape)?;
            let by_user = by_user
                .iter()
                .map(|(name, signature)| Ok((name.clone(), signature.as_str().ok_or_else(shape)?.to_owned())));
            Ok((user.clone(), by_user.collect::<Result<_, KeysError>>()?))
        })
        .collect()
}

/// The same object with other signatures; all other members keep their text.
pub(super) fn with_signatures(raw: &RawJson, signatures: &SignatureMap) -> Result<RawJson, KeysError> {
    let mut fields = Fields::parse(raw.as_raw())?;
    fields.set("signatures", signatures)?;
    Ok(fields.to_raw()?)
}
