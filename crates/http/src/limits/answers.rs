//! What is being sent to a user counts as theirs until it is sent.
//!
//! A large answer is in memory until the client has taken it. Somebody who asks for their whole backup again and again and
//! takes none of it would have the server keep a copy for each request, if a request counted only until it is answered.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::{Body, HttpBody},
    response::Response,
};
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::open::Open;

/// Answers that are not larger, bytes, are not worth it: the number of connections bounds how many there are.
const SMALL: u64 = 16 << 10;

/// An answer that keeps its request open until all of it is sent; `None` if too much is being sent to the user already.
pub(super) fn hold(response: Response, mut open: Open) -> Option<Response> {
    let size = response.body().size_hint();
    if size.upper().is_some_and(|most| most <= SMALL) {
        return Some(response);
    }
    if !open.sends(size.lower()) {
        return None;
    }
    let open = Arc::new(open);
    Some(response.map(|body| Body::new(Held { body, open })))
}

struct Held {
    body: Body,
    open: Arc<Open>,
}

/// A part of an answer. The connection takes parts from a body long before they are sent, and drops each when it is.
struct Part {
    bytes: Bytes,
    _open: Arc<Open>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        let keep = |bytes| Bytes::from_owner(Part { bytes, _open: Arc::clone(&self.open) });
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(keep))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ruma::user_id;

    use super::{super::open::OpenRequests, *};

    #[tokio::test]
    async fn an_answer_counts_until_it_is_sent() {
        let (requests, alice) = (OpenRequests::default(), user_id!("@alice:example.org"));
        let answer = |bytes: usize| Response::new(Body::from(vec![1; bytes]));
        let large = hold(answer(100 << 20), requests.begin(alice, false).unwrap()).unwrap();
        assert_eq!(large.body().size_hint().exact(), Some(100 << 20), "its length is still told");
        assert!(hold(answer(100 << 20), requests.begin(alice, false).unwrap()).is_none());
        // A connection takes all of the body at once.
        let taken = axum::body::to_bytes(large.into_body(), usize::MAX).await.unwrap();
        assert!(hold(answer(100 << 20), requests.begin(alice, false).unwrap()).is_none());
        assert!(hold(answer(100), requests.begin(alice, false).unwrap()).is_some(), "small ones go on");
        assert!(hold(answer(100 << 20), requests.begin(user_id!("@bob:example.org"), false).unwrap()).is_some());
        drop(taken);
        assert!(hold(answer(100 << 20), requests.begin(alice, false).unwrap()).is_some());
    }
}
