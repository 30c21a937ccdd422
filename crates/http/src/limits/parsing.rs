//! Reading large bodies, so that others do not wait for it.
//!
//! To parse some megabytes takes the time of hundreds of small requests. On the threads that answer everybody, a few such
//! bodies at once are felt by all; on others, and few at a time, only by who sends more of them.

use std::{sync::Arc, thread};

use olmstead_service::ServiceError;
use tokio::sync::Semaphore;

/// Work on bodies that are not larger, bytes, is over before a thread for it had begun.
const SMALL: usize = 64 << 10;

/// Turns for work on large bodies: half of the machine's cores, at least one.
#[derive(Debug)]
pub(super) struct Parsing(Arc<Semaphore>);

impl Default for Parsing {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new((cores / 2).max(1))))
    }
}

impl Parsing {
    pub(super) async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        if bytes <= SMALL {
            return Ok(work());
        }
        let broken = |error: &dyn std::error::Error| ServiceError::Internal(format!("a body was not read: {error}"));
        let turn = Arc::clone(&self.0).acquire_owned().await.map_err(|error| broken(&error))?;
        let in_turn = move || {
            // The work goes on when the client is gone, and so does its turn.
            let _turn = turn;
            work()
        };
        tokio::task::spawn_blocking(in_turn).await.map_err(|error| broken(&error))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{
        sync::mpsc,
        thread::{ThreadId, current},
        time::Duration,
    };

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn thread_of(parsing: &Parsing, bytes: usize) -> ThreadId {
        parsing.run(bytes, || current().id()).await.unwrap()
    }

    #[tokio::test]
    async fn large_bodies_are_not_read_where_all_are_answered() {
        let parsing = Parsing::default();
        assert_eq!(thread_of(&parsing, SMALL).await, current().id());
        assert_ne!(thread_of(&parsing, SMALL + 1).await, current().id());
    }

    #[tokio::test]
    async fn large_bodies_have_turns_that_outlive_who_waits() {
        let parsing = Parsing(Arc::new(Semaphore::new(1)));
        let (begun, begins) = mpsc::channel();
        let (end, ends) = mpsc::channel::<()>();
        let long = parsing.run(SMALL + 1, move || {
            begun.send(()).unwrap();
            ends.recv_timeout(PATIENCE).unwrap();
        });
        // Given up, as when a client goes away.
        assert!(tokio::time::timeout(Duration::from_millis(50), long).await.is_err());
        begins.recv_timeout(PATIENCE).unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(50), thread_of(&parsing, SMALL + 1)).await.is_err());
        assert_eq!(thread_of(&parsing, SMALL).await, current().id(), "small ones need no turn");
        end.send(()).unwrap();
        thread_of(&parsing, SMALL + 1).await;
    }
}
