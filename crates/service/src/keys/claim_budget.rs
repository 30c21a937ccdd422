//! How many one-time keys of a device one user may take.
//!
//! Who claims a device's keys again and again empties its pool: all others then get the fallback key, and the device has
//! to upload more. No client needs more than a few keys of one device, so beyond a budget a claimer gets the fallback key
//! and the pool is kept. A device without a fallback key is served as ever: no key at all would be worse.
//!
//! Each node counts for itself; behind n nodes a claimer has up to n budgets.

use std::num::NonZeroU32;

use governor::Quota;
use olmstead_storage::keys::ClaimWant;
use ruma::{OwnedDeviceId, OwnedUserId, UserId};

use crate::quotas::Quotas;

/// Keys of one device that a user may claim in a burst. Clients keep 50 or more there.
const BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(29);
/// And how many come back in an hour.
const PER_HOUR: NonZeroU32 = NonZeroU32::MIN.saturating_add(11);

/// See the module.
pub struct ClaimBudget(Option<Quotas<(OwnedUserId, OwnedUserId, OwnedDeviceId)>>);

impl ClaimBudget {
    /// `enabled = false` sets no bound.
    #[must_use]
    pub fn new(enabled: bool) -> Self {
        Self(enabled.then(|| Quotas::new(Quota::per_hour(PER_HOUR).allow_burst(BURST))))
    }

    /// Marks the wishes for which the budget of the claimer is spent.
    pub(super) fn apply(&self, claimer: &UserId, wants: &mut [ClaimWant]) {
        let Some(budgets) = &self.0 else { return };
        for want in wants.iter_mut().filter(|want| want.user_id != claimer) {
            let key = (claimer.to_owned(), want.user_id.clone(), want.device_id.clone());
            want.spares = budgets.check(&key).is_err();
        }
    }
}
