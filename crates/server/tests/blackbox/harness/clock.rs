//! Time that tests decide.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use olmstead_service::{Environment, SystemEnvironment};

/// A clock that tests put forward.
#[derive(Default)]
pub struct Clock(AtomicU64);

impl Clock {
    pub fn forward(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_millis()).expect("a time"), Ordering::SeqCst);
    }
}

impl Environment for Clock {
    fn now(&self) -> u64 {
        SystemEnvironment.now() + self.0.load(Ordering::SeqCst)
    }

    fn random(&self, buffer: &mut [u8]) {
        SystemEnvironment.random(buffer);
    }
}
