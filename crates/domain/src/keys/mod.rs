//! The rules of end-to-end encryption keys: identity keys, one-time and fallback keys, cross-signing keys and the
//! signatures between them (client-server API, End-to-End Encryption).
//!
//! What clients upload is kept as raw JSON. Stored objects are the uploaded text without `unsigned`, with signatures
//! merged into `signatures`; the one exception are signatures made with a user-signing key on another user's master
//! key, which are stored beside the object, so that a reader loads only their own.

pub mod cross_signing;
pub mod device_keys;
mod ed25519;
mod error;
pub mod fallback;
pub mod one_time;
pub mod signatures;
mod signed;
pub mod visibility;

pub use cross_signing::{CrossSigningKey, CrossSigningKeys, CrossSigningPublicKeys, CrossSigningUpload, KeyUsage};
pub use device_keys::DeviceKeys;
pub use ed25519::verify_signed_by;
pub use error::KeysError;
pub use fallback::StoredFallback;
pub use one_time::OneTimeKey;
pub use signatures::Signer;
pub use signed::Signed;

/// The most bytes the JSON of an identity key or cross-signing key may have. It leaves room for signatures and the
/// envelope within the 65 536 bytes a federation EDU may have.
pub const MAX_KEY_OBJECT_BYTES: usize = 32_768;

/// The most bytes the JSON of a one-time or fallback key may have.
pub const MAX_ONE_TIME_KEY_BYTES: usize = 8_192;
