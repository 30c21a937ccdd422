//! A look at the signatures on a stored object, for operators.

use ruma::{UserId, canonical_json::CanonicalJsonObject};

use super::{
    KeysError,
    ed25519::{PREFIX, verify_signed_by},
    signatures::read_signatures,
};
use crate::json::{self, RawJson};

/// An object with signatures.
#[derive(Debug, Clone)]
pub struct Signed(CanonicalJsonObject);

impl Signed {
    /// Reads an object.
    ///
    /// # Errors
    /// [`KeysError::BadJson`] for what is no object with a canonical form.
    pub fn of(raw: &RawJson) -> Result<Self, KeysError> {
        Ok(Self(json::object(raw.as_raw())?))
    }

    /// What follows `ed25519:` in the names of the keys of a user that signed it, good or not.
    #[must_use]
    pub fn signers(&self, user_id: &UserId) -> Vec<String> {
        let by_user = read_signatures(&self.0).unwrap_or_default().remove(user_id.as_str()).unwrap_or_default();
        by_user.into_keys().filter_map(|name| name.strip_prefix(PREFIX).map(str::to_owned)).collect()
    }

    /// Whether a user's key of this name and value made a good signature.
    #[must_use]
    pub fn verifies(&self, user_id: &UserId, key_id: &str, public_key: &str) -> bool {
        verify_signed_by(&self.0, user_id, key_id, public_key)
    }
}
