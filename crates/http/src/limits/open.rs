//! How many requests of one user are being answered.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use ruma::{OwnedUserId, UserId};

/// Requests of a user that are answered at once; who asks for more is told to wait.
const REQUESTS: u32 = 256;
/// Those of them that may wait for something to happen.
const LONG_POLLS: u32 = 64;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    requests: u32,
    long_polls: u32,
}

/// Counts by user; who asks nothing is not in it.
#[derive(Debug, Default)]
pub(super) struct OpenRequests(Arc<Mutex<HashMap<OwnedUserId, Count>>>);

/// One request that is being answered.
pub(super) struct Open {
    counts: Arc<Mutex<HashMap<OwnedUserId, Count>>>,
    user_id: OwnedUserId,
    is_long_poll: bool,
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
        Some(Open { counts: Arc::clone(&self.0), user_id: user_id.to_owned(), is_long_poll })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.user_id) {
            count.requests = count.requests.saturating_sub(1);
            count.long_polls = count.long_polls.saturating_sub(u32::from(self.is_long_poll));
            if *count == Count::default() {
                counts.remove(&self.user_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    #[test]
    fn places_are_given_back() {
        let open = OpenRequests::default();
        let (alice, bob) = (user_id!("@alice:example.org"), user_id!("@bob:example.org"));
        let polls: Vec<_> = std::iter::from_fn(|| open.begin(alice, true)).collect();
        assert_eq!(polls.len(), LONG_POLLS as usize);
        let others: Vec<_> = std::iter::from_fn(|| open.begin(alice, false)).collect();
        assert_eq!(others.len(), (REQUESTS - LONG_POLLS) as usize);
        assert!(open.begin(bob, true).is_some(), "others have places of their own");
        drop(polls);
        assert!(open.begin(alice, true).is_some());
        drop(others);
        assert!(open.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty());
    }
}
