//! Fallback keys: at most one of each algorithm, given out when one-time keys run out.

use std::collections::BTreeSet;

use ruma::canonical_json::CanonicalJsonValue;
use serde::{Deserialize, Serialize};

use super::{
    KeysError, OneTimeKey,
    one_time::{check_value, parse_one_time_keys, same_key},
};
use crate::json::RawJson;

/// The fallback key a device has for one algorithm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFallback {
    /// The key ID, without its algorithm.
    pub key_id: String,
    /// The key as uploaded (FBK-6).
    pub value: RawJson,
    /// Whether it was given out since it was uploaded (FBK-4).
    pub used: bool,
}

/// What an uploaded fallback key does to the stored one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FallbackUpload {
    /// It is the stored key, which stays as it is, with its mark of use (FBK-5).
    Unchanged,
    /// It takes the place of the stored key, if any, and is unused (FBK-1).
    Replace(StoredFallback),
}

/// Reads the `fallback_keys` of an upload: the form of one-time keys, at most one of each algorithm (FBK-2), and
/// `fallback`, if it is there, is `true` (FBK-6). An absent `fallback` is accepted: adding it would break the
/// signature, and old clients do not send it.
///
/// # Errors
/// As [`parse_one_time_keys`]; [`KeysError::InvalidParam`] for two keys of one algorithm or a `fallback` that is not
/// `true`.
pub fn parse_fallback_keys(raw: &RawJson) -> Result<Vec<OneTimeKey>, KeysError> {
    let keys = parse_one_time_keys(raw)?;
    let mut algorithms = BTreeSet::new();
    for key in &keys {
        if !algorithms.insert(key.algorithm.as_str()) {
            return Err(KeysError::param(format!("more than one fallback key of algorithm {:?}", key.algorithm)));
        }
        let object = check_value(&key.name(), key.value.as_raw())?;
        match object.as_ref().and_then(|object| object.get("fallback")) {
            None | Some(CanonicalJsonValue::Bool(true)) => {}
            Some(_) => return Err(KeysError::param(format!("fallback key {:?}: `fallback` must be true", key.name()))),
        }
    }
    Ok(keys)
}

/// Decides about an uploaded fallback key, given the stored one of the same algorithm (FBK-1, FBK-5).
#[must_use]
pub fn replace(old: Option<&StoredFallback>, key_id: &str, value: &RawJson) -> FallbackUpload {
    match old {
        Some(old) if old.key_id == key_id && same_key(&old.value, value) => FallbackUpload::Unchanged,
        _ => FallbackUpload::Replace(StoredFallback { key_id: key_id.to_owned(), value: value.clone(), used: false }),
    }
}
