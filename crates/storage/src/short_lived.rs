//! Short-lived values that every node must see: UIA sessions, login tokens, OpenID tokens, registration nonces.

use async_trait::async_trait;

use crate::Result;

/// Values with an end. Keys are unguessable, or hashes of what is.
#[async_trait]
pub trait ShortLived: Send + Sync {
    /// Sets a value until `expires_at` (milliseconds).
    async fn put_short_lived(&self, kind: &str, key: &str, value: Vec<u8>, expires_at: u64) -> Result<()>;

    /// The value, unless it ended before `now`.
    async fn short_lived(&self, kind: &str, key: &str, now: u64) -> Result<Option<Vec<u8>>>;

    /// Replaces a value if it still is `expected`; `false` when it is not.
    async fn replace_short_lived(
        &self,
        kind: &str,
        key: &str,
        expected: &[u8],
        value: Vec<u8>,
        expires_at: u64,
    ) -> Result<bool>;

    /// Takes a value: of several callers at most one gets it, and nobody after that.
    async fn take_short_lived(&self, kind: &str, key: &str, now: u64) -> Result<Option<Vec<u8>>>;

    /// Forgets what ended before `now`, a bounded number at a time; returns how many.
    async fn expire_short_lived(&self, now: u64) -> Result<usize>;
}
