//! Verification of signatures on JSON (appendices, Checking for a Signature; GEN-12, GEN-13).

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use ruma::{
    SigningKeyAlgorithm, UserId,
    canonical_json::{CanonicalJsonObject, CanonicalJsonValue},
    signatures::{to_canonical_json_string_for_signing, verify_canonical_json_bytes},
};

use super::KeysError;

/// Base64 as clients send it: padded or not (GEN-13), and with stray bits after the last byte, which some encoders
/// leave.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The prefix of the key names of the one signature algorithm in use.
pub(super) const PREFIX: &str = "ed25519:";

/// The text a signature on an object covers: its canonical form without `signatures` and `unsigned`. Made once when
/// several signatures are to be checked.
pub(super) struct SignedText(String);

impl SignedText {
    pub(super) fn of(object: &CanonicalJsonObject) -> Result<Self, KeysError> {
        let text = to_canonical_json_string_for_signing(object).map_err(|error| KeysError::bad(error.to_string()))?;
        Ok(Self(text))
    }

    /// Whether a signature with an ed25519 key is good; keys and signatures that cannot be decoded are not.
    pub(super) fn verifies(&self, public_key: &str, signature: &str) -> bool {
        let (Ok(public_key), Ok(signature)) = (LENIENT.decode(public_key), LENIENT.decode(signature)) else {
            return false;
        };
        verify_canonical_json_bytes(&SigningKeyAlgorithm::Ed25519, &public_key, &signature, self.0.as_bytes()).is_ok()
    }
}

/// The signature a user's key made on an object, if it is there.
pub(super) fn signature_by<'a>(object: &'a CanonicalJsonObject, user: &UserId, key_name: &str) -> Option<&'a str> {
    let CanonicalJsonValue::Object(signatures) = object.get("signatures")? else { return None };
    let CanonicalJsonValue::Object(by_user) = signatures.get(user.as_str())? else { return None };
    by_user.get(key_name)?.as_str()
}

/// Whether an object carries a good signature by an ed25519 key of a user. `key_id` is what follows `ed25519:` in the
/// name of the key: a device ID, or the public key itself for cross-signing keys.
#[must_use]
pub fn verify_signed_by(object: &CanonicalJsonObject, user: &UserId, key_id: &str, public_key: &str) -> bool {
    let Some(signature) = signature_by(object, user, &format!("{PREFIX}{key_id}")) else { return false };
    SignedText::of(object).is_ok_and(|text| text.verifies(public_key, signature))
}

/// Whether a text is an ed25519 public key in unpadded base64.
pub(super) fn is_public_key(text: &str) -> bool {
    !text.contains('=') && LENIENT.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}
