//! Knowing when a connection has handed everything to the network.
//!
//! gRPC-Web's trailers frame must reach a page in one piece. Its body part waits here until
//! nothing is left to write before it, so that it is not the tail of a write that the socket
//! takes only half of.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::view::lock;

/// Counts the flushes of one connection.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    flushes: u64,
    waiting: Option<Waker>,
}

/// A connection that reports its flushes.
pub struct Gated<S> {
    inner: S,
    gate: Gate,
}

impl Gate {
    /// How often everything has been handed over.
    pub fn flushes(&self) -> u64 {
        lock(&self.0).flushes
    }

    /// Ready once there were more flushes than `seen`.
    pub fn poll_flushed(&self, seen: u64, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.0);
        if state.flushes > seen {
            return Poll::Ready(());
        }
        state.waiting = Some(cx.waker().clone());
        Poll::Pending
    }

    fn flushed(&self) {
        let mut state = lock(&self.0);
        state.flushes += 1;
        if let Some(waker) = state.waiting.take() {
            waker.wake();
        }
    }
}

impl<S> Gated<S> {
    /// Wraps a connection.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            gate: Gate::default(),
        }
    }

    /// Its gate.
    pub fn gate(&self) -> Gate {
        self.gate.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gated<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gated<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    /// The HTTP library calls this when its own buffer is empty.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = std::task::ready!(Pin::new(&mut self.inner).poll_flush(cx));
        self.gate.flushed();
        Poll::Ready(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use hyper::{server::conn::http1, service::service_fn};
    use hyper_util::rt::TokioIo;

    use super::*;
    use crate::http::Framing;

    /// Gives a request, and takes a response in small pieces with pauses.
    #[derive(Clone)]
    struct Slow {
        request: &'static [u8],
        paused: bool,
        writes: Arc<Mutex<Vec<Vec<u8>>>>,
    }

    impl AsyncRead for Slow {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            // After the request: the end, which lets the connection finish.
            buffer.put_slice(self.request);
            self.request = &[];
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Slow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.paused = !self.paused;
            if self.paused {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let taken = bytes.len().min(1_000);
            lock(&self.writes).push(bytes[..taken].to_vec());
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn trailers_are_a_write_of_their_own_however_slow_the_peer() {
        for length in (0..3_000).step_by(7) {
            let writes = Arc::default();
            let stream = Gated::new(Slow {
                request: b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
                paused: false,
                writes: Arc::clone(&writes),
            });
            let gate = stream.gate();
            let service = service_fn(|_| {
                let gate = gate.clone();
                async move {
                    let message = Bytes::from(vec![7; length]);
                    let response = Framing::Web.message(message);
                    Ok::<_, Infallible>(response.map(|body| body.with_gate(gate)))
                }
            });
            let served = http1::Builder::new()
                .half_close(true)
                .serve_connection(TokioIo::new(stream), service);
            served.await.unwrap();
            let writes = lock(&writes).clone();
            let last = writes.last().unwrap();
            assert_eq!(last, b"\x80\x00\x00\x00\x0fgrpc-status:0\r\n", "{length}");
        }
    }
}
