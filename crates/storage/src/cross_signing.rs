//! Cross-signing keys and signatures.

use async_trait::async_trait;
use olmstead_domain::json::RawJson;
use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};

use crate::Result;

/// A user's cross-signing keys as stored, with all signatures the owner's own keys and devices made on them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CrossSigningKeys {
    /// Grows with every write to the user's keys or the signatures on them; 0 when nothing was ever written.
    pub revision: u64,
    /// The master key object.
    pub master: Option<RawJson>,
    /// The self-signing key object.
    pub self_signing: Option<RawJson>,
    /// The user-signing key object; for the owner's eyes only (KQ-9).
    pub user_signing: Option<RawJson>,
}

/// How a write of cross-signing keys went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutCrossSigningOutcome {
    /// Stored; the device list changed, unless only the user-signing key did, which only the owner is told of (DL-11).
    Stored,
    /// The keys changed since they were read; nothing was stored. Read, decide and write again.
    Stale,
    /// A public key equals an id of one of the user's devices (XS-5); nothing was stored.
    KeyIsDeviceId,
    /// There is no such active account (any more); nothing was stored.
    NoAccount,
}

/// On what a signature was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureTarget {
    /// Identity keys of a device.
    Device(OwnedUserId, OwnedDeviceId),
    /// The master key of a user.
    MasterKey(OwnedUserId),
}

/// A verified signature to add.
#[derive(Debug, Clone)]
pub struct NewSignature {
    /// What was signed.
    pub target: SignatureTarget,
    /// The target object the signature was verified against, as it was read.
    pub verified_against: RawJson,
    /// Whose signature it is.
    pub signer: OwnedUserId,
    /// `<algorithm>:<public key or device id>`.
    pub key_id: String,
    /// Unpadded base64.
    pub signature: String,
}

/// Cross-signing keys and signatures.
#[async_trait]
pub trait CrossSigning: Send + Sync {
    /// The user's keys, unfiltered.
    async fn cross_signing_keys(&self, user_id: &UserId) -> Result<CrossSigningKeys>;

    /// Replaces the user's whole set if the stored revision is still `expected_revision` (XS-12); `keys.revision` is
    /// ignored. When the master key changed, signatures others made on the old one go with it (XS-14). `public_keys`
    /// are the unpadded public keys in the new set, to be held against device ids in the same step (XS-5); from then on
    /// no device of the user can have one of them for its id, also when it is replaced (XS-17).
    async fn put_cross_signing_keys(
        &self,
        user_id: &UserId,
        expected_revision: u64,
        keys: CrossSigningKeys,
        public_keys: Vec<String>,
    ) -> Result<PutCrossSigningOutcome>;

    /// Adds signatures; what was there stays (SIG-6). Answers in the order given: `false` when the target is gone or is
    /// no longer the object the signature was verified against. A signature by the owner merges into the object and
    /// changes the owner's device list (DL-13); one by another user's user-signing key is kept beside it for that user
    /// alone, and is a change for that user only (DL-12).
    async fn add_signatures(&self, signatures: Vec<NewSignature>) -> Result<Vec<bool>>;
}
