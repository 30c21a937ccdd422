//! Trying again what somebody else's write made stale.
//!
//! Nodes hold no locks for each other: who writes on what has changed meanwhile reads again and writes again. Of those who
//! write at once one always gets through, so all do in the end. The pauses are random, so that nodes do not keep step, and
//! short, so that a node which lost is soon back beside one that goes on writing.

use std::time::Duration;

use olmstead_storage::StorageError;
use tokio::time::Instant;

use crate::{Context, Result};

/// How long a request goes on trying.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest pause, milliseconds.
const MAX_PAUSE_MS: u64 = 32;

/// The tries of one request.
pub(crate) struct Tries<'a> {
    cx: &'a Context,
    began: Instant,
    failed: u32,
}

impl<'a> Tries<'a> {
    /// Before the first.
    pub(crate) fn new(cx: &'a Context) -> Self {
        Self { cx, began: Instant::now(), failed: 0 }
    }

    /// After one that failed: waits for the time of the next, the second at once.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when it has been long enough: the client is told to come back.
    pub(crate) async fn again(&mut self) -> Result<()> {
        if self.began.elapsed() >= PATIENCE {
            return Err(StorageError::Conflict.into());
        }
        if self.failed > 0 {
            let longest = 1_u64.checked_shl(self.failed).map_or(MAX_PAUSE_MS, |longest| longest.min(MAX_PAUSE_MS));
            let mut random = [0];
            self.cx.environment.random(&mut random);
            tokio::time::sleep(Duration::from_millis(u64::from(random[0]) % (longest + 1))).await;
        }
        self.failed = self.failed.saturating_add(1);
        Ok(())
    }
}
