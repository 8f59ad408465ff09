//! The one zstd frame of an archive (RFC 8878): read whatever its blocks are, written so that every
//! reader can keep its place.
//!
//! Elements are encrypted before they are compressed, so nothing here is trusted: sizes are bounded
//! before memory is taken.

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::ArchiveError;

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The most bytes that a block has, or becomes (RFC 8878, 3.1.1.2.4).
const MAX_BLOCK_BYTES: usize = 128 * 1024;
/// What every decoder should support (RFC 8878, 3.1.1.1.2). Peers' archives have 2 MiB.
const MAX_WINDOW_BYTES: u64 = 8 << 20;
/// How much more than twice its input a frame may become. Ciphertext does not compress.
const MAX_GROWTH_BYTES: u64 = 1 << 20;

/// Decompresses the first frame of a stream as its bytes arrive. What follows it is ignored.
pub(super) struct FrameReader {
    decoder: FrameDecoder,
    /// Input that has arrived and is not decoded: less than a block, between two calls.
    pending: Vec<u8>,
    state: State,
    bytes_in: u64,
    bytes_out: u64,
}

#[derive(Clone, Copy)]
enum State {
    Header,
    Blocks { checksum: bool },
    Finished,
}

impl FrameReader {
    pub(super) fn new() -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW_BYTES);
        Self {
            decoder,
            pending: Vec::new(),
            state: State::Header,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// Whether the last block has been decoded.
    pub(super) const fn is_finished(&self) -> bool {
        matches!(self.state, State::Finished)
    }

    /// Takes the next bytes of the stream and appends to `out` what they decompress to.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), ArchiveError> {
        if self.is_finished() {
            return Ok(());
        }
        self.pending.extend_from_slice(bytes);
        self.bytes_in = self.bytes_in.saturating_add(bytes.len() as u64);
        let mut pending = std::mem::take(&mut self.pending);
        let mut rest = pending.as_slice();
        while let Some(length) = self.next_piece(rest)? {
            let Some((piece, after)) = rest.split_at_checked(length) else {
                break;
            };
            self.decode(piece, out)?;
            rest = after;
        }
        let decoded = pending.len() - rest.len();
        pending.drain(..decoded);
        self.pending = pending;
        Ok(())
    }

    /// How many bytes the header or block has that `rest` begins with, if enough of it has arrived
    /// to tell.
    fn next_piece(&self, rest: &[u8]) -> Result<Option<usize>, ArchiveError> {
        match self.state {
            State::Header => header_length(rest),
            State::Blocks { checksum } => block_length(rest, checksum),
            State::Finished => Ok(None),
        }
    }

    /// Decodes a whole header or block.
    fn decode(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), ArchiveError> {
        let mut source = piece;
        if let State::Header = self.state {
            self.decoder
                .reset(&mut source)
                .map_err(|_| ArchiveError::Corrupt("zstd frame header"))?;
            let checksum = piece
                .get(MAGIC.len())
                .is_some_and(|descriptor| descriptor & 0x04 != 0);
            self.state = State::Blocks { checksum };
            return Ok(());
        }
        self.decoder
            .decode_blocks(&mut source, BlockDecodingStrategy::UptoBlocks(1))
            .map_err(|_| ArchiveError::Corrupt("zstd block"))?;
        if self.decoder.is_finished() {
            self.state = State::Finished;
        }
        if let Some(decoded) = self.decoder.collect() {
            self.bytes_out = self.bytes_out.saturating_add(decoded.len() as u64);
            out.extend_from_slice(&decoded);
        }
        let most = self
            .bytes_in
            .saturating_mul(2)
            .saturating_add(MAX_GROWTH_BYTES);
        if self.bytes_out > most {
            return Err(ArchiveError::Corrupt("zstd frame expands too much"));
        }
        Ok(())
    }
}

/// The length of a frame header (RFC 8878, 3.1.1.1), magic number included.
fn header_length(bytes: &[u8]) -> Result<Option<usize>, ArchiveError> {
    if bytes.iter().zip(MAGIC).any(|(byte, magic)| *byte != magic) {
        return Err(ArchiveError::Corrupt("not a zstd frame"));
    }
    let Some(descriptor) = bytes.get(MAGIC.len()) else {
        return Ok(None);
    };
    let single_segment = descriptor & 0x20 != 0;
    let window = usize::from(!single_segment);
    let dictionary = match descriptor & 3 {
        0 => 0,
        1 => 1,
        2 => 2,
        _ => 4,
    };
    let content_size = match descriptor >> 6 {
        0 => usize::from(single_segment),
        1 => 2,
        2 => 4,
        _ => 8,
    };
    Ok(Some(MAGIC.len() + 1 + window + dictionary + content_size))
}

/// The length of a block (RFC 8878, 3.1.1.2), and of the checksum that follows the last one.
fn block_length(bytes: &[u8], checksum: bool) -> Result<Option<usize>, ArchiveError> {
    let Some([low, middle, high]) = bytes.first_chunk() else {
        return Ok(None);
    };
    let header = u32::from_le_bytes([*low, *middle, *high, 0]);
    let (last, kind, size) = (header & 1 == 1, header >> 1 & 3, (header >> 3) as usize);
    if size > MAX_BLOCK_BYTES || kind == 3 {
        return Err(ArchiveError::Corrupt("zstd block header"));
    }
    let run_of_one_byte = kind == 1;
    let body = if run_of_one_byte { 1 } else { size };
    Ok(Some(3 + body + if last && checksum { 4 } else { 0 }))
}

/// The frame header that we write: no size, no checksum, no dictionary, a window of 2 MiB.
pub(super) const HEADER: [u8; 6] = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];

/// The most bytes of content in one block that we write.
const MAX_LITERAL_BYTES: usize = 131_000;

/// Appends `content` to a frame as blocks of type Compressed that hold nothing but raw literals.
///
/// A decoder gives out a block of this type whole or not at all, so a reader that is waiting for
/// more input is never in the middle of an element that fits into one block. `last` ends the frame.
pub(super) fn write_blocks(content: &[u8], last: bool, out: &mut Vec<u8>) {
    let blocks = content.chunks(MAX_LITERAL_BYTES);
    let count = blocks.len();
    for (number, literals) in (1..).zip(blocks) {
        // At most 131,000, so it fits.
        let length = literals.len() as u32;
        let (header, header_length) = match length {
            0..32 => (length << 3, 1),
            32..4096 => (length << 4 | 0b01_00, 2),
            _ => (length << 4 | 0b11_00, 3),
        };
        // The literals' header, the literals, and a count of no sequences.
        let size = header_length as u32 + length + 1;
        let is_last = u32::from(last && number == count);
        let block = size << 3 | 2 << 1 | is_last;
        out.extend(block.to_le_bytes().into_iter().take(3));
        out.extend(header.to_le_bytes().into_iter().take(header_length));
        out.extend_from_slice(literals);
        out.push(0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_u32;
        (0..length)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state.to_le_bytes()[1]
            })
            .collect()
    }

    fn read(frame: &[u8], chunk: usize) -> Result<(Vec<u8>, bool), ArchiveError> {
        let mut reader = FrameReader::new();
        let mut out = Vec::new();
        for chunk in frame.chunks(chunk) {
            reader.push(chunk, &mut out)?;
        }
        Ok((out, reader.is_finished()))
    }

    #[test]
    fn what_we_write_is_read_in_chunks_of_any_size() {
        let pieces: Vec<Vec<u8>> = [1, 31, 32, 4095, 4096, 131_000, 131_001, 300_000]
            .into_iter()
            .map(noise)
            .collect();
        let mut frame = HEADER.to_vec();
        for piece in &pieces {
            write_blocks(piece, false, &mut frame);
        }
        write_blocks(b"end", true, &mut frame);
        let expected = [pieces.concat(), b"end".to_vec()].concat();
        for chunk in [1, 7, 1000, 1 << 20] {
            let (out, finished) = read(&frame, chunk).unwrap();
            assert!(finished && out == expected, "chunks of {chunk}");
        }
    }

    #[test]
    fn truly_compressed_frames_are_read() {
        let text = "some text that repeats, and repeats, ".repeat(3_000);
        let frame = ruzstd::encoding::compress_to_vec(
            text.as_bytes(),
            ruzstd::encoding::CompressionLevel::Fastest,
        );
        assert!(frame.len() < text.len() / 3);
        for chunk in [1, 100, 1 << 20] {
            let (out, finished) = read(&frame, chunk).unwrap();
            assert!(finished && out == text.as_bytes());
        }
    }

    #[test]
    fn every_cut_of_a_frame_is_unfinished() {
        let mut frame = HEADER.to_vec();
        write_blocks(&noise(100), true, &mut frame);
        for end in 0..frame.len() {
            let part: Vec<u8> = frame.iter().copied().take(end).collect();
            assert!(!read(&part, 64).unwrap().1, "cut at {end}");
        }
    }

    #[test]
    fn bytes_after_the_frame_are_ignored() {
        let mut frame = HEADER.to_vec();
        write_blocks(b"x", true, &mut frame);
        frame.extend_from_slice(&frame.clone());
        assert_eq!(read(&frame, 3), Ok((b"x".to_vec(), true)));
    }

    #[test]
    fn a_frame_cannot_fill_the_memory() {
        // Runs of one byte: 4 bytes that become 128 KiB.
        let mut frame = HEADER.to_vec();
        for _ in 0..200 {
            frame.extend_from_slice(&[0x02, 0x00, 0x10, 0x00]);
        }
        assert_eq!(
            read(&frame, 100),
            Err(ArchiveError::Corrupt("zstd frame expands too much"))
        );
    }

    #[test]
    fn windows_that_are_too_large_are_refused_before_memory_is_taken() {
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8];
        assert_eq!(
            read(&frame, 100),
            Err(ArchiveError::Corrupt("zstd frame header"))
        );
    }

    #[test]
    fn what_is_not_zstd_is_refused_at_its_first_byte() {
        assert!(read(b"P", 1).is_err());
        let reserved_block = [HEADER.as_slice(), &[0x06, 0, 0]].concat();
        assert!(read(&reserved_block, 1).is_err());
        let dictionary = [0x28, 0xb5, 0x2f, 0xfd, 0x01, 0x58, 0x05];
        assert!(read(&dictionary, 100).is_err());
    }

    #[test]
    fn changed_frames_never_panic() {
        let text = "words, words and other words; ".repeat(200);
        let good = ruzstd::encoding::compress_to_vec(
            text.as_bytes(),
            ruzstd::encoding::CompressionLevel::Fastest,
        );
        let random = noise(30_000 * 6);
        for bytes in random.chunks_exact(6) {
            let mut frame = good.clone();
            for change in bytes.chunks_exact(3) {
                let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % frame.len();
                *frame.get_mut(at).unwrap() ^= change[2];
            }
            let _ = read(&frame, 1 << 20);
        }
    }
}
