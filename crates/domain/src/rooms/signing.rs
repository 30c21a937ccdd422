//! The signing key of a server.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use ruma::{
    CanonicalJsonObject, OwnedServerName, ServerName,
    room_version_rules::RedactionRules,
    signatures::{Ed25519KeyPair, hash_and_sign_event, sign_json},
};

use super::RoomError;

/// The fixed head of a PKCS#8 document (version 1, ed25519); the 32 bytes of the seed follow.
const PKCS8_HEAD: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// An ed25519 key that signs for one server name.
pub struct ServerKey {
    server_name: OwnedServerName,
    key_id: String,
    pair: Ed25519KeyPair,
}

impl ServerKey {
    /// Makes the key from 32 random bytes and a key version (letters, digits and `_`), which
    /// becomes the key id `ed25519:<version>`.
    ///
    /// The same seed and version always give the same key.
    pub fn from_seed(server_name: OwnedServerName, seed: &[u8; 32], version: &str) -> Result<Self, RoomError> {
        if version.is_empty() || !version.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(RoomError::InvalidParam(
                "the version of a signing key is made of letters, digits and underscores".into(),
            ));
        }
        let mut document = PKCS8_HEAD.to_vec();
        document.extend_from_slice(seed);
        let pair = Ed25519KeyPair::from_der(&document, version.to_owned())
            .map_err(|error| RoomError::InvalidParam(error.to_string()))?;
        Ok(Self { server_name, key_id: format!("ed25519:{version}"), pair })
    }

    /// The server the key signs for.
    pub fn server_name(&self) -> &ServerName {
        &self.server_name
    }

    /// The key id, such as `ed25519:a1`.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The public half, in unpadded base64.
    pub fn public_key(&self) -> String {
        STANDARD_NO_PAD.encode(self.pair.public_key())
    }

    /// Adds the server's signature to a JSON object (appendix "Signing JSON").
    pub fn sign_json(&self, object: &mut CanonicalJsonObject) -> Result<(), RoomError> {
        sign_json(self.server_name.as_str(), &self.pair, object).map_err(RoomError::bad_json)
    }

    /// Adds the content hash and the server's signature to an event.
    pub(crate) fn hash_and_sign(
        &self,
        event: &mut CanonicalJsonObject,
        rules: &RedactionRules,
    ) -> Result<(), RoomError> {
        hash_and_sign_event(self.server_name.as_str(), &self.pair, event, rules).map_err(super::build::json_error)
    }
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerKey")
            .field("server_name", &self.server_name)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}
