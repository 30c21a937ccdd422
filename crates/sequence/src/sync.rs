//! What threads share: ordinarily, and when loom watches.

#[cfg(not(loom))]
mod imp {
    pub(crate) use atomic_waker::AtomicWaker;
    pub(crate) use parking_lot::Mutex;
    pub(crate) use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    pub(crate) fn register(waker: &AtomicWaker, by: &std::task::Waker) {
        waker.register(by);
    }
}

#[cfg(loom)]
mod imp {
    pub(crate) use loom::{
        future::AtomicWaker,
        sync::{
            Arc, MutexGuard,
            atomic::{AtomicBool, Ordering},
        },
    };

    pub(crate) fn register(waker: &AtomicWaker, by: &std::task::Waker) {
        waker.register_by_ref(by);
    }

    /// Like that of `parking_lot`: a model in which a thread panics has failed already.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        #[allow(clippy::unwrap_used)]
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}

pub(crate) use imp::*;
