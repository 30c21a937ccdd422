//! How much one user may put into inboxes.
//!
//! What was accepted for a device must reach it, however long it does not sync, so nothing that waits is ever dropped; and a
//! device that will never come back looks like one that will. What is bounded is how fast one user fills the inbox of one
//! device. A bound on how much waits would be no better: once it is reached, by years of honest messages to a phone in a
//! drawer, each request that also names that device would be refused for ever, and with it the keys for all other devices.
//! Here who is told to wait can go on after seconds.
//!
//! Each node counts for itself; behind n nodes a sender has up to n budgets.

use std::num::NonZeroU32;

use governor::Quota;
use olmstead_storage::to_device::{OutgoingMessage, Recipient};
use ruma::UserId;

use crate::quotas::{Budgets, TooOften};

/// Messages are counted in units of so many bytes; a room key is one.
const UNIT: usize = 4 << 10;
/// Units to one device in a burst: a client that sends the keys of thousands of rooms at once stays below.
const DEVICE_BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(4_999);
/// And how many come back in an hour; some 56 MiB a day.
const DEVICE_PER_HOUR: NonZeroU32 = NonZeroU32::MIN.saturating_add(599);
/// Messages to all devices together, in a burst: several requests of the largest size.
const ALL_BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(49_999);
/// And how many come back in a second.
const ALL_PER_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(1_999);

/// See the module.
pub struct MessageBudget(Option<Budgets>);

impl MessageBudget {
    /// `enabled = false` sets no bound.
    #[must_use]
    pub fn new(enabled: bool) -> Self {
        Self(enabled.then(|| {
            let all = Quota::per_second(ALL_PER_SECOND).allow_burst(ALL_BURST);
            Budgets::new(all, Quota::per_hour(DEVICE_PER_HOUR).allow_burst(DEVICE_BURST))
        }))
    }

    /// Takes these messages out of the budgets of their sender. All devices of a user at once count as one more device.
    ///
    /// # Errors
    /// [`TooOften`] when one is spent.
    pub(super) fn spend(&self, sender: &UserId, messages: &[OutgoingMessage]) -> Result<(), TooOften> {
        let Some(budgets) = &self.0 else { return Ok(()) };
        budgets.check_all(sender, messages.len())?;
        for message in messages {
            let (user_id, device_id) = match &message.recipient {
                Recipient::AllDevices(user_id) => (user_id, None),
                Recipient::Device(user_id, device_id) => (user_id, Some(device_id)),
            };
            let units = message.event.get().len().div_ceil(UNIT);
            budgets.check_each(sender, (user_id, device_id), units)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use olmstead_domain::json::RawJson;
    use ruma::user_id;

    use super::*;

    fn message(device: &str, bytes: usize) -> OutgoingMessage {
        let recipient = Recipient::Device(user_id!("@bob:example.org").to_owned(), device.into());
        OutgoingMessage { recipient, event: RawJson::from_value(&"x".repeat(bytes)).unwrap() }
    }

    #[test]
    fn a_sender_has_so_much_for_each_device() {
        let budget = MessageBudget::new(true);
        let (alice, carol) = (user_id!("@alice:example.org"), user_id!("@carol:example.org"));
        let units = DEVICE_BURST.get() as usize;
        // Large ones count for more.
        for _ in 0..units / 10 {
            assert_eq!(budget.spend(alice, &[message("A", 9 * UNIT + 1)]), Ok(()));
        }
        let TooOften(wait) = budget.spend(alice, &[message("A", 1)]).unwrap_err();
        assert!(wait.as_secs() <= 10, "who is stopped can go on soon: {wait:?}");
        assert_eq!(budget.spend(alice, &[message("B", 1)]), Ok(()));
        assert_eq!(budget.spend(carol, &[message("A", 1)]), Ok(()));
    }

    #[test]
    fn a_sender_has_so_many_for_all_devices() {
        let budget = MessageBudget::new(true);
        let alice = user_id!("@alice:example.org");
        let many: Vec<_> = (0..10_000).map(|n| message(&n.to_string(), 1)).collect();
        for _ in 0..5 {
            assert_eq!(budget.spend(alice, &many), Ok(()));
        }
        assert!(budget.spend(alice, &many).is_err());
        assert_eq!(budget.spend(user_id!("@carol:example.org"), &many), Ok(()));
    }
}
