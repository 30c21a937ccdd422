//! A connection whose first bytes must come in time.
//!
//! Whether a client speaks HTTP/1 or HTTP/2 is told by its first bytes, and hyper waits for them without end: its bound on
//! the time of a head begins when it knows. Who opens a connection and sends nothing would keep it for ever.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

/// What HTTP/2 begins with; with so many bytes it is known which it is.
const PREFACE: usize = 24;

/// See the module.
pub(crate) struct FirstBytes {
    stream: TcpStream,
    /// How many are still to come, and until when; `None` when they have.
    awaited: Option<(usize, Pin<Box<Sleep>>)>,
}

impl FirstBytes {
    /// The connection, of which so many bytes must come within this time as tell one protocol from the other.
    pub(crate) fn within(time: Duration, stream: TcpStream) -> Self {
        Self { stream, awaited: Some((PREFACE, Box::pin(sleep(time)))) }
    }
}

impl AsyncRead for FirstBytes {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        let Some((bytes, deadline)) = &mut this.awaited else { return read };
        *bytes = bytes.saturating_sub(buffer.filled().len() - before);
        if *bytes == 0 {
            this.awaited = None;
        } else if read.is_pending() && deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for FirstBytes {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
