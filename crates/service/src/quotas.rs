//! How often something may be done, for each of many who do it. Each node counts for itself, in memory.

use std::{
    hash::{BuildHasher as _, Hash, RandomState},
    num::NonZeroU32,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};

use ruma::{OwnedUserId, UserId};

use crate::ServiceError;

/// Keys that are remembered before those that used nothing lately are dropped.
const REMEMBERED: usize = 50_000;

/// The same quota for each key.
pub struct Quotas<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    burst: NonZeroU32,
    clock: DefaultClock,
    /// Idle keys are dropped when there are more than this.
    sweep_above: AtomicUsize,
}

/// What one user may do to the devices of others: in all, and to each.
pub(crate) struct Budgets {
    all: Quotas<OwnedUserId>,
    /// By the hash of the user and whom it is done to: ids are long, and a user may name many.
    each: Quotas<u64>,
    hasher: RandomState,
}

impl Budgets {
    /// Nobody has used anything yet.
    pub(crate) fn new(all: Quota, each: Quota) -> Self {
        Self { all: Quotas::new(all), each: Quotas::new(each), hasher: RandomState::new() }
    }

    /// [`Quotas::check_many`] of all that the user does.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn check_all(&self, user_id: &UserId, many: usize) -> Result<(), TooOften> {
        self.all.check_many(&user_id.to_owned(), many)
    }

    /// [`Quotas::check_many`] of what the user does to one.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn check_each(&self, user_id: &UserId, whom: impl Hash, many: usize) -> Result<(), TooOften> {
        self.each.check_many(&self.hasher.hash_one((user_id, whom)), many)
    }
}

/// Too often; it may be done again after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooOften(pub Duration);

impl From<TooOften> for ServiceError {
    fn from(TooOften(wait): TooOften) -> Self {
        Self::LimitExceeded { retry_after_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1) }
    }
}

impl<K: Hash + Eq + Clone> Quotas<K> {
    /// Nobody has used anything yet.
    #[must_use]
    pub fn new(quota: Quota) -> Self {
        Self {
            burst: quota.burst_size(),
            limiter: RateLimiter::keyed(quota),
            clock: DefaultClock::default(),
            sweep_above: AtomicUsize::new(REMEMBERED),
        }
    }

    /// Uses one of a key's quota.
    ///
    /// # Errors
    /// [`TooOften`] if there is none left.
    pub fn check(&self, key: &K) -> Result<(), TooOften> {
        self.check_many(key, 1)
    }

    /// Uses so many of a key's quota at once; what is more than the quota has in a burst uses all of it.
    ///
    /// # Errors
    /// [`TooOften`] if there are not so many left; none is used then.
    pub fn check_many(&self, key: &K, many: usize) -> Result<(), TooOften> {
        let many = u32::try_from(many).unwrap_or(u32::MAX).min(self.burst.get());
        let Some(many) = NonZeroU32::new(many) else { return Ok(()) };
        if self.limiter.len() > self.sweep_above.load(Ordering::Relaxed) {
            self.limiter.retain_recent();
            // Not again before there are many more: a sweep looks at all of them.
            self.sweep_above.store(self.limiter.len().saturating_add(REMEMBERED), Ordering::Relaxed);
        }
        match self.limiter.check_key_n(key, many) {
            Ok(checked) => checked.map_err(|not_until| TooOften(not_until.wait_time_from(self.clock.now()))),
            // It is not over the burst.
            Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_and_is_told_when_to_come_back() {
        let quotas = Quotas::new(Quota::per_hour(NonZeroU32::MIN).allow_burst(NonZeroU32::MIN.saturating_add(1)));
        assert!([quotas.check(&1), quotas.check(&1), quotas.check(&2)].iter().all(Result::is_ok));
        let Err(TooOften(wait)) = quotas.check(&1) else { return assert_eq!(1, 2, "two in a burst") };
        assert!(wait > Duration::from_secs(3_000) && wait <= Duration::from_secs(3_600), "{wait:?}");
        assert_eq!(quotas.check(&2), Ok(()));
    }

    #[test]
    fn many_are_used_whole_or_not_at_all() {
        let quotas = Quotas::new(Quota::per_hour(NonZeroU32::MIN).allow_burst(NonZeroU32::MIN.saturating_add(9)));
        assert_eq!(quotas.check_many(&1, 8), Ok(()));
        assert!(quotas.check_many(&1, 3).is_err());
        assert_eq!(quotas.check_many(&1, 2), Ok(()));
        assert_eq!(quotas.check_many(&1, 0), Ok(()));
        // More than there can be is all there is.
        assert_eq!(quotas.check_many(&2, 1_000), Ok(()));
        assert!(quotas.check(&2).is_err());
    }
}
