//! How many requests of one user are being answered.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use ruma::{OwnedUserId, UserId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests of a user that are answered at once, or whose large answer is being sent; who asks for more is told to wait.
const REQUESTS: u32 = 256;
/// Those of them that may wait for something to happen.
const LONG_POLLS: u32 = 64;

/// Bytes of large answers that are being sent to a user; one may be larger.
const ANSWERS: u64 = 128 << 20;
/// Requests of a user for everything there is that are worked on at once; others of the user wait for them.
const WHOLES: usize = 2;

#[derive(Debug, Clone)]
struct Count {
    requests: u32,
    long_polls: u32,
    answers: u64,
    wholes: Arc<Semaphore>,
}

impl Default for Count {
    fn default() -> Self {
        Self { requests: 0, long_polls: 0, answers: 0, wholes: Arc::new(Semaphore::new(WHOLES)) }
    }
}

/// Counts by user; who asks nothing is not in it.
#[derive(Debug, Default)]
pub(super) struct OpenRequests(Arc<Mutex<HashMap<OwnedUserId, Count>>>);

/// One request that is being answered.
pub(super) struct Open {
    counts: Arc<Mutex<HashMap<OwnedUserId, Count>>>,
    user_id: OwnedUserId,
    is_long_poll: bool,
    answer: u64,
    wholes: Arc<Semaphore>,
}

impl OpenRequests {
    /// Takes a place for a request until what is returned is dropped; `None` if there is none.
    pub(super) fn begin(&self, user_id: &UserId, is_long_poll: bool) -> Option<Open> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(user_id.to_owned()).or_default();
        if count.requests >= REQUESTS || (is_long_poll && count.long_polls >= LONG_POLLS) {
            return None;
        }
        count.requests += 1;
        count.long_polls += u32::from(is_long_poll);
        let wholes = Arc::clone(&count.wholes);
        Some(Open { counts: Arc::clone(&self.0), user_id: user_id.to_owned(), is_long_poll, answer: 0, wholes })
    }
}

impl Open {
    /// Waits until few enough requests for everything of this user are worked on; this one is until what is returned is
    /// dropped.
    pub(super) async fn whole(&self) -> Option<OwnedSemaphorePermit> {
        // It is never closed.
        Arc::clone(&self.wholes).acquire_owned().await.ok()
    }

    /// Counts the answer to this request as being sent; `false` if there is too much already.
    pub(super) fn sends(&mut self, bytes: u64) -> bool {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = counts.get_mut(&self.user_id) else { return true };
        let all = count.answers.saturating_add(bytes);
        if count.answers > 0 && all > ANSWERS {
            return false;
        }
        (count.answers, self.answer) = (all, bytes);
        true
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.user_id) {
            count.requests = count.requests.saturating_sub(1);
            count.long_polls = count.long_polls.saturating_sub(u32::from(self.is_long_poll));
            count.answers = count.answers.saturating_sub(self.answer);
            if count.requests == 0 {
                counts.remove(&self.user_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures_util::FutureExt as _;
    use ruma::user_id;

    use super::*;

    #[test]
    fn places_are_given_back() {
        let open = OpenRequests::default();
        let (alice, bob) = (user_id!("@alice:example.org"), user_id!("@bob:example.org"));
        // More than there are, and an end where there is no bound.
        let all = 2 * REQUESTS as usize;
        let polls: Vec<_> = std::iter::from_fn(|| open.begin(alice, true)).take(all).collect();
        assert_eq!(polls.len(), LONG_POLLS as usize);
        let others: Vec<_> = std::iter::from_fn(|| open.begin(alice, false)).take(all).collect();
        assert_eq!(others.len(), (REQUESTS - LONG_POLLS) as usize);
        assert!(open.begin(bob, true).is_some(), "others have places of their own");
        drop(polls);
        assert!(open.begin(alice, true).is_some());
        drop(others);
        assert!(open.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty());
    }
    #[test]
    fn requests_for_everything_of_one_user_wait_for_each_other() {
        let open = OpenRequests::default();
        let begin = |user| open.begin(user, false).unwrap();
        let requests: Vec<_> = (0..=WHOLES).map(|_| begin(user_id!("@alice:example.org"))).collect();
        let mut worked: Vec<_> =
            requests[..WHOLES].iter().map(|request| request.whole().now_or_never().flatten().unwrap()).collect();
        assert!(requests[WHOLES].whole().now_or_never().is_none());
        assert!(begin(user_id!("@bob:example.org")).whole().now_or_never().flatten().is_some());
        worked.pop();
        assert!(requests[WHOLES].whole().now_or_never().flatten().is_some());
    }
}
