//! One-time keys: the form of an upload, and what becomes of a key whose name is already known.

use ruma::canonical_json::{CanonicalJsonObject, CanonicalJsonValue};

use super::{KeysError, MAX_ONE_TIME_KEY_BYTES};
use crate::{
    identifiers::split_key_name,
    json::{self, Fields, RawJson},
};

/// One uploaded one-time or fallback key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneTimeKey {
    /// The algorithm, the part of the name before its first colon.
    pub algorithm: String,
    /// The key ID, the rest of the name.
    pub key_id: String,
    /// The key as uploaded: a string, or an object with `key` and `signatures`.
    pub value: RawJson,
}

impl OneTimeKey {
    /// The full name, `<algorithm>:<key_id>`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}:{}", self.algorithm, self.key_id)
    }
}

/// What becomes of an uploaded one-time key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admit {
    /// New: store it.
    Store,
    /// The same key is stored and unclaimed: nothing to do, no error (OTK-5).
    AlreadyThere,
    /// A key with this name was claimed: it must not become claimable again; no error (OTK-3).
    AlreadyClaimed,
    /// Another key is stored under this name: refuse the upload and keep that one (OTK-6).
    Conflict,
}

/// Reads the `one_time_keys` of an upload, in their order (OTK-4). A name that occurs twice is refused.
///
/// # Errors
/// [`KeysError::BadJson`] for the wrong shape or a bad name, [`KeysError::TooLarge`] for a key beyond
/// [`MAX_ONE_TIME_KEY_BYTES`].
pub fn parse_one_time_keys(raw: &RawJson) -> Result<Vec<OneTimeKey>, KeysError> {
    let fields = Fields::parse(raw.as_raw()).map_err(|error| KeysError::bad(format!("one_time_keys: {error}")))?;
    fields
        .iter()
        .map(|(name, value)| {
            let (algorithm, key_id) =
                split_key_name(name).map_err(|error| KeysError::bad(format!("one-time key {name:?}: {error}")))?;
            if value.get().len() > MAX_ONE_TIME_KEY_BYTES {
                return Err(KeysError::TooLarge(format!("one-time key {name:?} is too large")));
            }
            check_value(name, value)?;
            Ok(OneTimeKey { algorithm: algorithm.to_owned(), key_id: key_id.to_owned(), value: value.into() })
        })
        .collect()
}

/// Whether two keys are the same but for their signatures (OTK-5). Values that cannot be read are the same only if
/// their texts are.
#[must_use]
pub fn same_key(a: &RawJson, b: &RawJson) -> bool {
    if a == b {
        return true;
    }
    match (json::value(a.as_raw()), json::value(b.as_raw())) {
        (Ok(CanonicalJsonValue::Object(a)), Ok(CanonicalJsonValue::Object(b))) => {
            json::equal_without(&a, &b, &["signatures"])
        }
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// Decides about an uploaded key, given the unclaimed key stored under the same name, if any, and whether a key of
/// that name is remembered as claimed (OTK-3, OTK-5, OTK-6).
#[must_use]
pub fn admit(existing_same_id: Option<&RawJson>, was_claimed: bool, new: &RawJson) -> Admit {
    match existing_same_id {
        Some(existing) if same_key(existing, new) => Admit::AlreadyThere,
        Some(_) => Admit::Conflict,
        None if was_claimed => Admit::AlreadyClaimed,
        None => Admit::Store,
    }
}

/// The error for [`Admit::Conflict`] (OTK-6). `name` is the full name of the key.
#[must_use]
pub fn conflict(name: &str, existing: &RawJson, new: &RawJson) -> KeysError {
    let (algorithm, key_id) = name.split_once(':').unwrap_or((name, ""));
    KeysError::OneTimeKeyExists {
        algorithm: algorithm.to_owned(),
        key_id: key_id.to_owned(),
        old: existing.get().to_owned(),
        new: new.get().to_owned(),
    }
}

/// Checks the value of a one-time or fallback key and gives the object, if it is one.
pub(super) fn check_value(
    name: &str,
    value: &serde_json::value::RawValue,
) -> Result<Option<CanonicalJsonObject>, KeysError> {
    match json::value(value).map_err(|error| KeysError::bad(format!("key {name:?}: {error}")))? {
        CanonicalJsonValue::String(_) => Ok(None),
        CanonicalJsonValue::Object(object) => {
            let key = object.get("key").is_some_and(CanonicalJsonValue::is_string);
            let signatures = object.get("signatures").is_some_and(CanonicalJsonValue::is_object);
            if key && signatures {
                Ok(Some(object))
            } else {
                Err(KeysError::bad(format!("key {name:?} needs a string `key` and an object `signatures`")))
            }
        }
        _ => Err(KeysError::bad(format!("key {name:?} must be a string or an object"))),
    }
}
