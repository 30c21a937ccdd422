//! Time that tests decide.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use olmstead_service::{Environment, SystemEnvironment};

/// A clock that tests put forward, or back.
#[derive(Default)]
pub struct Clock(AtomicI64);

impl Clock {
    pub fn forward(&self, time: Duration) {
        self.0.fetch_add(i64::try_from(time.as_millis()).expect("a time"), Ordering::SeqCst);
    }

    pub fn back(&self, time: Duration) {
        self.0.fetch_sub(i64::try_from(time.as_millis()).expect("a time"), Ordering::SeqCst);
    }
}

impl Environment for Clock {
    fn now(&self) -> u64 {
        SystemEnvironment.now().saturating_add_signed(self.0.load(Ordering::SeqCst))
    }

    fn random(&self, buffer: &mut [u8]) {
        SystemEnvironment.random(buffer);
    }
}
