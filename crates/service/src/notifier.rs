//! Wakes those who wait for news.
//!
//! A waiter registers under its keys first, then reads, then waits, so nothing that commits after its read goes
//! unnoticed. One tailer a process follows the horizon and wakes whom the changes touch. Waking in vain is harmless.

use olmstead_sequence::Waiters;
use ruma::{OwnedDeviceId, OwnedUserId};

/// All who wait in this process. What threads share of it is in a crate of its own, where loom checks it.
pub type Notifier = Waiters<OwnedUserId, OwnedDeviceId>;
