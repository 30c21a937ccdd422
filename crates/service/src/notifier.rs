//! Wakes those who wait for news.
//!
//! A waiter registers under its keys first, then reads, then waits, so nothing that commits after its read goes
//! unnoticed. One tailer a process follows the horizon and wakes whom the changes touch. Waking in vain is harmless.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use tokio::sync::Notify;

/// One waiting request.
#[derive(Debug, Default)]
struct Waiter {
    notify: Notify,
    woken: AtomicBool,
}

/// Waiters by user, each with its device.
type Waiting = HashMap<OwnedUserId, Vec<(OwnedDeviceId, Arc<Waiter>)>>;

/// All who wait in this process.
#[derive(Debug, Default, Clone)]
pub struct Notifier {
    inner: Arc<Mutex<Waiting>>,
    closing: Arc<AtomicBool>,
}

impl Notifier {
    /// Registers a waiter. Call before reading.
    #[must_use]
    pub fn register(&self, user_id: &UserId, device_id: &DeviceId) -> Registration {
        let waiter = Arc::new(Waiter::default());
        self.inner.lock().entry(user_id.to_owned()).or_default().push((device_id.to_owned(), Arc::clone(&waiter)));
        Registration { notifier: self.clone(), user_id: user_id.to_owned(), waiter }
    }

    /// Wakes every waiter of a user.
    pub fn wake_user(&self, user_id: &UserId) {
        if let Some(waiters) = self.inner.lock().get(user_id) {
            for (_, waiter) in waiters {
                waiter.wake();
            }
        }
    }

    /// Wakes the waiters of one device.
    pub fn wake_device(&self, user_id: &UserId, device_id: &DeviceId) {
        if let Some(waiters) = self.inner.lock().get(user_id) {
            for (_, waiter) in waiters.iter().filter(|(id, _)| id == device_id) {
                waiter.wake();
            }
        }
    }

    /// Wakes every waiter of these users, in one pass.
    pub fn wake_users<'a>(&self, users: impl IntoIterator<Item = &'a OwnedUserId>) {
        let waiting = self.inner.lock();
        if waiting.is_empty() {
            return;
        }
        for (_, waiter) in users.into_iter().filter_map(|user_id| waiting.get(user_id)).flatten() {
            waiter.wake();
        }
    }

    /// Wakes everyone.
    pub fn wake_all(&self) {
        for (_, waiter) in self.inner.lock().values().flatten() {
            waiter.wake();
        }
    }

    /// Wakes everyone for good: the server stops, long-polls answer with what they have.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.wake_all();
    }

    /// Whether the server stops.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Whether anybody of these users waits here; to spare the work of finding out whom a change touches.
    #[must_use]
    pub fn waits(&self, user_id: &UserId) -> bool {
        self.inner.lock().contains_key(user_id)
    }

    /// Users with waiters here.
    #[must_use]
    pub fn waiting_users(&self) -> Vec<OwnedUserId> {
        self.inner.lock().keys().cloned().collect()
    }

    /// Whether nobody waits here.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.inner.lock().is_empty()
    }
}

impl Waiter {
    fn wake(&self) {
        self.woken.store(true, Ordering::Release);
        self.notify.notify_one();
    }
}

/// A waiter's registration; ends when dropped.
#[derive(Debug)]
pub struct Registration {
    notifier: Notifier,
    user_id: OwnedUserId,
    waiter: Arc<Waiter>,
}

impl Registration {
    /// Waits until woken since registering or the last call. A wake-up before the call counts.
    pub async fn woken(&self) {
        while !self.waiter.woken.swap(false, Ordering::AcqRel) {
            if self.notifier.is_closing() {
                return;
            }
            self.waiter.notify.notified().await;
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut waiters = self.notifier.inner.lock();
        if let Some(list) = waiters.get_mut(&self.user_id) {
            list.retain(|(_, waiter)| !Arc::ptr_eq(waiter, &self.waiter));
            if list.is_empty() {
                waiters.remove(&self.user_id);
            }
        }
    }
}
