//! Those who wait for news of a user or of one device.
//!
//! A waiter registers first, then reads, then waits, so nothing that commits after its read goes unnoticed. Waking in vain
//! is harmless.

use std::{
    borrow::Borrow,
    collections::BTreeMap,
    future::poll_fn,
    task::{Context, Poll},
};

use crate::sync::{Arc, AtomicBool, AtomicWaker, Mutex, Ordering, register};

/// One waiting request.
#[derive(Debug)]
struct Waiter {
    waker: AtomicWaker,
    woken: AtomicBool,
}

impl Waiter {
    fn new() -> Self {
        Self { waker: AtomicWaker::new(), woken: AtomicBool::new(false) }
    }

    fn wake(&self) {
        // A swap, so that it has its place among the waiter's own swaps.
        self.woken.swap(true, Ordering::AcqRel);
        self.waker.wake();
    }

    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        if self.woken.swap(false, Ordering::AcqRel) {
            return Poll::Ready(());
        }
        register(&self.waker, context.waker());
        // Once more: a wake-up between the look and the registration found nobody to wake.
        if self.woken.swap(false, Ordering::AcqRel) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Waiters by user, each with its device. Ordered, so that who is woken first is no matter of chance: a simulation that is run
/// again is the same.
type Waiting<U, D> = BTreeMap<U, Vec<(D, Arc<Waiter>)>>;

#[derive(Debug)]
struct Shared<U, D> {
    waiting: Mutex<Waiting<U, D>>,
    closing: AtomicBool,
}

/// All who wait in one server.
#[derive(Debug)]
pub struct Waiters<U, D>(Arc<Shared<U, D>>);

impl<U, D> Clone for Waiters<U, D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<U, D> Default for Waiters<U, D> {
    fn default() -> Self {
        Self(Arc::new(Shared { waiting: Mutex::new(BTreeMap::new()), closing: AtomicBool::new(false) }))
    }
}

impl<U: Ord + Clone, D> Waiters<U, D> {
    /// Registers a waiter. Call before reading.
    #[must_use]
    pub fn register(&self, user: U, device: D) -> Registration<U, D> {
        let waiter = Arc::new(Waiter::new());
        self.0.waiting.lock().entry(user.clone()).or_default().push((device, Arc::clone(&waiter)));
        Registration { waiters: self.clone(), user, waiter }
    }

    /// Wakes every waiter of a user.
    pub fn wake_user<Q: Ord + ?Sized>(&self, user: &Q)
    where
        U: Borrow<Q>,
    {
        for (_, waiter) in self.0.waiting.lock().get(user).into_iter().flatten() {
            waiter.wake();
        }
    }

    /// Wakes the waiters of one device.
    pub fn wake_device<Q: Ord + ?Sized, P: PartialEq + ?Sized>(&self, user: &Q, device: &P)
    where
        U: Borrow<Q>,
        D: Borrow<P>,
    {
        let waiting = self.0.waiting.lock();
        for (_, waiter) in waiting.get(user).into_iter().flatten().filter(|(id, _)| id.borrow() == device) {
            waiter.wake();
        }
    }

    /// Wakes every waiter of these users, in one pass.
    pub fn wake_users<'a>(&self, users: impl IntoIterator<Item = &'a U>)
    where
        U: 'a,
    {
        let waiting = self.0.waiting.lock();
        if waiting.is_empty() {
            return;
        }
        for (_, waiter) in users.into_iter().filter_map(|user| waiting.get(user)).flatten() {
            waiter.wake();
        }
    }

    /// Wakes everyone.
    pub fn wake_all(&self) {
        for (_, waiter) in self.0.waiting.lock().values().flatten() {
            waiter.wake();
        }
    }

    /// Wakes everyone for good: the server stops, long-polls answer with what they have.
    pub fn close(&self) {
        self.0.closing.store(true, Ordering::Release);
        self.wake_all();
    }

    /// Whether the server stops.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.0.closing.load(Ordering::Acquire)
    }

    /// Whether this user waits here; to spare the work of finding out whom a change touches.
    #[must_use]
    pub fn waits<Q: Ord + ?Sized>(&self, user: &Q) -> bool
    where
        U: Borrow<Q>,
    {
        self.0.waiting.lock().contains_key(user)
    }

    /// Users with waiters here.
    #[must_use]
    pub fn waiting_users(&self) -> Vec<U> {
        self.0.waiting.lock().keys().cloned().collect()
    }

    /// Whether nobody waits here.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.0.waiting.lock().is_empty()
    }
}

/// A waiter's registration; ends when dropped.
#[derive(Debug)]
pub struct Registration<U: Ord, D> {
    waiters: Waiters<U, D>,
    user: U,
    waiter: Arc<Waiter>,
}

impl<U: Ord, D> Registration<U, D> {
    /// Waits until woken since registering or the last call, or until the server stops. A wake-up before the call counts. One
    /// task waits at a time.
    pub async fn woken(&self) {
        poll_fn(|context| {
            let woken = self.waiter.poll(context);
            // After the waiter is registered, so that a stop that is not seen here wakes it.
            if self.waiters.0.closing.load(Ordering::Acquire) { Poll::Ready(()) } else { woken }
        })
        .await;
    }
}

impl<U: Ord, D> Drop for Registration<U, D> {
    fn drop(&mut self) {
        let mut waiting = self.waiters.0.waiting.lock();
        if let Some(list) = waiting.get_mut(&self.user) {
            list.retain(|(_, waiter)| !Arc::ptr_eq(waiter, &self.waiter));
            if list.is_empty() {
                waiting.remove(&self.user);
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    fn is_woken(registration: &Registration<&'static str, u8>) -> bool {
        pin!(registration.woken()).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn those_are_woken_whom_it_touches() {
        let waiters = Waiters::default();
        let (phone, tablet, other) = (waiters.register("a", 1), waiters.register("a", 2), waiters.register("b", 1));
        waiters.wake_device("a", &1);
        assert_eq!([is_woken(&phone), is_woken(&tablet), is_woken(&other)], [true, false, false]);
        assert!(!is_woken(&phone), "a wake-up counts once");
        waiters.wake_user("a");
        assert_eq!([is_woken(&phone), is_woken(&tablet), is_woken(&other)], [true, true, false]);
        waiters.wake_users(&["b", "c"]);
        assert_eq!([is_woken(&phone), is_woken(&other)], [false, true]);
        drop(other);
        assert!(waiters.waits("a") && !waiters.waits("b"));
    }

    #[test]
    fn a_stop_wakes_for_good() {
        let waiters = Waiters::default();
        let phone = waiters.register("a", 1);
        waiters.close();
        assert!(is_woken(&phone) && is_woken(&phone));
        assert!(is_woken(&waiters.register("b", 1)));
    }
}
