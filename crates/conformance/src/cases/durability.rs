//! What was acknowledged is there after the process was killed.

use crate::{Store, crash};

/// A process that writes is killed in the middle, three times on the same data. Each time, everything it acknowledged is
/// there: messages, transactions, keys, claims that are never repeated, events, backups, account data (OTK-1, OTK-15,
/// TD-4); and no position is given out again.
pub async fn what_was_acknowledged_survives_a_kill(store: Store) {
    crash::parent(store).await;
}
