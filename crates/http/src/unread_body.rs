//! What becomes of a body that no handler reads.
//!
//! A request may be refused by its head alone. Were its body then simply dropped, the connection would be closed under
//! a client that is still sending it: the client may lose the answer it was given, and any request it sends on the same
//! connection. So the rest is read and thrown away, within bounds.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream, HttpBody as _},
    extract::{Request, State},
    http::{Version, header},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::runtime::Handle;

use crate::{App, extract::BODY_LIMIT, limits};

/// How much more than what the route takes is read of what nobody wants, bytes. A client that sends somewhat too much gets
/// to hear so; one that sends far too much is not worth the traffic.
const MORE: usize = 3 * BODY_LIMIT;
/// How long a client may take to send it, and so many bytes more for each second beyond that.
const DEADLINE: Duration = Duration::from_secs(10);
const PER_SECOND: usize = 1 << 20;

/// What is read at most. It follows what the route takes: an upload of one byte too many, or one with a token that has just
/// ended, is as honest as a small one. Were less of it read than the client sends, the connection would be closed under it,
/// and whether it reads the answer before it notices would be chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    most: usize,
    deadline: Duration,
}

impl Bounds {
    /// For a route that takes bodies of so many bytes.
    fn of(limit: usize) -> Self {
        let most = limit.saturating_add(MORE);
        Self { most, deadline: DEADLINE + Duration::from_secs((most / PER_SECOND) as u64) }
    }
}

/// Makes the body read itself to its end when it is dropped before. Left as they are: bodies of HTTP/2, where one
/// refused body does not touch the other requests of the connection, and of clients that wait to be told to send.
pub(crate) async fn keep(State(app): State<App>, request: Request) -> Request {
    let limit = limits::largest_body(&app, &request);
    keep_within(Bounds::of(limit), request)
}

fn keep_within(bounds: Bounds, request: Request) -> Request {
    let waits = request.headers().contains_key(header::EXPECT);
    if request.body().is_end_stream() || request.version() > Version::HTTP_11 || waits {
        return request;
    }
    request.map(|body| Body::from_stream(Kept { body: Some(body.into_data_stream()), bounds }))
}

struct Kept {
    body: Option<BodyDataStream>,
    bounds: Bounds,
}

impl Stream for Kept {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let next = std::task::ready!(body.poll_next_unpin(cx));
        if !matches!(next, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(next)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(body) = self.body.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(tokio::time::timeout(self.bounds.deadline, discard(body, self.bounds.most)));
        }
    }
}

async fn discard(mut body: BodyDataStream, mut left: usize) {
    while let Some(Ok(part)) = body.next().await {
        match left.checked_sub(part.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{convert::Infallible, sync::Arc};

    use futures_util::stream;
    use tokio::sync::Notify;

    use super::*;

    const SMALL: Bounds = Bounds { most: 4 * BODY_LIMIT, deadline: DEADLINE };

    /// A body of so many parts of a megabyte; says when it is dropped, and whether at its end.
    fn parts(count: usize) -> (Body, Arc<Notify>, Arc<Notify>) {
        struct Says(Arc<Notify>);
        impl Drop for Says {
            fn drop(&mut self) {
                self.0.notify_one();
            }
        }
        let (ended, dropped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (end, says) = (Arc::clone(&ended), Says(Arc::clone(&dropped)));
        let stream = stream::iter(0..=count).filter_map(move |index| {
            let _ = &says;
            if index == count {
                end.notify_one();
            }
            let part = (index < count).then(|| Ok::<_, Infallible>(Bytes::from(vec![0; 1024 * 1024])));
            std::future::ready(part)
        });
        (Body::from_stream(stream), ended, dropped)
    }

    #[tokio::test]
    async fn an_unread_body_is_read_to_its_end() {
        let (body, ended, _) = parts(2);
        drop(keep_within(SMALL, Request::new(body)));
        tokio::time::timeout(DEADLINE, ended.notified()).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_read_follows_what_the_route_takes() {
        let largest = Bounds::of(50 << 20);
        assert!(largest.most >= (50 << 20) + MORE && largest.deadline > SMALL.deadline);
        for (bounds, is_read) in [(SMALL, false), (largest, true)] {
            let (body, ended, dropped) = parts(51);
            drop(keep_within(bounds, Request::new(body)));
            tokio::time::timeout(DEADLINE, dropped.notified()).await.unwrap();
            assert_eq!(tokio::time::timeout(Duration::ZERO, ended.notified()).await.is_ok(), is_read);
        }
    }

    #[tokio::test]
    async fn an_endless_body_is_given_up() {
        let (body, ended, dropped) = parts(1_000_000);
        drop(keep_within(SMALL, Request::new(body)));
        tokio::time::timeout(DEADLINE, dropped.notified()).await.unwrap();
        assert!(tokio::time::timeout(Duration::ZERO, ended.notified()).await.is_err());
    }

    #[tokio::test]
    async fn a_body_that_is_read_is_the_same() {
        let (body, _, _) = parts(2);
        let read = axum::body::to_bytes(keep_within(SMALL, Request::new(body)).into_body(), usize::MAX).await.unwrap();
        assert_eq!(read.len(), 2 * 1024 * 1024);
    }
}
