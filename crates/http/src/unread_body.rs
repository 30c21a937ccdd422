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
    extract::Request,
    http::{Version, header},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::runtime::Handle;

use crate::extract::BODY_LIMIT;

/// How much is read of what nobody wants. A client that sends somewhat too much gets to hear so; one that sends far too
/// much is not worth the traffic.
const MOST: usize = 4 * BODY_LIMIT;
/// How long a client may take to send it.
const DEADLINE: Duration = Duration::from_secs(10);

/// Makes the body read itself to its end when it is dropped before. Left as they are: bodies of HTTP/2, where one
/// refused body does not touch the other requests of the connection, and of clients that wait to be told to send.
pub(crate) async fn keep(request: Request) -> Request {
    let waits = request.headers().contains_key(header::EXPECT);
    if request.body().is_end_stream() || request.version() > Version::HTTP_11 || waits {
        return request;
    }
    request.map(|body| Body::from_stream(Kept(Some(body.into_data_stream()))))
}

struct Kept(Option<BodyDataStream>);

impl Stream for Kept {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let next = std::task::ready!(body.poll_next_unpin(cx));
        if !matches!(next, Some(Ok(_))) {
            self.0 = None;
        }
        Poll::Ready(next)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(body) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(tokio::time::timeout(DEADLINE, discard(body)));
        }
    }
}

async fn discard(mut body: BodyDataStream) {
    let mut left = MOST;
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
        drop(keep(Request::new(body)).await);
        tokio::time::timeout(DEADLINE, ended.notified()).await.unwrap();
    }

    #[tokio::test]
    async fn an_endless_body_is_given_up() {
        let (body, ended, dropped) = parts(1_000_000);
        drop(keep(Request::new(body)).await);
        tokio::time::timeout(DEADLINE, dropped.notified()).await.unwrap();
        assert!(tokio::time::timeout(Duration::ZERO, ended.notified()).await.is_err());
    }

    #[tokio::test]
    async fn a_body_that_is_read_is_the_same() {
        let (body, _, _) = parts(2);
        let read = axum::body::to_bytes(keep(Request::new(body)).await.into_body(), usize::MAX).await.unwrap();
        assert_eq!(read.len(), 2 * 1024 * 1024);
    }
}
