//! How much of bodies is in memory at once, and how long a client may take to send one.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    body::{Body, BodyDataStream, HttpBody as _},
    extract::Request,
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of all bodies that are being received or worked on.
const TOTAL: usize = 256 << 20;
/// They are counted in units of this.
const UNIT: usize = 16 << 10;
/// How long a client may send nothing.
const SILENCE: Duration = Duration::from_secs(20);
/// For so long a client may be as slow as it likes.
const GRACE: Duration = Duration::from_secs(30);
/// After that it has to have sent this many bytes for each second.
const SLOWEST: u64 = 4 << 10;
/// How long a body waits for room.
const PATIENCE: Duration = Duration::from_secs(10);

/// What ends a body early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cut {
    #[error("the client sends too slowly")]
    Slow,
    #[error("the server receives too much at the moment")]
    Full,
    #[error("the connection broke")]
    Broken(#[source] axum::Error),
}

/// Room for bodies.
#[derive(Debug, Clone)]
pub(super) struct Bodies {
    room: Arc<Semaphore>,
    silence: Duration,
    grace: Duration,
    /// Bytes a second, after the grace.
    slowest: u64,
    patience: Duration,
}

/// The room that one request has taken, until it is dropped.
#[derive(Debug, Default, Clone)]
pub(super) struct Room(Arc<Mutex<Vec<OwnedSemaphorePermit>>>);

impl Default for Bodies {
    fn default() -> Self {
        Self {
            room: Arc::new(Semaphore::new(TOTAL / UNIT)),
            silence: SILENCE,
            grace: GRACE,
            slowest: SLOWEST,
            patience: PATIENCE,
        }
    }
}

struct Receiving {
    body: BodyDataStream,
    room: Room,
    bounds: Bodies,
    began: Instant,
    received: u64,
    /// Bytes that were received and are not yet a whole unit.
    rest: usize,
}

impl Receiving {
    async fn next(&mut self) -> Option<Result<Bytes, Cut>> {
        let part = match tokio::time::timeout(self.bounds.silence, self.body.next()).await {
            Err(_) => return Some(Err(Cut::Slow)),
            Ok(None) => return None,
            Ok(Some(Err(error))) => return Some(Err(Cut::Broken(error))),
            Ok(Some(Ok(part))) => part,
        };
        self.received = self.received.saturating_add(part.len() as u64);
        let late = self.began.elapsed().saturating_sub(self.bounds.grace);
        if self.received < late.as_secs().saturating_mul(self.bounds.slowest) {
            return Some(Err(Cut::Slow));
        }
        self.rest += part.len();
        let units = u32::try_from(self.rest / UNIT).unwrap_or(u32::MAX);
        if units > 0 {
            self.rest %= UNIT;
            let wanted = Arc::clone(&self.bounds.room).acquire_many_owned(units);
            match tokio::time::timeout(self.bounds.patience, wanted).await {
                Ok(Ok(permit)) => self.room.0.lock().unwrap_or_else(PoisonError::into_inner).push(permit),
                _ => return Some(Err(Cut::Full)),
            }
        }
        Some(Ok(part))
    }
}

impl Bodies {
    /// The request with its body under these bounds, and the room it takes, to be kept until it is answered.
    pub(super) fn bound(&self, request: Request) -> (Request, Room) {
        let room = Room::default();
        if request.body().is_end_stream() {
            return (request, room);
        }
        let (kept, bounds) = (room.clone(), self.clone());
        let request = request.map(|body| {
            let body = body.into_data_stream();
            let receiving = Receiving { body, room: kept, bounds, began: Instant::now(), received: 0, rest: 0 };
            Body::from_stream(stream::unfold(Some(receiving), |receiving| async {
                let mut receiving = receiving?;
                match receiving.next().await? {
                    Ok(part) => Some((Ok(part), Some(receiving))),
                    Err(cut) => Some((Err(cut), None)),
                }
            }))
        });
        (request, room)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::convert::Infallible;

    use super::*;

    fn request(parts: usize) -> Request {
        let parts = (0..parts).map(|_| Ok::<_, Infallible>(Bytes::from(vec![0; 64 << 10])));
        Request::new(Body::from_stream(stream::iter(parts)))
    }

    fn impatient() -> Bodies {
        Bodies { silence: Duration::from_millis(5), patience: Duration::from_millis(5), ..Bodies::default() }
    }

    #[tokio::test]
    async fn room_is_taken_until_the_answer() {
        let bodies = Bodies::default();
        let (request, room) = bodies.bound(request(16));
        let read = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
        assert_eq!(read.len(), 1 << 20);
        assert_eq!(bodies.room.available_permits(), (TOTAL - (1 << 20)) / UNIT);
        drop(room);
        assert_eq!(bodies.room.available_permits(), TOTAL / UNIT);
    }

    /// What the client of such a request is told.
    async fn told(request: Request) -> (u16, bool, bool) {
        let (parts, body) = request.into_parts();
        let read = crate::extract::read_body(body, &parts.headers, 1 << 20);
        let error = tokio::time::timeout(Duration::from_secs(20), read).await.unwrap().unwrap_err();
        let answer = axum::response::IntoResponse::into_response(error);
        let has = |name: &str| answer.headers().contains_key(name);
        (answer.status().as_u16(), has("connection"), has("retry-after"))
    }

    #[tokio::test]
    async fn without_room_a_body_is_cut_after_a_while() {
        let bodies = impatient();
        let all = u32::try_from(TOTAL / UNIT).unwrap();
        let _taken = Arc::clone(&bodies.room).acquire_many_owned(all).await.unwrap();
        let (request, _room) = bodies.bound(request(1));
        assert_eq!(told(request).await, (503, false, true));
    }

    #[tokio::test]
    async fn who_sends_nothing_is_cut() {
        let bodies = impatient();
        let silent = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let (request, _room) = bodies.bound(Request::new(silent));
        assert_eq!(told(request).await, (408, true, false));
    }

    #[tokio::test]
    async fn who_sends_hardly_anything_is_cut() {
        let bodies = Bodies { grace: Duration::ZERO, slowest: u64::MAX, ..Bodies::default() };
        // The second part comes when a second is over.
        let mut pause = tokio::time::interval(Duration::from_millis(1_100));
        pause.tick().await;
        let slow = stream::unfold(pause, |mut pause| async {
            pause.tick().await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b"1")), pause))
        });
        let (request, _room) = bodies.bound(Request::new(Body::from_stream(slow)));
        assert_eq!(told(request).await, (408, true, false));
    }
}
