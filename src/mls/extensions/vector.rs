//! Byte vectors with a variable-length prefix (RFC 9420, 2.1.2).

/// `content` with its length in front (RFC 9420, 2.1.2).
pub(in super::super) fn write_vector(content: &[u8]) -> Vec<u8> {
    let length = content.len() as u32;
    let mut bytes = match length {
        0..0x40 => vec![length as u8],
        0x40..0x4000 => (length as u16 | 0x4000).to_be_bytes().to_vec(),
        _ => (length | 0x8000_0000).to_be_bytes().to_vec(),
    };
    bytes.extend_from_slice(content);
    bytes
}

/// Splits a length-prefixed vector off the front: its content and what follows.
pub(in super::super) fn split_vector(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let first = *bytes.first()?;
    let (prefix, minimum) = match first >> 6 {
        0 => (1, 0),
        1 => (2, 0x40),
        2 => (4, 0x4000),
        _ => return None,
    };
    let mut length = usize::from(first & 0x3f);
    for byte in bytes.get(1..prefix)? {
        length = length << 8 | usize::from(*byte);
    }
    if length < minimum {
        return None;
    }
    let rest = bytes.get(prefix..)?;
    rest.split_at_checked(length)
}

/// The content of a length-prefixed vector that fills `bytes`.
pub(in super::super) fn read_vector(bytes: &[u8]) -> Option<&[u8]> {
    match split_vector(bytes)? {
        (content, []) => Some(content),
        _ => None,
    }
}
