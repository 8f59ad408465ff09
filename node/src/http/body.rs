//! Response bodies: some chunks known from the start, or a stream.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use super::gate::Gate;

/// One step of a body.
pub enum Part {
    /// Bytes.
    Data(Bytes),
    /// HTTP trailers.
    Trailers(HeaderMap),
    /// What follows is written on its own, after what came before has been handed to the
    /// network.
    Flush,
}

/// A response body.
pub struct Body {
    parts: VecDeque<Part>,
    stream: Option<BoxStream<'static, Part>>,
    /// The connection's gate, where one exists.
    gate: Option<Gate>,
    /// While waiting for a flush: the flushes that were seen when the wait began.
    waiting: Option<u64>,
}

impl Body {
    /// No bytes.
    pub fn empty() -> Self {
        Self::parts([])
    }

    /// These bytes.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return Self::empty();
        }
        Self::parts([Part::Data(bytes)])
    }

    /// These parts.
    pub fn parts(parts: impl IntoIterator<Item = Part>) -> Self {
        Self {
            parts: parts.into_iter().collect(),
            stream: None,
            gate: None,
            waiting: None,
        }
    }

    /// Parts as they come.
    pub fn stream(stream: BoxStream<'static, Part>) -> Self {
        Self {
            stream: Some(stream),
            ..Self::empty()
        }
    }

    /// Lets `Part::Flush` wait for this connection.
    pub fn with_gate(self, gate: Gate) -> Self {
        Self {
            gate: Some(gate),
            ..self
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let (Some(seen), Some(gate)) = (self.waiting, &self.gate) {
            ready!(gate.poll_flushed(seen, cx));
            self.waiting = None;
        }
        let part = match self.parts.pop_front() {
            Some(part) => Some(part),
            None => match &mut self.stream {
                Some(stream) => ready!(stream.as_mut().poll_next(cx)),
                None => None,
            },
        };
        match part {
            Some(Part::Data(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Some(Part::Trailers(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            // The connection writes out what it has when a body is not ready.
            Some(Part::Flush) => match &self.gate {
                Some(gate) => {
                    let seen = gate.flushes();
                    self.waiting = Some(seen);
                    self.poll_frame(cx)
                }
                None => self.poll_frame(cx),
            },
            None => {
                self.stream = None;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty() && self.stream.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.stream.is_some() {
            return SizeHint::default();
        }
        let bytes = self.parts.iter().map(|part| match part {
            Part::Data(bytes) => bytes.len() as u64,
            Part::Trailers(_) | Part::Flush => 0,
        });
        SizeHint::with_exact(bytes.sum())
    }
}
