//! gRPC-Web framing (binary): five-byte prefixes, data frames and the trailers frame. Pure.

use std::time::Duration;

use super::{NetError, Status};

const TRAILERS: u8 = 0x80;
const COMPRESSED: u8 = 0x01;
/// The largest message that we take from a node, in bytes: the official client's own limit.
pub const MAX_MESSAGE: usize = 25 * 1024 * 1024;

/// A request body: one uncompressed data frame.
#[must_use]
pub fn encode_request(message: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(message.len() + 5);
    body.push(0);
    body.extend_from_slice(&(message.len() as u32).to_be_bytes());
    body.extend_from_slice(message);
    body
}

/// One frame of a response.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// A message.
    Data(Vec<u8>),
    /// The end, with the call's status.
    Trailers(Trailers),
}

/// What the trailers say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trailers {
    /// `grpc-status`, if there.
    pub status: Option<u32>,
    /// `grpc-message`, percent-decoded.
    pub message: String,
    /// `retry-after`, in seconds.
    pub retry_after: Option<Duration>,
}

impl Trailers {
    /// Takes one `name: value` pair; unknown names are ignored.
    pub fn set(&mut self, name: &str, value: &str) {
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "grpc-status" => self.status = value.parse().ok(),
            "grpc-message" => self.message = percent_decode(value),
            "retry-after" => self.retry_after = value.parse().ok().map(Duration::from_secs),
            _ => {}
        }
    }

    /// OK, or the refusal. A missing status is a malformed answer.
    pub fn into_result(self) -> Result<(), NetError> {
        match self.status {
            Some(0) => Ok(()),
            Some(code) => Err(NetError::Refused {
                status: Status(code),
                message: self.message,
                retry_after: self.retry_after,
            }),
            None => Err(NetError::Malformed("no grpc-status in the answer".into())),
        }
    }
}

/// Cuts a response into frames, however the network split it.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    start: usize,
}

impl Decoder {
    /// Takes bytes as they arrive.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 && self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        } else if self.start > 64 * 1024 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, if there is one.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, NetError> {
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        let Some((head, body)) = rest.split_first_chunk::<5>() else {
            return Ok(None);
        };
        let [flags, length @ ..] = *head;
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_MESSAGE {
            return Err(NetError::Malformed(format!("a frame of {length} bytes")));
        }
        let Some(payload) = body.get(..length) else {
            return Ok(None);
        };
        let frame = match flags {
            0 => Frame::Data(payload.to_vec()),
            TRAILERS => Frame::Trailers(parse_trailers(payload)?),
            COMPRESSED => return Err(NetError::Malformed("a compressed frame".into())),
            other => return Err(NetError::Malformed(format!("frame flags {other:#04x}"))),
        };
        self.start += 5 + length;
        Ok(Some(frame))
    }

    /// Whether all bytes were used.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.buffer.len()
    }
}

/// The message of a unary answer. `headers` holds a status that came as HTTP headers.
pub fn decode_unary(body: &[u8], headers: Trailers) -> Result<Vec<u8>, NetError> {
    let mut decoder = Decoder::default();
    decoder.push(body);
    let mut message = None;
    let mut trailers = None;
    while let Some(frame) = decoder.next_frame()? {
        match (frame, &message, &trailers) {
            (Frame::Data(data), None, None) => message = Some(data),
            (Frame::Trailers(end), _, None) => trailers = Some(end),
            _ => return Err(NetError::Malformed("more than one message".into())),
        }
    }
    if !decoder.is_empty() {
        return Err(NetError::Malformed("the answer is cut off".into()));
    }
    trailers.unwrap_or(headers).into_result()?;
    message.ok_or_else(|| NetError::Malformed("an answer without a message".into()))
}

fn parse_trailers(payload: &[u8]) -> Result<Trailers, NetError> {
    let text = std::str::from_utf8(payload)
        .map_err(|_| NetError::Malformed("trailers are not text".into()))?;
    let mut trailers = Trailers::default();
    for line in text.split("\r\n").filter(|line| !line.is_empty()) {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| NetError::Malformed("a trailer without a colon".into()))?;
        trailers.set(name, value);
    }
    Ok(trailers)
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = bytes
            .get(at + 1..at + 3)
            .and_then(|hex| std::str::from_utf8(hex).ok());
        match (byte, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(value)) => {
                decoded.push(value);
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Vec<u8> {
        let mut body = encode_request(b"hello");
        let trailers = b"grpc-status:0\r\nGrpc-Message: a%20b\r\n";
        body.push(TRAILERS);
        body.extend_from_slice(&(trailers.len() as u32).to_be_bytes());
        body.extend_from_slice(trailers);
        body
    }

    #[test]
    fn an_answer_split_at_every_byte_is_the_same_answer() {
        let body = answer();
        for cut in 0..=body.len() {
            let mut decoder = Decoder::default();
            let mut frames = Vec::new();
            for part in [&body[..cut], &body[cut..]] {
                decoder.push(part);
                while let Some(frame) = decoder.next_frame().unwrap() {
                    frames.push(frame);
                }
            }
            assert_eq!(frames.len(), 2, "cut at {cut}");
            assert_eq!(frames[0], Frame::Data(b"hello".to_vec()));
            assert!(decoder.is_empty());
        }
        assert_eq!(decode_unary(&body, Trailers::default()).unwrap(), b"hello");
    }

    #[test]
    fn cut_off_and_foreign_answers_are_malformed() {
        let body = answer();
        for length in 0..body.len() {
            assert!(
                decode_unary(&body[..length], Trailers::default()).is_err(),
                "{length} bytes"
            );
        }
        assert!(decode_unary(b"<html>", Trailers::default()).is_err());
        assert!(decode_unary(&[0, 0xff, 0xff, 0xff, 0xff], Trailers::default()).is_err());
    }

    #[test]
    fn a_status_in_the_headers_counts_when_there_are_no_trailers() {
        let mut headers = Trailers::default();
        headers.set("grpc-status", "8");
        headers.set("grpc-message", "slow%20down");
        headers.set("retry-after", "3");
        let error = decode_unary(&[], headers).unwrap_err();
        assert_eq!(
            error,
            NetError::Refused {
                status: Status::RESOURCE_EXHAUSTED,
                message: "slow down".into(),
                retry_after: Some(Duration::from_secs(3)),
            }
        );
    }
}
