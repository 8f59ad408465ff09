//! Decompressing content that a peer compressed. Ours is never compressed.
//!
//! Output is bounded, whatever the input says: a message of a mebibyte must not become a gigabyte.

use miniz_oxide::inflate::{
    DecompressError, TINFLStatus, decompress_to_vec_with_limit, decompress_to_vec_zlib_with_limit,
};

use super::ContentError;

/// The most bytes that we let received content decompress to.
pub const MAX_DECOMPRESSED_BYTES: usize = 16 << 20;

/// Deflate, in the zlib format (RFC 1950) or bare (RFC 1951): what "deflate" means differs.
pub(super) fn inflate(bytes: &[u8]) -> Result<Vec<u8>, ContentError> {
    let result = if has_zlib_header(bytes) {
        decompress_to_vec_zlib_with_limit(bytes, MAX_DECOMPRESSED_BYTES)
    } else {
        decompress_to_vec_with_limit(bytes, MAX_DECOMPRESSED_BYTES)
    };
    result.map_err(|error| from_inflate(&error))
}

/// Gzip (RFC 1952), one member.
pub(super) fn gunzip(bytes: &[u8]) -> Result<Vec<u8>, ContentError> {
    let (body, trailer) = gzip_body(bytes)
        .and_then(|body| body.split_last_chunk::<8>())
        .ok_or(ContentError::Decompression)?;
    let content = decompress_to_vec_with_limit(body, MAX_DECOMPRESSED_BYTES)
        .map_err(|error| from_inflate(&error))?;
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let expected = [crc32(&content).to_le_bytes(), length.to_le_bytes()].concat();
    if expected != trailer {
        return Err(ContentError::Decompression);
    }
    Ok(content)
}

fn from_inflate(error: &DecompressError) -> ContentError {
    match error.status {
        TINFLStatus::HasMoreOutput => ContentError::DecompressedTooLarge {
            max: MAX_DECOMPRESSED_BYTES,
        },
        _ => ContentError::Decompression,
    }
}

/// RFC 1950, 2.2: method 8, window at most 32 KiB, and the two bytes divisible by 31. Raw deflate
/// as encoders write it does not look like this.
fn has_zlib_header(bytes: &[u8]) -> bool {
    matches!(bytes, [method, flags, ..]
        if method & 0x0f == 8 && method >> 4 <= 7
        && u16::from_be_bytes([*method, *flags]) % 31 == 0)
}

/// What follows the header of a gzip member (RFC 1952, 2.3).
fn gzip_body(bytes: &[u8]) -> Option<&[u8]> {
    const CHECKSUM: u8 = 0x02;
    const EXTRA: u8 = 0x04;
    const NAME: u8 = 0x08;
    const COMMENT: u8 = 0x10;
    const RESERVED: u8 = 0xe0;

    let ([0x1f, 0x8b, 8, flags, ..], mut rest) = bytes.split_first_chunk::<10>()? else {
        return None;
    };
    if flags & RESERVED != 0 {
        return None;
    }
    if flags & EXTRA != 0 {
        let (length, after) = rest.split_first_chunk()?;
        rest = after.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|byte| *byte == 0)?;
            rest = rest.get(end + 1..)?;
        }
    }
    if flags & CHECKSUM != 0 {
        rest = rest.get(2..)?;
    }
    Some(rest)
}

/// CRC-32 as gzip has it, bit by bit: the usual tables would be larger than all the rest.
fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (POLYNOMIAL * (crc & 1));
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write;

    use super::*;

    fn zlib(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn all_three_forms_are_read() {
        let text = "again and again ".repeat(50).into_bytes();
        let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        raw.write_all(&text).unwrap();
        assert_eq!(inflate(&zlib(&text)).as_ref(), Ok(&text));
        assert_eq!(inflate(&raw.finish().unwrap()).as_ref(), Ok(&text));
        assert_eq!(gunzip(&gzip(&text)).as_ref(), Ok(&text));
        assert_eq!(gunzip(&gzip(b"")).as_deref(), Ok(b"".as_slice()));
    }

    #[test]
    fn every_field_of_a_gzip_header_is_passed_over() {
        let mut encoder = flate2::GzBuilder::new()
            .extra(vec![1, 2, 0, 3])
            .filename("name")
            .comment("comment")
            .mtime(7)
            .write(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"text").unwrap();
        let bytes = encoder.finish().unwrap();
        assert_eq!(gunzip(&bytes).as_deref(), Ok(b"text".as_slice()));
    }

    #[test]
    fn damaged_and_cut_bytes_are_errors() {
        for (good, decompress) in [
            (
                gzip(b"some text that is long enough"),
                gunzip as fn(&[u8]) -> _,
            ),
            (zlib(b"some text that is long enough"), inflate),
        ] {
            for cut in 0..good.len() {
                let part: Vec<u8> = good.iter().copied().take(cut).collect();
                assert_eq!(decompress(&part), Err(ContentError::Decompression));
            }
            let mut changed = good.clone();
            *changed.last_mut().unwrap() ^= 1;
            assert_eq!(decompress(&changed), Err(ContentError::Decompression));
        }
        assert_eq!(inflate(&[0xff; 40]), Err(ContentError::Decompression));
        assert_eq!(gunzip(&[0xff; 40]), Err(ContentError::Decompression));
    }

    #[test]
    fn a_small_message_cannot_fill_the_memory() {
        let too_large = Err(ContentError::DecompressedTooLarge {
            max: MAX_DECOMPRESSED_BYTES,
        });
        let bomb = vec![0; MAX_DECOMPRESSED_BYTES + 1];
        assert!(zlib(&bomb).len() < 100_000);
        assert_eq!(inflate(&zlib(&bomb)), too_large);
        assert_eq!(gunzip(&gzip(&bomb)), too_large);
        let fits = vec![0; MAX_DECOMPRESSED_BYTES];
        assert_eq!(
            inflate(&zlib(&fits)).map(|content| content.len()),
            Ok(fits.len())
        );
    }

    #[test]
    fn the_checksum_is_the_one_everybody_has() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
