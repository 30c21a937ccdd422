//! How many one-time keys of a device one user may take.
//!
//! Who claims a device's keys again and again empties its pool: all others then get the fallback key, and the device has
//! to upload more. No client needs more than a few keys of one device, so beyond a budget a claimer gets the fallback key
//! and the pool is kept. A device without a fallback key is served as ever: no key at all would be worse.
//!
//! All devices together are counted, too: a claimer may name any number in one request, also such as are not there, and each
//! is remembered for minutes.
//!
//! Each node counts for itself; behind n nodes a claimer has up to n budgets.

use std::num::NonZeroU32;

use governor::Quota;
use olmstead_storage::keys::ClaimWant;
use ruma::UserId;

use crate::quotas::{Budgets, TooOften};

/// Keys of one device that a user may claim in a burst. Clients keep 50 or more there.
const BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(29);
/// And how many come back in an hour.
const PER_HOUR: NonZeroU32 = NonZeroU32::MIN.saturating_add(11);
/// Devices of others that a user may name in a burst, each time counted: a large room has some thousands.
const ALL_BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(49_999);
/// And how many come back in a second.
const ALL_PER_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(499);

/// See the module.
pub struct ClaimBudget(Option<Budgets>);

impl ClaimBudget {
    /// `enabled = false` sets no bound.
    #[must_use]
    pub fn new(enabled: bool) -> Self {
        Self(enabled.then(|| {
            let all = Quota::per_second(ALL_PER_SECOND).allow_burst(ALL_BURST);
            Budgets::new(all, Quota::per_hour(PER_HOUR).allow_burst(BURST))
        }))
    }

    /// Marks the wishes for which the budget of the claimer is spent.
    ///
    /// # Errors
    /// [`TooOften`] when the claimer named too many devices.
    pub(super) fn apply(&self, claimer: &UserId, wants: &mut [ClaimWant]) -> Result<(), TooOften> {
        let Some(budgets) = &self.0 else { return Ok(()) };
        budgets.check_all(claimer, wants.len())?;
        for want in wants.iter_mut().filter(|want| want.user_id != claimer) {
            want.spares = budgets.check_each(claimer, (&want.user_id, &want.device_id), 1).is_err();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    #[test]
    fn a_claimer_names_so_many_devices() {
        let budget = ClaimBudget::new(true);
        let (alice, bob) = (user_id!("@alice:example.org"), user_id!("@bob:example.org"));
        let mut wants: Vec<_> = (0..ALL_BURST.get())
            .map(|n| ClaimWant {
                user_id: user_id!("@carol:example.org").to_owned(),
                device_id: n.to_string().into(),
                algorithm: "signed_curve25519".to_owned(),
                spares: false,
            })
            .collect();
        assert_eq!(budget.apply(alice, &mut wants), Ok(()));
        assert!(!wants.iter().any(|want| want.spares));
        assert!(budget.apply(alice, &mut wants).is_err());
        assert_eq!(budget.apply(bob, &mut wants), Ok(()));
    }
}
