//! End-to-end encryption keys: upload, query, claim, cross-signing, signatures.

pub mod claim;
mod claim_budget;
pub mod device_signing;
pub mod query;
pub mod signatures;
pub mod upload;

pub use self::claim_budget::ClaimBudget;

use olmstead_domain::keys::{CrossSigningKeys, CrossSigningPublicKeys, KeysError};
use olmstead_storage::{StorageError, cross_signing};
use ruma::UserId;

use crate::{Context, Refusal, Result, ServiceError};

/// The algorithm whose count is always told, also when it is zero (SYNC-2).
pub const SIGNED_CURVE25519: &str = "signed_curve25519";

impl From<KeysError> for ServiceError {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::OneTimeKeyExists { .. } => Self::refused(Refusal::DuplicateOneTimeKey, error.to_string()),
            _ => Self::domain(error.kind(), error),
        }
    }
}

/// A user's cross-signing keys as they are now.
pub(crate) async fn of_user(cx: &Context, user_id: &UserId) -> Result<CrossSigningKeys> {
    read_stored(user_id, &cx.storage.cross_signing_keys(user_id).await?)
}

/// Reads stored cross-signing keys; what does not read back was damaged in the store.
pub(crate) fn read_stored(user_id: &UserId, stored: &cross_signing::CrossSigningKeys) -> Result<CrossSigningKeys> {
    CrossSigningKeys::from_stored(
        user_id,
        stored.master.as_ref(),
        stored.self_signing.as_ref(),
        stored.user_signing.as_ref(),
    )
    .map_err(|error| StorageError::damaged(format!("cross-signing keys of {user_id}: {error}")).into())
}

/// The public keys of stored cross-signing keys.
fn public_keys(user_id: &UserId, stored: &cross_signing::CrossSigningKeys) -> Result<CrossSigningPublicKeys> {
    let keys = [&stored.master, &stored.self_signing, &stored.user_signing];
    let [master, self_signing, user_signing] = keys.map(Option::as_ref);
    CrossSigningPublicKeys::from_stored(master, self_signing, user_signing)
        .map_err(|error| StorageError::damaged(format!("cross-signing keys of {user_id}: {error}")).into())
}

/// What another server's users get: there is no way to reach it, which is not an error of the request (KQ-3, OTK-11).
fn unreachable() -> serde_json::Value {
    serde_json::json!({"errcode": "M_UNKNOWN", "error": "This server cannot reach other servers."})
}
